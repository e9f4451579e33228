"""Posts of strangers to Inbound Parse: an event that fits, or one of our refusals; never anything
else, and a mail that the standard library wrote comes out as it went in."""

from email.message import EmailMessage
from email.policy import SMTP
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.ports import NormalizedEvent
from app.errors import IngressError
from app.providers.email_sendgrid.mime import parse_mail
from app.providers.provider import InboundRequest
from tests.support.mailing import form, parse_post, sendgrid_door, take

EVENT_BYTES_MAX = 700 * 1024
DOOR = sendgrid_door(inbound_parse=True)

PIECES = st.sampled_from(
    [
        b"\r\n",
        b"\n",
        b"--xYzZY",
        b"--xYzZY\r\n",
        b"--xYzZY--\r\n",
        b"\r\n\r\n",
        b'Content-Disposition: form-data; name="',
        b'from"',
        b'email"',
        b'text"; filename="a"',
        b"filename*=utf-8''%ff",
        b"filename*0*=a; filename*1=b",
        b"Content-Type: multipart/mixed; boundary=b",
        b"Content-Type: multipart/mixed; boundary*0=b; boundary*1=",
        b"Content-Type: text/plain; charset=",
        b"Content-Transfer-Encoding: base64\r\n",
        b"Content-Transfer-Encoding: quoted-printable\r\n",
        b"Content-Disposition: attachment; filename==?utf-8?b?",
        b"Content-ID: <",
        b"Subject: =?utf-8?q?=",
        b"?=",
        b"--b\r\n",
        b"--b--",
        b'; =";\\"\'%zz',
        b"\x00\xff",
    ]
)
SOUP = st.lists(PIECES | st.binary(max_size=12), max_size=40).map(b"".join)
TEXTS = st.text(max_size=60)
JSONS = st.recursive(
    st.none() | st.integers() | TEXTS,
    lambda item: st.lists(item, max_size=4) | st.dictionaries(TEXTS, item, max_size=4),
    max_leaves=8,
).map(msgspec.json.encode)


def check(request: InboundRequest) -> None:
    try:
        inbound = take(DOOR, request)
    except IngressError:
        return
    (event,) = inbound.events
    assert isinstance(event, NormalizedEvent)
    encoded = msgspec.json.encode(event.payload)
    assert len(encoded) < EVENT_BYTES_MAX
    assert msgspec.json.decode(encoded) == event.payload
    names = {blob.name for blob in inbound.blobs}
    assert {item["sha256"] for item in event.payload["attachments"]} <= names


@given(SOUP)
@settings(max_examples=150, deadline=None)
def test_any_bytes_as_a_form(body: bytes) -> None:
    check(parse_post(body))


@given(SOUP)
@settings(max_examples=150, deadline=None)
def test_any_bytes_in_a_part(content: bytes) -> None:
    head = b'--xYzZY\r\nContent-Disposition: form-data; name="from"\r\n\r\na\r\n--xYzZY\r\n'
    check(parse_post(head + content + b"\r\n--xYzZY--\r\n"))


@given(SOUP)
@settings(max_examples=200, deadline=None)
def test_any_bytes_as_a_raw_mail(content: bytes) -> None:
    check(parse_post(form(("email", content, {}))))


@given(st.text(max_size=100))
@settings(deadline=None)
def test_any_content_type(content_type: str) -> None:
    header = content_type.encode("utf-8", "replace").decode("latin-1")
    check(parse_post(form(("from", "a", {})), headers={"content-type": header}))


@given(st.dictionaries(
    st.sampled_from(["headers", "charsets", "envelope", "attachment-info", "content-ids", "text",
                     "subject", "spam_score", "to", "email"]),
    SOUP | JSONS, max_size=6))  # fmt: skip
@settings(max_examples=80, deadline=None)
def test_any_fields(fields: dict[str, bytes]) -> None:
    files: list[tuple[str, str | bytes, dict[str, str]]] = [
        ("attachment1", b"x", {"filename": "a"}),
        ("from", "a@b.org", {}),
    ]
    check(parse_post(form(*[(name, value, {}) for name, value in fields.items()], *files)))


LINES = st.lists(
    st.text(st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp")), max_size=120), min_size=1
).map("\n".join)
FILES = st.lists(st.binary(max_size=200), max_size=3)


@given(LINES, LINES, FILES, st.sampled_from(["7bit", "8bit"]))
@settings(max_examples=80, deadline=None)
def test_written_mail_comes_out_as_it_went_in(
    text: str, html: str, files: list[bytes], cte_type: Any
) -> None:
    message = EmailMessage(policy=SMTP.clone(cte_type=cte_type))
    message["Subject"] = "x"
    message.set_content(text)
    message.add_alternative(html, subtype="html")
    for content in files:
        message.add_attachment(content, maintype="image", subtype="png", filename="a.png")
    parsed = parse_mail(message.as_bytes())
    assert parsed.is_exact
    assert (parsed.text or "").replace("\r\n", "\n").rstrip("\n") == text.rstrip("\n")
    assert (parsed.html or "").replace("\r\n", "\n").rstrip("\n") == html.rstrip("\n")
    assert [part.content for part in parsed.attachments] == files

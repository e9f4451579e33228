"""Inbound Parse: where a post comes from, forms, charsets, attachments, raw mode, limits."""

import base64
import hashlib
import json
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from pydantic import ValidationError

from actors.ports import NormalizedEvent
from actors.testing.clock import VirtualClock
from app.errors import BadRequestError, IngressError, MediaTypeError, SignatureError
from app.errors import ProviderDisabledError as DisabledError
from app.providers.email_sendgrid.form import FIELDS_MAX
from app.providers.provider import Inbound
from tests.support.mailing import TOKEN, form, parse_post, sendgrid, sendgrid_door, take

VECTORS = Path(__file__).parents[6] / "shared" / "vectors" / "sendgrid_inbound_parse.json"
EVENT_BYTES_MAX = 768 * 1024
HEADERS = (
    "Received: by mx1\r\nReceived: by mx2\r\nMessage-ID: <m1@example.org>\r\n"
    "Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nX-Long: a\r\n b\r\n"
)


def read(body: bytes, **options: Any) -> Inbound:
    return take(sendgrid_door(inbound_parse=True, **options), parse_post(body))


def event_of(inbound: Inbound) -> NormalizedEvent:
    (event,) = inbound.events
    assert isinstance(event, NormalizedEvent)
    return event


def payload_of(*fields: tuple[str, str | bytes, dict[str, str]]) -> dict[str, Any]:
    payload = event_of(read(form(*fields))).payload
    assert isinstance(payload, dict)
    return payload


def mail(**more: str | bytes) -> list[tuple[str, str | bytes, dict[str, str]]]:
    envelope = '{"to":["in@example.org"],"from":"ada@example.org"}'
    fields: dict[str, str | bytes] = {
        "headers": HEADERS,
        "from": "Ada <ada@example.org>",
        "to": "in@example.org",
        "subject": "Hello",
        "text": "text",
        "html": "<b>text</b>",
        "envelope": envelope,
        "dkim": "{@example.org : pass}",
        "SPF": "pass",
        "sender_ip": "192.0.2.1",
        "spam_score": "1.2",
        "spam_report": "fine",
        **more,
    }
    return [(name, value, {}) for name, value in fields.items()]


# ── Where a post comes from ──────────────────────────────────────────────────────────────────


def test_mails_are_not_taken_unless_asked_for() -> None:
    for door in (sendgrid_door(), sendgrid_door(inbound_parse=False)):
        with pytest.raises(DisabledError):
            door.verify(parse_post(b""))


def test_posts_without_proof_are_taken_in_dev_with_a_warning_and_refused_in_prod() -> None:
    assert sendgrid_door(inbound_parse=True).verify(parse_post(b"")) is None
    assert any("Inbound Parse" in text for text in sendgrid(inbound_parse=True).warnings)
    for door in (
        sendgrid_door(env="prod", inbound_parse=True),
        sendgrid_door(env="prod", inbound_parse={}),
    ):
        with pytest.raises(SignatureError):
            door.verify(parse_post(b""))


def basic(credentials: bytes) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(credentials).decode()}


@pytest.mark.parametrize(
    "request_parts",
    [
        {"query": {"token": TOKEN}},
        {"headers": basic(f"sendgrid:{TOKEN}".encode())},
        {
            "headers": {
                "authorization": basic(f":{TOKEN}".encode())["authorization"].replace("B", "b", 1)
            }
        },
    ],
)
def test_token_opens_the_door_in_prod(request_parts: dict[str, Any]) -> None:
    door = sendgrid_door(env="prod", inbound_parse={"token": TOKEN})
    request = parse_post(form(*mail()), **request_parts)
    assert door.verify(request) == "inbound_parse.token"
    event = event_of(take(door, request))
    assert event.metadata["signature"] == "inbound_parse.token"
    assert TOKEN not in repr(event)
    assert "authorization" not in event.metadata["headers"]


@pytest.mark.parametrize(
    "request_parts",
    [
        {},
        {"query": {"token": ""}},
        {"query": {"token": TOKEN + "x"}},
        {"query": {"token": "é" * 16}},
        {"query": {"token": "\ud800"}},
        {"query": {"TOKEN": TOKEN}},
        {"headers": {"authorization": f"Bearer {TOKEN}"}},
        {"headers": {"authorization": "Basic"}},
        {"headers": {"authorization": "Basic é"}},
        {"headers": {"authorization": "Basic ==="}},
        {"headers": {"authorization": "Basic " + "A" * 100_000}},
        {"headers": basic(TOKEN.encode())},
        {"headers": basic(f"{TOKEN}:".encode())},
        {"headers": basic(b"\xff:\xff")},
    ],
)
def test_wrong_token_is_refused(request_parts: dict[str, Any]) -> None:
    door = sendgrid_door(inbound_parse={"token": TOKEN})
    with pytest.raises(SignatureError):
        door.verify(parse_post(form(*mail()), **request_parts))


def test_signed_mail_needs_the_token_as_well_where_both_are_set() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    der = key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    public = base64.b64encode(der).decode()
    body = form(*mail())
    timestamp = str(VirtualClock().now_ms() // 1000)
    signature = key.sign(timestamp.encode() + body, ec.ECDSA(hashes.SHA256()))
    headers = {
        "x-twilio-email-event-webhook-signature": base64.b64encode(signature).decode(),
        "x-twilio-email-event-webhook-timestamp": timestamp,
    }
    signed = parse_post(body, headers=headers)
    door = sendgrid_door(env="prod", inbound_parse={"public_key": public})
    assert door.verify(signed) == "inbound_parse.public_key"
    with pytest.raises(SignatureError):
        door.verify(parse_post(body))
    both = sendgrid_door(env="prod", inbound_parse={"public_key": public, "token": TOKEN})
    with pytest.raises(SignatureError):
        both.verify(signed)
    with pytest.raises(SignatureError):
        both.verify(parse_post(body, query={"token": TOKEN}))
    assert both.verify(parse_post(body, headers=headers, query={"token": TOKEN}))


@pytest.mark.parametrize("token", ["short", "", "x" * 257, "é" * 20, "0123456789abcde\n"])
def test_token_that_is_no_secret_is_refused_at_start(token: str) -> None:
    with pytest.raises(ValidationError) as caught:
        sendgrid(inbound_parse={"token": token})
    assert not token or token not in str(caught.value)


# ── A parsed mail ────────────────────────────────────────────────────────────────────────────


def test_mail_becomes_an_event() -> None:
    event = event_of(read(form(*mail())))
    assert event.event_type == "email.received"
    assert event.source == "email"
    assert event.payload == {
        "from": "Ada <ada@example.org>",
        "to": "in@example.org",
        "cc": None,
        "subject": "Hello",
        "text": "text",
        "html": "<b>text</b>",
        "message_id": "<m1@example.org>",
        "headers": {
            "received": ["by mx1", "by mx2"],
            "message-id": "<m1@example.org>",
            "subject": "Grüße",
            "x-long": "a b",
        },
        "envelope": {"from": "ada@example.org", "to": ["in@example.org"]},
        "dkim": "{@example.org : pass}",
        "SPF": "pass",
        "sender_ip": "192.0.2.1",
        "spam_score": 1.2,
        "spam_report": "fine",
        "attachments": [],
    }


def test_delivery_id_is_the_mails_own_and_its_envelopes() -> None:
    one = event_of(read(form(*mail()))).delivery_id
    again = event_of(read(form(*mail(text="other")))).delivery_id
    other = event_of(read(form(*mail(envelope='{"to":["b@x.org"],"from":"a@x.org"}')))).delivery_id
    assert one is not None
    assert one.startswith("<m1@example.org>/")
    assert one == again != other


@pytest.mark.parametrize(
    "headers", ["", "Message-ID: \r\n", "Message-ID: é\r\n", "Message-ID: <" + "x" * 300 + ">\r\n"]
)
def test_mail_without_a_usable_id_has_no_delivery_id(headers: str) -> None:
    event = event_of(read(form(*mail(headers=headers))))
    assert event.delivery_id is None
    assert "delivery_id" not in event.metadata


@pytest.mark.skipif(not VECTORS.exists(), reason="the shared vectors are not beside the checkout")
def test_shared_vectors() -> None:
    vector = json.loads(VECTORS.read_text(encoding="utf-8"))
    names = []
    for name, file in vector["files"].items():
        # As stored in git the lines end in LF; SendGrid sends CRLF.
        body = base64.b64decode(file["b64"]).replace(b"\n", b"\r\n")
        if not body:
            continue
        names.append(name)
        payload = event_of(read(body)).payload
        assert payload["from"] == "Example User <test@example.com>"
        assert payload["text"].strip() == "Hello Twilio SendGrid!"
        assert "<strong>Hello Twilio SendGrid!" in payload["html"]
        assert payload["envelope"]["from"] == "test@example.com"
        assert payload["dkim"] == "{@sendgrid.com : pass}"
        assert ("raw" in payload) == name.startswith("raw")
        assert "problems" not in payload
        assert len(payload["attachments"]) == name.endswith("with_attachments.txt")
    assert len(names) >= 3


# ── Charsets ─────────────────────────────────────────────────────────────────────────────────


def test_each_field_is_read_in_its_own_charset() -> None:
    charsets = {"to": "UTF-8", "subject": "ISO-8859-1", "text": "koi8-r", "html": "shift_jis"}
    payload = payload_of(
        *mail(
            charsets=json.dumps(charsets),
            subject="Grüße".encode("latin-1"),
            text="привет".encode("koi8-r"),
            html="日本".encode("shift_jis"),
            to="Böb <b@x.org>",
        )
    )
    assert payload["subject"] == "Grüße"
    assert payload["text"] == "привет"
    assert payload["html"] == "日本"
    assert payload["to"] == "Böb <b@x.org>"
    assert "problems" not in payload


@pytest.mark.parametrize(
    "charset",
    [
        "klingon",
        "unicode_escape",
        "utf-7",
        "punycode",
        "idna",
        "rot13",
        "base64",
        "zip",
        "x" * 99,
        "undefined",
        "raw_unicode_escape",
        "é",
        "a\x00b",
        "../../x",
        "mbcs",
    ],
)
def test_unknown_charset_is_told_and_read_as_utf_8(charset: str) -> None:
    payload = payload_of(*mail(charsets=json.dumps({"text": charset}), text=b"\xc3\xa9\xff\\n"))
    assert payload["text"] == "é\ufffd\\n"
    (problem,) = payload["problems"]
    assert problem.startswith("text: ")
    assert problem.isascii()


def test_bytes_that_are_not_of_their_charset_are_told() -> None:
    payload = payload_of(*mail(subject=b"a\xffb"))
    assert payload["subject"] == "a\ufffdb"
    assert len(payload["problems"]) == 1


@pytest.mark.parametrize("field", ["charsets", "envelope"])
@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"\xff", b"1", b"[" * 100_000])
def test_field_that_should_be_an_object_is_told(field: str, content: bytes) -> None:
    payload = payload_of(*mail(**{field: content}))
    assert payload["problems"] == [f"{field}: is no JSON object"]
    assert payload["text"] == "text"


@pytest.mark.parametrize("envelope", [{}, {"to": "a"}, {"to": ["a"]}, {"to": ["a"], "from": 1}])
def test_envelope_without_its_parts_is_none(envelope: Any) -> None:
    assert payload_of(*mail(envelope=json.dumps(envelope)))["envelope"] is None


# ── Attachments ──────────────────────────────────────────────────────────────────────────────


def test_attachments_are_told_in_the_payload_and_stored_beside() -> None:
    info = {"attachment1": {"filename": "a.pdf", "type": "application/pdf", "content-id": "c1"}}
    body = form(
        *mail(),
        ("attachments", "2", {}),
        ("attachment-info", json.dumps(info), {}),
        ("content-ids", json.dumps({"c2": "attachment2"}), {}),
        ("attachment1", b"%PDF\r\n--xYzZ\x00", {"filename": "a.pdf", "type": "text/plain"}),
        ("attachment2", b"\x89PNG", {"filename": "ü.png", "type": "image/png; x=y"}),
        ("attachment3", b"\x89PNG", {"filename": "", "type": "odd"}),
    )
    inbound = read(body)
    attachments = event_of(inbound).payload["attachments"]
    pdf, png = (
        hashlib.sha256(content).hexdigest() for content in (b"%PDF\r\n--xYzZ\x00", b"\x89PNG")
    )
    assert attachments == [
        {
            "filename": "a.pdf",
            "content_id": "c1",
            "type": "application/pdf",
            "size": 13,
            "sha256": pdf,
            "object": f"demo/{pdf}",
        },
        {
            "filename": "ü.png",
            "content_id": "c2",
            "type": "image/png",
            "size": 4,
            "sha256": png,
            "object": f"demo/{png}",
        },
        {
            "filename": None,
            "content_id": None,
            "type": "application/octet-stream",
            "size": 4,
            "sha256": png,
            "object": f"demo/{png}",
        },
    ]
    assert [blob.name for blob in inbound.blobs] == [pdf, png]
    assert inbound.blobs[0].content == b"%PDF\r\n--xYzZ\x00"


@pytest.mark.parametrize(
    ("name", "clean"),
    [("../../etc/passwd", "passwd"), ("C:\\a\\b.txt", "b.txt"), ("a\x07b", "ab"), ("..", "..")],
)
def test_file_name_loses_its_path_and_control_characters(name: str, clean: str) -> None:
    body = form(*mail(), ("attachment1", b"x", {"filename": name}))
    (attachment,) = event_of(read(body)).payload["attachments"]
    assert attachment["filename"] == clean


# ── Raw mode ─────────────────────────────────────────────────────────────────────────────────


def raw_mail() -> EmailMessage:
    message = EmailMessage(policy=SMTP)
    message["From"] = "Ädä <ada@example.org>"
    message["To"] = "in@example.org"
    message["Subject"] = "Grüße " * 30
    message["Message-ID"] = "<raw1@example.org>"
    message.set_content("Grüße\r\n" * 3, charset="iso-8859-1")
    message.add_alternative("<p>Grüße</p>\r\n", subtype="html")
    message.add_attachment(b"%PDF\x00", maintype="application", subtype="pdf", filename="ü.pdf")
    message.add_attachment("note", filename="note.txt")
    return message


def test_raw_mail_reads_as_the_standard_library_reads_it() -> None:
    message = raw_mail()
    content = message.as_bytes()
    envelope = '{"to":["in@example.org"],"from":"ada@example.org"}'
    inbound = read(form(("email", content, {}), ("envelope", envelope, {})))
    payload = event_of(inbound).payload
    text, html = message.get_body(("plain",)), message.get_body(("html",))
    assert text is not None
    assert html is not None
    assert payload["text"].replace("\r\n", "\n") == text.get_content()
    assert payload["html"].replace("\r\n", "\n") == html.get_content()
    assert payload["subject"] == message["Subject"].rstrip()
    assert payload["from"] == "Ädä <ada@example.org>"
    assert payload["message_id"] == "<raw1@example.org>"
    files = [(item["filename"], item["type"], item["size"]) for item in payload["attachments"]]
    assert files == [("ü.pdf", "application/pdf", 5), ("note.txt", "text/plain", 6)]
    stored = {f"demo/{blob.name}": blob.content for blob in inbound.blobs}
    assert stored[payload["attachments"][0]["object"]] == b"%PDF\x00"
    assert stored[payload["raw"]["object"]] == content
    assert "problems" not in payload


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\r\n",
        b"text only",
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\nno parts",
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b--\r\n",
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n--b\r\n--b\r\n",
        b"Content-Type: multipart/mixed; boundary=b\n\n--b\n\ntext\n--b",
        b"Content-Type: multipart/mixed\r\n\r\ntext",
        b"Content-Type: text/plain; charset*=x'y'%zz; boundary*0*=a\r\n\r\ntext",
        b"Content-Transfer-Encoding: base64\r\n\r\n!",
        b"Content-Transfer-Encoding: x-uuencode\r\n\r\nbegin",
        b"Content-Type: text/plain; charset=\xff\xfe\r\nSubject: =?x?b?!?=\r\n\r\n\xff",
        b"Subject: =?utf-8?b?a?= =?idna?q?a?= =?utf-8?q?=ZZ?=\r\n\r\n",
        b": no name\r\n: \r\n\r\n",
        b"A" * 300_000,
    ],
)
def test_odd_raw_mail_is_still_a_mail(content: bytes) -> None:
    inbound = read(form(("email", content, {})))
    payload = event_of(inbound).payload
    assert payload["raw"]["size"] == len(content)


def test_mails_within_mails_are_bounded() -> None:
    content = b"text"
    for _ in range(2000):
        content = (
            b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n" + content + b"\r\n--b--\r\n"
        )
    assert event_of(read(form(("email", content, {})))).payload["raw"]["size"] == len(content)
    many = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\nx\r\n" * 5_000
    payload = event_of(read(form(("email", many, {})))).payload
    assert len(payload["attachments"]) < 200
    assert payload["problems"]


# ── Limits ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("filler", ["x", "\x01", "日", '"', "\U0001f600"])
def test_event_fits_whatever_is_in_the_mail(filler: str) -> None:
    long = filler * 300_000
    headers = "".join(f"X-{number}: {filler * 400}\r\n" for number in range(500))
    files = [
        (f"attachment{number}", b"x", {"filename": filler * 300, "type": "a/" + "b" * 62})
        for number in range(150)
    ]
    names = ("text", "html", "subject", "from", "to", "cc", "spam_report", "dkim", "SPF")
    envelope = json.dumps({"from": long, "to": [long]})
    texts = {name: long if name != "html" else f"{long}<" for name in names}
    inbound = read(form(*mail(**texts, headers=headers, envelope=envelope), *files))
    event = event_of(inbound)
    assert len(msgspec.json.encode(event.payload)) < EVENT_BYTES_MAX - 96 * 1024
    truncated = event.payload["truncated"]
    stored = {f"demo/{blob.name}": blob for blob in inbound.blobs}
    for name in ("text", "html"):
        assert texts[name].startswith(event.payload[name])
        blob = stored[truncated[name]["object"]]
        assert blob.content == texts[name].encode()
        assert blob.media_type == f"text/{'plain' if name == 'text' else 'html'}"
    assert truncated["subject"] is True
    assert truncated["headers"] is True


def test_short_mail_is_not_marked() -> None:
    assert "truncated" not in payload_of(*mail())


@pytest.mark.parametrize(
    ("content_type", "error"),
    [
        ("", MediaTypeError),
        ("application/json", MediaTypeError),
        ("multipart/mixed; boundary=x", MediaTypeError),
        ("multipart/form-data", BadRequestError),
        ("multipart/form-data; boundary=", BadRequestError),
        ("multipart/form-data; boundary=" + "x" * 300, BadRequestError),
        ("multipart/form-data; boundary=" + "x" * 600, MediaTypeError),
        ("multipart/form-data; boundary=other", BadRequestError),
        ("multipart/form-data; boundary*=klingon''x", BadRequestError),
    ],
)
def test_what_is_no_form_is_refused(content_type: str, error: type[IngressError]) -> None:
    request = parse_post(form(*mail()), headers={"content-type": content_type})
    with pytest.raises(error):
        take(sendgrid_door(inbound_parse=True), request)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--xYzZY",
        b"--xYzZY--\r\n",
        form(*mail())[:-20],
        form(("a", "b", {})),
        b"--xYzZY\r\n\r\nno head\r\n--xYzZY--\r\n",
        b"--xYzZY\r\nContent-Disposition: attachment; name=a\r\n\r\nx\r\n--xYzZY--\r\n",
        b"--xYzZY\r\nContent-Disposition: form-data\r\n\r\nx\r\n--xYzZY--\r\n",
        form(("n" * 200, "x", {})),
        form(("a" * 5000, "x", {})),
        form(*[(f"f{number}", "x", {}) for number in range(FIELDS_MAX + 1)]),
        b"--xYzZY\r\n" + b"X: y\r\n" * 20 + b"\r\nx\r\n--xYzZY--\r\n",
        b"--xYzZY\r\n: y\r\n\r\nx\r\n--xYzZY--\r\n",
    ],
)
def test_form_that_is_broken_or_too_large_is_refused(body: bytes) -> None:
    with pytest.raises(BadRequestError):
        read(body)

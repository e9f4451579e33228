"""Mails as SMTP carries them: what was asked for is what a mailbox reads, and nothing more."""

import base64
import operator
import re
from email import message_from_bytes
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.policy import compat32, default
from email.utils import getaddresses
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from app.providers.email.address import Address
from app.providers.email.arguments import SendArguments
from app.providers.email_smtp.message import Body, Origin, build_message

LINE = st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp"))
WORDS = st.text(LINE, max_size=80).map(lambda text: " ".join(text.split()))
NAMES = st.text(st.characters(categories=("L", "Nd")), max_size=40) | WORDS
EMAILS = st.builds(
    "{}@{}.example".format,
    st.from_regex(r"[a-z0-9!#$%&'*+/=?^_`{|}~-]{1,20}(\.[a-z0-9]{1,9})?", fullmatch=True),
    st.from_regex(r"[a-z0-9]{1,12}", fullmatch=True),
)
PEOPLE: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries({"email": EMAILS, "name": NAMES})
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=300)
FILES = st.builds(
    lambda content, name, disposition, cid: {
        "filename": f"{name}.bin",
        "content": base64.b64encode(content).decode(),
        "disposition": disposition,
        "content_id": cid,
    },
    st.binary(max_size=100),
    st.text(st.characters(categories=("L", "Nd")), min_size=1, max_size=20),
    st.sampled_from(["attachment", "inline"]),
    st.none() | st.from_regex(r"[a-z0-9]{1,9}", fullmatch=True),
)
ORIGIN = Origin(Address("shop@example.org", "Täte's shop"), "demo", "key", 1_700_000_000_000)


RECIPIENTS = st.lists(PEOPLE, min_size=1, max_size=4, unique_by=operator.itemgetter("email"))
MAILS = st.fixed_dictionaries(
    {
        "to": RECIPIENTS,
        "bcc": EMAILS.map(lambda email: f"hidden-{email}"),
        "subject": WORDS,
        "content": TEXTS.map(lambda text: text or "x"),
        "html": TEXTS,
        "attachments": st.lists(FILES, max_size=3),
        "headers": st.fixed_dictionaries({"X-Note": WORDS}),
        "categories": st.lists(WORDS.filter(bool), max_size=3),
    }
)


@given(MAILS)
@settings(max_examples=100, deadline=None)
def test_mailbox_reads_what_was_asked_for(document: dict[str, Any]) -> None:
    arguments = SendArguments.model_validate(document)
    to, bcc, files = document["to"], document["bcc"], document["attachments"]
    body = Body(arguments.subject, arguments.content, arguments.html)
    built = build_message(arguments, body, ORIGIN)
    assert built == build_message(arguments, body, ORIGIN)
    assert built.content.isascii()
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)", built.content)
    assert max(map(len, built.content.split(b"\r\n"))) <= 998
    assert b"hidden-" not in built.content
    assert built.recipients == (*(item["email"] for item in to), bcc)

    mail = message_from_bytes(built.content, policy=default)
    assert isinstance(mail, EmailMessage)
    names = ["from", "to", "subject", "date", "message-id", "x-note", "mime-version"]
    names += ["content-type"] + ["keywords"] * bool(arguments.categories)
    found = [name.lower() for name in mail.keys()]  # noqa: SIM118 - no mapping
    assert sorted(name for name in found if name != "content-transfer-encoding") == sorted(names)
    read = [address.addr_spec for address in mail["to"].addresses]
    assert read == [item["email"] for item in to]
    # The judge of words is the older half of the library: the newer one drops blanks in them.
    older = message_from_bytes(built.content, policy=compat32)
    assert words(older["subject"]) == arguments.subject
    assert words(older["x-note"]) == arguments.headers["X-Note"]
    names_read = [words(name) for name, _ in getaddresses([older["to"]])]
    assert names_read == [item["name"] for item in to]
    text = mail.get_body(("plain",))
    assert text is not None
    assert lines(text.get_content()) == lines(arguments.content or "")
    attached = [part for part in mail.walk() if part.get_filename()]
    wanted = [(item["filename"], base64.b64decode(item["content"])) for item in files]
    assert sorted((part.get_filename(), part.get_content()) for part in attached) == sorted(wanted)


def words(header: Any) -> str:
    """Unfold a header and decode its encoded words."""
    return str(make_header(decode_header(re.sub(r"\r?\n", "", str(header)))))


def lines(text: str) -> list[str]:
    """Split at the line breaks that mail knows, without those at the end."""
    return re.split(r"\r\n|\r|\n", text.rstrip("\r\n"))

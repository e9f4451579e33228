"""What stands in a mail, as far as a developer wants to see it.

In: the bytes of a mail, from whoever. Out: its subject, texts and attachments. Refuses nothing: a
mail that cannot be read has none of them.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any, Final

PARTS_MAX: Final = 200
TEXT_CHARS_MAX: Final = 64 * 1024
RAW_CHARS_MAX: Final = 64 * 1024


@dataclass(slots=True)
class MailContent:
    """A mail taken apart."""

    subject: str = ""
    text: str = ""
    html: str = ""
    attachments: list[dict[str, Any]] = field(default_factory=list)
    headers: list[list[str]] = field(default_factory=list)


def read_mail(content: bytes) -> MailContent:
    """Take a mail apart."""
    found = MailContent()
    try:
        mail = message_from_bytes(content, policy=policy.default)
        for part in _parts(mail):
            _add_part(found, part)
        found.headers = [[name, str(value)] for name, value in mail.items()][:PARTS_MAX]
        found.subject = str(mail.get("subject", ""))
    except Exception:  # noqa: BLE001, S110 - the parser's own bugs on hostile mails are many kinds
        pass
    return found


def _parts(mail: EmailMessage) -> Iterator[EmailMessage]:
    for number, part in enumerate(mail.walk()):
        if number >= PARTS_MAX:
            return
        if not part.is_multipart():
            yield part


def _add_part(found: MailContent, part: EmailMessage) -> None:
    filename, kind = part.get_filename(), part.get_content_type()
    if filename is None and part.get_content_disposition() != "attachment":
        if kind == "text/plain" and not found.text:
            found.text = _text(part)
            return
        if kind == "text/html" and not found.html:
            found.html = _text(part)
            return
    payload = part.get_payload(decode=True)
    size = len(payload) if isinstance(payload, bytes) else 0
    found.attachments.append({"filename": filename, "type": kind, "bytes": size})


def _text(part: EmailMessage) -> str:
    payload = part.get_payload(decode=True)
    if not isinstance(payload, bytes):
        return ""
    try:
        text = payload.decode(part.get_content_charset("utf-8"), "replace")
    except LookupError:
        text = payload.decode("utf-8", "replace")
    return text[:TEXT_CHARS_MAX]

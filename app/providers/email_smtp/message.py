"""A mail as SMTP carries it.

In: checked arguments, what the mail says, where it comes from. Out: bytes in ASCII with CRLF, and
the envelope. The text stands before the HTML (the richest last, RFC 2046 5.1.4); who gets a blind
copy stands in the envelope alone. A step that is repeated makes the same Message-ID, by which
mailboxes know a mail they have.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Final

from app.providers.email.address import Address
from app.providers.email.arguments import MailArguments, unique_recipients
from app.providers.email.attachment import Attachment
from app.providers.email_smtp.headers import (
    address_list,
    phrase_list,
    unstructured,
    write_header,
)
from app.providers.email_smtp.mime import Part, file_part, multipart, text_part

_DIGEST_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a mail comes from: whom, which step, and when (milliseconds since the epoch)."""

    sender: Address
    tenant: str
    idempotency_key: str
    now_ms: int


@dataclass(frozen=True, slots=True)
class Body:
    """What a mail says: text, HTML or both."""

    subject: str
    text: str | None
    html: str | None


@dataclass(frozen=True, slots=True)
class Message:
    """A mail ready to be handed over."""

    message_id: str
    sender: str
    recipients: tuple[str, ...]
    content: bytes = field(repr=False)


def build_message(arguments: MailArguments, body: Body, origin: Origin) -> Message:
    """Build the mail."""
    to, cc, bcc = unique_recipients(arguments)
    message_id = _message_id(origin)
    headers = "".join(
        write_header(name, value) for name, value in _headers(arguments, body, origin, message_id)
    )
    content = headers.encode("ascii") + _content(body, arguments.attachments).as_bytes()
    return Message(
        message_id=message_id,
        sender=origin.sender.email,
        recipients=tuple(address.email for address in (*to, *cc, *bcc)),
        content=content,
    )


def _headers(
    arguments: MailArguments, body: Body, origin: Origin, message_id: str
) -> Iterator[tuple[str, str]]:
    to, cc, _ = unique_recipients(arguments)
    yield "From", address_list([origin.sender])
    yield "To", address_list(to)
    if cc:
        yield "Cc", address_list(cc)
    if arguments.reply_to is not None:
        yield "Reply-To", address_list([arguments.reply_to])
    yield "Subject", unstructured(body.subject, "Subject")
    yield "Date", format_datetime(datetime.fromtimestamp(origin.now_ms // 1000, UTC))
    yield "Message-ID", message_id
    if arguments.categories:
        yield "Keywords", phrase_list(arguments.categories)
    for name, value in arguments.headers.items():
        yield name, unstructured(value, name)
    yield "MIME-Version", "1.0"


def _content(body: Body, attachments: tuple[Attachment, ...]) -> Part:
    parts: list[Part] = []
    files = list(attachments)
    if body.text or not body.html:
        parts.append(text_part(body.text or "", "plain"))
    if body.html:
        shown = [file for file in files if _is_shown(file)]
        files = [file for file in files if not _is_shown(file)]
        html = text_part(body.html, "html")
        parts.append(multipart("related", [html, *map(file_part, shown)]))
    return multipart("mixed", [multipart("alternative", parts), *map(file_part, files)])


def _is_shown(attachment: Attachment) -> bool:
    """Tell whether the HTML shows it: then it belongs beside the HTML, not to the mail."""
    return attachment.disposition == "inline" and attachment.content_id is not None


def _message_id(origin: Origin) -> str:
    name = f"{origin.tenant}\x00{origin.idempotency_key}".encode("utf-8", "surrogatepass")
    digest = hashlib.blake2b(name, digest_size=_DIGEST_BYTES).hexdigest()
    return f"<{digest}@{origin.sender.domain}>"

"""A mail as SMTP carries it: MIME (RFC 5322, 2045, 2046).

In: checked arguments, the sender, a name and a time for it. Out: bytes in ASCII with CRLF, and the
envelope. The text stands before the HTML; who gets a blind copy stands in the envelope alone. A
step that is repeated makes the same Message-ID, by which mailboxes know a mail they have.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.headerregistry import Address as HeaderAddress
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Any, Final

from app.providers.email.address import Address
from app.providers.email.arguments import MailArguments, unique_recipients
from app.providers.email.attachment import TYPE_DEFAULT, Attachment

POLICY: Final = SMTP.clone(cte_type="7bit")
"""Not every server has 8BITMIME, and we ask none."""

_DIGEST_BYTES: Final = 16
_UNFIT_TYPES: Final = frozenset({"message", "multipart"})
"""They must not be in base64 (RFC 2046); as files they travel without their type."""


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
    """Build the mail; the order of its parts follows RFC 2046: the richest last."""
    to, cc, bcc = unique_recipients(arguments)
    message_id = _message_id(origin)
    mail = EmailMessage(policy=POLICY)
    mail["From"] = _header_address(origin.sender)
    mail["To"] = _header_addresses(to)
    if cc:
        mail["Cc"] = _header_addresses(cc)
    if arguments.reply_to is not None:
        mail["Reply-To"] = _header_address(arguments.reply_to)
    mail["Subject"] = body.subject
    mail["Date"] = format_datetime(datetime.fromtimestamp(origin.now_ms // 1000, UTC))
    mail["Message-ID"] = message_id
    if arguments.categories:
        mail["Keywords"] = ", ".join(arguments.categories)
    for name, value in arguments.headers.items():
        mail[name] = value
    _fill(mail, body, arguments.attachments)
    return Message(
        message_id=message_id,
        sender=origin.sender.email,
        recipients=tuple(address.email for address in (*to, *cc, *bcc)),
        content=mail.as_bytes(),
    )


def _fill(mail: EmailMessage, body: Body, attachments: Iterable[Attachment]) -> None:
    html_part: Any = None
    if body.text or not body.html:
        mail.set_content(body.text or "")
    if body.html and body.text:
        mail.add_alternative(body.html, subtype="html")
        html_part = mail.get_body(("html",))
    elif body.html:
        mail.set_content(body.html, subtype="html")
        html_part = mail
    files = list(attachments)
    if html_part is not None:
        for item in files:
            if _is_shown(item):
                _add_related(html_part, item)
        files = [item for item in files if not _is_shown(item)]
    for item in files:
        maintype, subtype = _type_of(item)
        mail.add_attachment(
            item.decode(),
            maintype=maintype,
            subtype=subtype,
            filename=item.filename,
            disposition=item.disposition,
            cid=_content_id(item),
        )


def _is_shown(attachment: Attachment) -> bool:
    """Tell whether the HTML shows it: then it belongs beside the HTML, not to the mail."""
    return attachment.disposition == "inline" and attachment.content_id is not None


def _add_related(html_part: EmailMessage, item: Attachment) -> None:
    maintype, subtype = _type_of(item)
    html_part.add_related(
        item.decode(),
        maintype=maintype,
        subtype=subtype,
        filename=item.filename,
        disposition=item.disposition,
        cid=_content_id(item),
    )


def _type_of(attachment: Attachment) -> tuple[str, str]:
    maintype, _, subtype = attachment.type.partition("/")
    if maintype in _UNFIT_TYPES:
        maintype, _, subtype = TYPE_DEFAULT.partition("/")
    return maintype, subtype


def _content_id(attachment: Attachment) -> str | None:
    return None if attachment.content_id is None else f"<{attachment.content_id}>"


def _message_id(origin: Origin) -> str:
    name = f"{origin.tenant}\x00{origin.idempotency_key}".encode("utf-8", "surrogatepass")
    digest = hashlib.blake2b(name, digest_size=_DIGEST_BYTES).hexdigest()
    return f"<{digest}@{origin.sender.domain}>"


def _header_addresses(addresses: Iterable[Address]) -> tuple[HeaderAddress, ...]:
    return tuple(_header_address(address) for address in addresses)


def _header_address(address: Address) -> HeaderAddress:
    local, _, domain = address.email.rpartition("@")
    return HeaderAddress(address.name, local, domain)

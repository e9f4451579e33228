"""A mail as SendGrid's Inbound Parse posts it.

In: a mail. Out: the fields and files of a multipart form, UTF-8 throughout and saying so.

Source: docs.sendgrid.com, Inbound Parse, default parameters (PROTOCOLS, SendGrid).
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime, make_msgid, parseaddr
from typing import Final

from app.emulators.ingress_client import Part

_CHARSET: Final = "UTF-8"
_SENDER_IP: Final = "127.0.0.1"
_SPOKEN_FOR: Final = ("to", "from", "subject", "text", "html")


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file."""

    filename: str
    content: bytes
    media_type: str


@dataclass(frozen=True, slots=True)
class InboundMail:
    """What somebody wrote."""

    sender: str
    to: str
    subject: str
    text: str
    html: str
    at_seconds: float
    attachments: Sequence[Attachment] = ()


def build_parts(mail: InboundMail) -> list[Part]:
    """Give the parts of the form, in SendGrid's order."""
    fields = {
        "headers": _headers(mail),
        "dkim": "none",
        "to": mail.to,
        "html": mail.html,
        "from": mail.sender,
        "text": mail.text,
        "sender_ip": _SENDER_IP,
        "spam_report": "",
        "envelope": json.dumps({"to": [_bare(mail.to)], "from": _bare(mail.sender)}),
        "attachments": str(len(mail.attachments)),
        "subject": mail.subject,
        "spam_score": "0.0",
        "charsets": json.dumps(dict.fromkeys(_SPOKEN_FOR, _CHARSET)),
        "SPF": "none",
    }
    if mail.attachments:
        fields["attachment-info"] = json.dumps(
            {
                f"attachment{number}": {
                    "filename": each.filename,
                    "name": each.filename,
                    "type": each.media_type,
                }
                for number, each in enumerate(mail.attachments, 1)
            }
        )
    left_out = {name for name in ("text", "html") if not fields[name]}
    parts: list[Part] = [
        (name, (None, value.encode("utf-8", "replace"), None))
        for name, value in fields.items()
        if name not in left_out
    ]
    for number, each in enumerate(mail.attachments, 1):
        parts.append((f"attachment{number}", (each.filename, each.content, each.media_type)))
    return parts


def _headers(mail: InboundMail) -> str:
    """Write the mail's head, as a mail server would have received it (in UTF-8: RFC 6532)."""
    date = datetime.fromtimestamp(mail.at_seconds, tz=UTC)
    lines = (
        f"Date: {format_datetime(date)}",
        f"From: {mail.sender}",
        f"To: {mail.to}",
        f"Subject: {mail.subject}",
        f"Message-ID: {make_msgid(domain='emulator.localhost')}",
        "MIME-Version: 1.0",
    )
    return "".join(f"{line}\n" for line in lines)


def _bare(address: str) -> str:
    return parseaddr(address)[1] or address

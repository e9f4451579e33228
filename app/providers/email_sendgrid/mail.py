"""A mail as SendGrid's v3/mail/send takes it (PROTOCOLS, SendGrid).

In: checked arguments and the sender. Out: the JSON document. text/plain stands before text/html,
every address once, and one personalization: all recipients get the same mail.
"""

from collections.abc import Iterable
from typing import Any

from app.providers.email.address import Address
from app.providers.email.arguments import (
    MailArguments,
    SendArguments,
    SendTemplateArguments,
    unique_recipients,
)
from app.providers.email.attachment import Attachment


def build_mail(arguments: MailArguments, sender: Address, *, sandbox: bool) -> dict[str, Any]:
    """Build the body of a request; a key that has nothing to say is left out."""
    mail: dict[str, Any] = {
        "from": _address(sender),
        "personalizations": [_personalization(arguments)],
        **_content(arguments),
    }
    if arguments.reply_to is not None:
        mail["reply_to"] = _address(arguments.reply_to)
    if arguments.attachments:
        mail["attachments"] = [_attachment(item) for item in arguments.attachments]
    if arguments.categories:
        mail["categories"] = list(arguments.categories)
    if arguments.headers:
        mail["headers"] = dict(arguments.headers)
    if arguments.custom:
        mail["custom_args"] = dict(arguments.custom)
    if sandbox:
        mail["mail_settings"] = {"sandbox_mode": {"enable": True}}
    return mail


def _content(arguments: MailArguments) -> dict[str, Any]:
    if isinstance(arguments, SendTemplateArguments):
        parts: dict[str, Any] = {"template_id": arguments.template_id}
        if arguments.subject:
            parts["subject"] = arguments.subject
        return parts
    if not isinstance(arguments, SendArguments):
        raise TypeError(f"{type(arguments).__name__} are no arguments of an action")
    texts = (("text/plain", arguments.content), ("text/html", arguments.html))
    content = [{"type": kind, "value": text} for kind, text in texts if text]
    return {"subject": arguments.subject, "content": content}


def _personalization(arguments: MailArguments) -> dict[str, Any]:
    to, cc, bcc = unique_recipients(arguments)
    found: dict[str, Any] = {"to": _recipients(to)}
    if cc:
        found["cc"] = _recipients(cc)
    if bcc:
        found["bcc"] = _recipients(bcc)
    if isinstance(arguments, SendTemplateArguments) and arguments.dynamic_data:
        found["dynamic_template_data"] = arguments.dynamic_data
    return found


def _recipients(addresses: Iterable[Address]) -> list[dict[str, str]]:
    """Write recipients; their names may hold neither ``,`` nor ``;`` there (SendGrid's rule)."""
    return [
        _address(
            Address(item.email, " ".join(item.name.replace(",", " ").replace(";", " ").split()))
        )
        for item in addresses
    ]


def _address(address: Address) -> dict[str, str]:
    if not address.name:
        return {"email": address.email}
    return {"email": address.email, "name": address.name}


def _attachment(attachment: Attachment) -> dict[str, str]:
    found = {
        "content": attachment.content,
        "type": attachment.type,
        "filename": attachment.filename,
        "disposition": attachment.disposition,
    }
    if attachment.content_id is not None:
        found["content_id"] = attachment.content_id
    return found

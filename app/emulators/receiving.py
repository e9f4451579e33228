"""Messages that somebody sends to us: made here, posted to our ingress as the services post them.

In: a text message or a mail in a developer's words. Out: what the ingress answered; of TwiML the
messages in it. Refuses malformed numbers, addresses and attachments.

Sources: twilio.com/docs/messaging/guides/webhook-request; PROTOCOLS, SendGrid, for Inbound Parse.
"""

import base64
import binascii
import secrets
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final
from urllib.parse import urlencode
from xml.etree import ElementTree as ET

import msgspec
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from actors.ports import Clock
from app.emulators.accounts import DEV_NUMBER, Accounts
from app.emulators.inbound_mail import Attachment, InboundMail, build_parts
from app.emulators.ingress_client import IngressAnswer, IngressClient
from app.emulators.segments import count_segments
from app.providers.sms_twilio.numbers import Sender, Url

TWIML_CHARS_MAX: Final = 64 * 1024
ATTACHMENTS_MAX: Final = 20
TEXT_CHARS_MAX: Final = 2 * 1024 * 1024

_STRICT: Final = ConfigDict(extra="forbid", strict=True, frozen=True, populate_by_name=True)


def _check_tenant(value: str) -> str:
    if not value or not all(char.isascii() and (char.isalnum() or char in "-_") for char in value):
        raise ValueError("is no tenant's name")
    return value


def _check_email(value: str) -> str:
    if "@" not in value or not value.isprintable():
        raise ValueError("is no e-mail address")
    return value


def _decode_base64(value: str) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("is no base64") from None


def _check_base64(value: str) -> str:
    _decode_base64(value)
    return value


Tenant = Annotated[str, Field(max_length=63), AfterValidator(_check_tenant)]
Email = Annotated[str, Field(max_length=320), AfterValidator(_check_email)]
Text = Annotated[str, Field(max_length=TEXT_CHARS_MAX)]


class ReceiveSms(BaseModel):
    """A text message to be received."""

    model_config = _STRICT

    tenant: Tenant
    sender: Sender = Field(alias="from")
    to: Sender | None = None
    body: Annotated[str, Field(max_length=1600)] = ""
    media: Annotated[list[Url], Field(max_length=10)] = Field(default_factory=list)


class ReceivedAttachment(BaseModel):
    """A file of a mail; its content in base64."""

    model_config = _STRICT

    filename: Annotated[str, Field(min_length=1, max_length=255)]
    content: Annotated[str, AfterValidator(_check_base64)]
    type: Annotated[str, Field(max_length=127, pattern=r"^[a-z0-9!#$&^_.+-]+/[a-z0-9!#$&^_.+-]+$")]


class ReceiveEmail(BaseModel):
    """A mail to be received."""

    model_config = _STRICT

    tenant: Tenant
    sender: Email = Field(alias="from")
    to: Email | None = None
    subject: Annotated[str, Field(max_length=988, pattern=r"^[^\r\n]*$")] = ""
    text: Text = ""
    html: Text = ""
    attachments: Annotated[list[ReceivedAttachment], Field(max_length=ATTACHMENTS_MAX)] = Field(
        default_factory=list
    )


class Receiver:
    """Makes the services' posts."""

    def __init__(
        self, ingress: IngressClient, accounts: Callable[[], Accounts], clock: Clock
    ) -> None:
        self._ingress = ingress
        self._accounts = accounts
        self._clock = clock

    async def receive_sms(self, sms: ReceiveSms) -> dict[str, Any]:
        """Post a text message; gives the answer, and the messages of its TwiML."""
        accounts = self._accounts()
        if accounts.account_sid is None or accounts.auth_token is None:
            return _as_document(_not_enabled("events-sms-twilio"))
        fields = _sms_fields(sms, accounts)
        target = f"/events/sms/twilio/{sms.tenant}/incoming"
        answer = await self._ingress.post_twilio(target, fields, accounts.auth_token)
        sid = dict(fields)["MessageSid"]
        return {**_as_document(answer), "message_sid": sid, "messages": read_twiml(answer.body)}

    async def receive_email(self, email: ReceiveEmail) -> dict[str, Any]:
        """Post a mail; gives the answer."""
        accounts = self._accounts()
        mail = InboundMail(
            sender=email.sender,
            to=email.to or accounts.inbound_email or "inbox@example.org",
            subject=email.subject,
            text=email.text,
            html=email.html,
            at_seconds=self._clock.now_ms() / 1000,
            attachments=[
                Attachment(each.filename, _decode_base64(each.content), each.type)
                for each in email.attachments
            ],
        )
        token = accounts.inbound_token
        query = "" if token is None else f"?{urlencode({'token': token})}"
        target = f"/events/email/sendgrid/{email.tenant}/inbound{query}"
        return _as_document(await self._ingress.post_parts(target, build_parts(mail)))


def read_twiml(text: str) -> list[str]:
    """Give the texts of the messages in a TwiML document; none where it is no such document."""
    if len(text) > TWIML_CHARS_MAX or "<!DOCTYPE" in text:
        return []  # it could define entities that expand without end
    try:
        document = ET.fromstring(text)  # noqa: S314 - no DTD, and of bounded length
    except ET.ParseError:
        return []
    if document.tag != "Response":
        return []
    return [_message_text(each) for each in document.iter("Message")]


def _message_text(message: ET.Element) -> str:
    body = message.find("Body")
    return (message.text if body is None else body.text) or ""


def _sms_fields(sms: ReceiveSms, accounts: Accounts) -> list[tuple[str, str]]:
    sid = f"{'MM' if sms.media else 'SM'}{secrets.token_hex(16)}"
    fields = [
        ("ToCountry", ""),
        ("SmsMessageSid", sid),
        ("NumMedia", str(len(sms.media))),
        ("SmsSid", sid),
        ("SmsStatus", "received"),
        ("FromCountry", ""),
        ("To", sms.to or accounts.from_number or DEV_NUMBER),
        ("NumSegments", str(count_segments(sms.body))),
        ("MessageSid", sid),
        ("AccountSid", accounts.account_sid or ""),
        ("From", sms.sender),
        ("Body", sms.body),
        ("ApiVersion", "2010-04-01"),
    ]
    for number, url in enumerate(sms.media):
        fields += [(f"MediaUrl{number}", url), (f"MediaContentType{number}", _media_type(url))]
    return fields


_MEDIA_TYPES: Final[Mapping[str, str]] = {
    "gif": "image/gif",
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    "mp4": "video/mp4",
    "png": "image/png",
}


def _media_type(url: str) -> str:
    ending = url.partition("?")[0].rpartition(".")[2].lower()
    return _MEDIA_TYPES.get(ending, "application/octet-stream")


def _as_document(answer: IngressAnswer) -> dict[str, Any]:
    return {
        "status": answer.status,
        "accepted": 200 <= answer.status < 300,  # noqa: PLR2004 - HTTP's own border
        "media_type": answer.media_type,
        "body": answer.body,
        "event_id": _event_id(answer),
    }


def _event_id(answer: IngressAnswer) -> str | None:
    if "json" not in answer.media_type:
        return None
    try:
        document = msgspec.json.decode(answer.body.encode())
    except (msgspec.DecodeError, RecursionError):
        return None
    found = document.get("event_id") if isinstance(document, dict) else None
    return found if isinstance(found, str) else None


def _not_enabled(name: str) -> IngressAnswer:
    return IngressAnswer(0, "", f"{name} is not enabled in this bundle")

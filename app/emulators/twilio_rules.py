"""What the emulated Messages API refuses, and the numbers that make it refuse.

In: the fields of a request. Out: a `Refusal`, or a `Message` to be taken. The magic numbers are
those of Twilio's test credentials; a few of our own let a message fail later, on its way.

Sources: twilio.com/docs/iam/test-credentials; twilio.com/docs/api/errors.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from app.providers.sms_twilio.arguments import BODY_CHARS_MAX, MEDIA_MAX
from app.providers.sms_twilio.numbers import check_sender, check_service_sid, check_url, is_e164

Fields = Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error of the API."""

    code: int
    message: str
    status: int = 400

    def as_document(self) -> dict[str, object]:
        """Give it as Twilio writes it."""
        return {
            "code": self.code,
            "message": self.message,
            "more_info": f"https://www.twilio.com/docs/errors/{self.code}",
            "status": self.status,
        }


@dataclass(frozen=True, slots=True)
class Message:
    """A message that is taken."""

    to: str
    sender: str | None
    service: str | None
    body: str
    media: Sequence[str]
    callback: str | None


AUTHENTICATE: Final = Refusal(20003, "Authenticate", 401)
NOT_FOUND: Final = Refusal(20404, "The requested resource was not found", 404)
TOO_LARGE: Final = Refusal(20413, "The request is too large", 413)

MAGIC_TO: Final[Mapping[str, Refusal]] = {
    "+15005550001": Refusal(21211, "Invalid 'To' number: +15005550001"),
    "+15005550002": Refusal(21612, "The 'To' number +15005550002 cannot be reached"),
    "+15005550003": Refusal(21408, "No permission to send to the region of +15005550003"),
    "+15005550004": Refusal(21610, "The recipient +15005550004 has unsubscribed"),
    "+15005550009": Refusal(21614, "The 'To' number +15005550009 is no mobile number"),
}
MAGIC_FROM: Final[Mapping[str, Refusal]] = {
    "+15005550001": Refusal(21212, "Invalid 'From' number: +15005550001"),
    "+15005550007": Refusal(21606, "The 'From' number +15005550007 cannot send messages"),
    "+15005550008": Refusal(21611, "The queue of the 'From' number +15005550008 is full", 429),
}

_FAILS_LATER = re.compile(r"\+1500555(300[1-8])")
_FAILED_CODES: Final = frozenset({30001, 30002})
"""Twilio gives these up itself, so the status is ``failed``; the others a carrier reports."""


def read_message(fields: Fields) -> Message | Refusal:
    """Check a request in the order of its fields; the first thing wrong is told."""
    message = Message(
        to=_one(fields, "To"),
        sender=_one(fields, "From") or None,
        service=_one(fields, "MessagingServiceSid") or None,
        body=_one(fields, "Body"),
        media=[url for url in fields.get("MediaUrl", ()) if url],
        callback=_one(fields, "StatusCallback") or None,
    )
    for check in (_check_to, _check_sender, _check_content, _check_urls):
        refusal = check(message)
        if refusal is not None:
            return refusal
    return message


def fate_of(to: str) -> tuple[str, int | None]:
    """Give the last status of a message to this number, and its error code if it fails.

    ``+1500555300N`` fails with 3000N.
    """
    found = _FAILS_LATER.fullmatch(to)
    if found is None:
        return "delivered", None
    code = 30000 + int(found[1][-1])
    return ("failed" if code in _FAILED_CODES else "undelivered"), code


def _one(fields: Fields, name: str) -> str:
    values = fields.get(name, ())
    return values[-1] if values else ""


def _check_to(message: Message) -> Refusal | None:
    if not message.to:
        return Refusal(21604, "A 'To' phone number is required")
    if message.to in MAGIC_TO:
        return MAGIC_TO[message.to]
    if not is_e164(message.to):
        return Refusal(21211, f"Invalid 'To' number: {message.to[:50]}")
    return None


def _check_sender(message: Message) -> Refusal | None:
    if message.sender is None and message.service is None:
        return Refusal(21603, "A 'From' number or a 'MessagingServiceSid' is required")
    if message.service is not None and not _passes(check_service_sid, message.service):
        return NOT_FOUND
    if message.sender is None:
        return None
    if message.sender in MAGIC_FROM:
        return MAGIC_FROM[message.sender]
    if not _passes(check_sender, message.sender):
        return Refusal(21212, f"Invalid 'From' number: {message.sender[:50]}")
    return None


def _check_content(message: Message) -> Refusal | None:
    if not message.body and not message.media:
        return Refusal(21602, "A message needs a body or media")
    if len(message.body) > BODY_CHARS_MAX:
        return Refusal(21617, f"The body is longer than {BODY_CHARS_MAX} characters")
    if len(message.media) > MEDIA_MAX:
        return Refusal(21623, f"A message has at most {MEDIA_MAX} media")
    return None


def _check_urls(message: Message) -> Refusal | None:
    if not all(_passes(check_url, url) for url in message.media):
        return Refusal(21620, "Invalid media URL")
    if message.callback is not None and not _passes(check_url, message.callback):
        return Refusal(21609, "The 'StatusCallback' URL is not valid")
    return None


def _passes(check: Callable[[str], str], text: str) -> bool:
    try:
        check(text)
    except ValueError:
        return False
    return True

"""What incoming messages and status callbacks say, under names of our own.

In: the fields that Twilio posted. Out: an event's payload: all fields as they came, and beside them
the ones that flows need, in lower case and with proper types. Refuses, with InvalidEventError,
fields without a message's id.

Source: twilio.com/docs/messaging/guides/webhook-request and …/track-outbound-message-status;
twilio-oai for the statuses.
"""

from collections.abc import Mapping
from typing import Any, Final

from actors.errors import InvalidEventError
from app.providers.sms_twilio.failures import kind_of, whole

SID_CHARS_MAX: Final = 64
MEDIA_MAX: Final = 100
"""Twilio sends at most ten; other channels may have more."""

RANKS: Final[Mapping[str, int]] = {
    "scheduled": 1,
    "accepted": 2,
    "queued": 3,
    "receiving": 3,
    "sending": 4,
    "sent": 5,
    "canceled": 6,
    "partially_delivered": 6,
    "delivered": 7,
    "failed": 7,
    "received": 7,
    "undelivered": 7,
    "read": 8,
}
"""How far on its way a message of this status is: callbacks come out of order and more than once,
and one whose rank is not above the last one's tells nothing new."""

RANK_UNKNOWN: Final = 0
_FINAL: Final = frozenset({"canceled", "delivered", "failed", "read", "received", "undelivered"})


def incoming_payload(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Give the payload of ``twilio.sms.incoming``."""
    media = _media(fields)
    return {
        **fields,
        "message_sid": message_sid(fields),
        "from": _text(fields, "From"),
        "to": _text(fields, "To"),
        "body": _text(fields, "Body") or "",
        "num_media": len(media),
        "num_segments": whole(fields.get("NumSegments")) or 1,
        "media": media,
        "messaging_service_sid": _text(fields, "MessagingServiceSid"),
        "opt_out": _text(fields, "OptOutType"),
    }


def status_payload(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Give the payload of ``twilio.sms.status``."""
    status = message_status(fields)
    code = whole(fields.get("ErrorCode")) or None
    return {
        **fields,
        "message_sid": message_sid(fields),
        "from": _text(fields, "From"),
        "to": _text(fields, "To"),
        "status": status,
        "rank": RANKS.get(status, RANK_UNKNOWN),
        "is_final": status in _FINAL,
        "error_code": code,
        "error_kind": None if code is None else kind_of(code),
        "messaging_service_sid": _text(fields, "MessagingServiceSid"),
    }


def incoming_delivery_id(fields: Mapping[str, Any]) -> str:
    """Name the delivery of an incoming message: by the message's own id, which is signed.

    Twilio's header `I-Twilio-Idempotency-Token` is the same for a repeated request as well, but no
    signature covers it: who replays a request could give it a new one.
    """
    return message_sid(fields)


def status_delivery_id(fields: Mapping[str, Any]) -> str:
    """Name the delivery of a callback: a message has each status once, or once per error."""
    code = whole(fields.get("ErrorCode"))
    parts = [message_sid(fields), message_status(fields), *([] if not code else [str(code)])]
    return ":".join(parts)


def message_sid(fields: Mapping[str, Any]) -> str:
    """Give the message's id; older fields have it too."""
    for name in ("MessageSid", "SmsMessageSid", "SmsSid"):
        value = fields.get(name)
        if isinstance(value, str) and value:
            return _token(name, value)
    raise InvalidEventError("MessageSid", "is missing: this is no message")


def message_status(fields: Mapping[str, Any]) -> str:
    """Give the status, in lower case."""
    for name in ("MessageStatus", "SmsStatus"):
        value = fields.get(name)
        if isinstance(value, str) and value:
            return _token(name, value).lower()
    raise InvalidEventError("MessageStatus", "is missing: this is no status callback")


def _token(name: str, value: str) -> str:
    is_token = value.isascii() and value.replace("_", "").replace("-", "").isalnum()
    if len(value) > SID_CHARS_MAX or not is_token:
        raise InvalidEventError(name, f"is no word of letters and digits up to {SID_CHARS_MAX}")
    return value


def _text(fields: Mapping[str, Any], name: str) -> str | None:
    """Give a field's text; the last one of a field that came more than once."""
    value = fields.get(name)
    if isinstance(value, list) and value:
        value = value[-1]
    return value if isinstance(value, str) else None


def _media(fields: Mapping[str, Any]) -> list[dict[str, str | None]]:
    """List the media: as many as NumMedia says and as have a URL."""
    count = min(whole(fields.get("NumMedia")) or 0, MEDIA_MAX)
    listed = []
    for number in range(count):
        url = _text(fields, f"MediaUrl{number}")
        if url:
            listed.append({"url": url, "type": _text(fields, f"MediaContentType{number}")})
    return listed

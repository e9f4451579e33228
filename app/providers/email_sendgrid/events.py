"""SendGrid's Event Webhook: what became of mails that were sent.

In: a verified body, a JSON array. Out: an event ``email.<what happened>`` per entry, and
``email.unrecognized`` for one that is no object or says no event. Refuses bodies that are no array.
SendGrid posts the whole array again for days until it hears a 2xx, and a 2xx must not be said of
what is not stored (SPEC 9): so an odd entry is stored as what it is, for somebody to look at.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from actors.errors import InvalidEventError
from actors.events import check_event_type
from actors.ports import NormalizedEvent
from app.providers.email_sendgrid.metadata import DELIVERY_ID_CHARS_MAX, SOURCE, is_short_ascii
from app.providers.json_body import decode_json_body
from app.providers.provider import Inbound

EVENTS_BODY_BYTES_MAX: Final = 1024 * 1024
"""SendGrid posts when it has 768 KiB of events."""
ENTRIES_MAX: Final = 10_000

EVENT_TYPES: Final[Mapping[str, str]] = {
    "processed": "email.processed",
    "deferred": "email.deferred",
    "delivered": "email.delivered",
    "dropped": "email.dropped",
    "bounce": "email.bounced",
    "blocked": "email.blocked",
    "open": "email.opened",
    "click": "email.clicked",
    "spamreport": "email.spam_reported",
    "unsubscribe": "email.unsubscribed",
    "group_unsubscribe": "email.group_unsubscribed",
    "group_resubscribe": "email.group_resubscribed",
}
"""SendGrid's names and ours. One that SendGrid adds later keeps its own: ``email.<name>``."""

UNRECOGNIZED: Final = "email.unrecognized"
"""An entry that we cannot name: its payload is the ``entry`` and the ``problem``."""

RECEIVED: Final = "email.received"
"""What Inbound Parse makes; no entry of this webhook may come out as a mail that was received."""

_SLUG: Final = re.compile(r"[a-z0-9_-]{1,64}")


def receive_events(body: bytes, metadata: Mapping[str, Any]) -> Inbound:
    """Make the events of a post, in its order; InvalidEventError for a body that is no array."""
    entries = decode_json_body(body)
    if not isinstance(entries, list):
        raise InvalidEventError("payload", "must be an array of SendGrid's events")
    if len(entries) > ENTRIES_MAX:
        raise InvalidEventError("payload", f"has more than {ENTRIES_MAX} entries")
    return Inbound(events=[_event(entry, metadata) for entry in entries], is_batch=True)


def _event(entry: Any, metadata: Mapping[str, Any]) -> NormalizedEvent:
    delivery_id = _delivery_id(entry)
    event_type, payload = _read(entry)
    return NormalizedEvent(
        event_type=event_type,
        source=SOURCE,
        payload=payload,
        metadata=metadata if delivery_id is None else {**metadata, "delivery_id": delivery_id},
        delivery_id=delivery_id,
    )


def _read(entry: Any) -> tuple[str, Any]:
    """Give an entry's event type, and itself; or why it has none."""
    if not isinstance(entry, dict):
        return UNRECOGNIZED, {"entry": entry, "problem": "an entry must be an object"}
    try:
        return event_type_of(entry.get("event")), entry
    except InvalidEventError as error:
        return UNRECOGNIZED, {"entry": entry, "problem": str(error)}


def _delivery_id(entry: Any) -> str | None:
    delivery_id = entry.get("sg_event_id") if isinstance(entry, dict) else None
    if isinstance(delivery_id, str) and is_short_ascii(delivery_id, DELIVERY_ID_CHARS_MAX):
        return delivery_id
    return None


def event_type_of(name: Any) -> str:
    """Give our event type for SendGrid's name of an event; InvalidEventError where it has none."""
    if not isinstance(name, str):
        raise InvalidEventError("event", "must be the name of an event")
    known = EVENT_TYPES.get(name)
    if known is not None:
        return known
    if not _SLUG.fullmatch(name):
        raise InvalidEventError("event", "must be lower-case letters, digits, '_' and '-'")
    event_type = f"email.{name}"
    check_event_type(event_type)
    if event_type == RECEIVED:
        raise InvalidEventError("event", "must not say that a mail was received")
    return event_type

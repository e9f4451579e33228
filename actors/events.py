"""The event: six fields, the same for every provider (SPEC 1).

In: a decoded JSON document, or the parts an ingress collected. Out: an immutable `Event`. Refuses
any document that breaks a rule of SPEC 1 with the field's name. Bytes are the bus's business.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from actors.errors import InvalidEventError

EVENT_TYPE_BYTES_MAX: Final = 128
EVENT_TYPE_TOKENS_MAX: Final = 8
EVENT_ID_CHARS_MAX: Final = 128
SOURCE_CHARS_MAX: Final = 512
JSON_DEPTH_MAX: Final = 64

CORRELATION_ID: Final = "correlation_id"
"""In an event's metadata: what all that comes of one thing has in common."""
CORRELATION_ID_BYTES_MAX: Final = 128

RESERVED_PREFIXES: Final = ("timer.", "email.", "twilio.")
"""Event types that only their own provider may publish (SPEC 1)."""

_EVENT_TYPE = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*")
_EVENT_ID = re.compile(r"[\x21-\x7e]+")
_FIELDS = frozenset({"id", "event_type", "source", "timestamp", "payload", "metadata"})


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened, as it travels on the bus.

    ``timestamp`` is when we accepted it, in milliseconds since the epoch. ``payload`` is any JSON
    value and is shared, never copied: whoever reads it must not change it.
    """

    id: str
    event_type: str
    source: str
    timestamp: int
    payload: Any
    metadata: Mapping[str, Any] | None = None

    def as_mapping(self) -> dict[str, Any]:
        """Give the six fields under their public names; absent metadata is left out."""
        document = {
            "id": self.id,
            "event_type": self.event_type,
            "source": self.source,
            "timestamp": self.timestamp,
            "payload": self.payload,
        }
        if self.metadata is not None:
            document["metadata"] = self.metadata
        return document


def parse_event(document: object) -> Event:
    """Read an event from a decoded JSON document; `Event.as_mapping` is its inverse.

    Raises InvalidEventError naming the first field that breaks a rule. Unknown fields are refused:
    a misspelt ``metdata`` must not vanish silently.
    """
    if not isinstance(document, dict):
        raise InvalidEventError("event", "must be a JSON object with the six fields of an event")
    unknown = document.keys() - _FIELDS
    if unknown:
        raise InvalidEventError(min(map(str, unknown)), "is no field of an event")
    if "payload" not in document:
        raise InvalidEventError("payload", "is missing; null is allowed, but must be spelled out")
    metadata = document.get("metadata")
    if metadata is not None and not isinstance(metadata, dict):
        raise InvalidEventError("metadata", "must be an object or absent")
    event_type = _text(document, "event_type", EVENT_TYPE_BYTES_MAX)
    check_event_type(event_type)
    return Event(
        id=_event_id(document),
        event_type=event_type,
        source=_text(document, "source", SOURCE_CHARS_MAX),
        timestamp=_timestamp(document),
        payload=document["payload"],
        metadata=metadata,
    )


@lru_cache(maxsize=4096)
def check_event_type(event_type: str) -> None:
    """Refuse a name that is no event type (SPEC 1): InvalidEventError says which rule it breaks."""
    if len(event_type) > EVENT_TYPE_BYTES_MAX:
        raise InvalidEventError("event_type", f"is longer than {EVENT_TYPE_BYTES_MAX} bytes")
    if not _EVENT_TYPE.fullmatch(event_type):
        raise InvalidEventError(
            "event_type",
            f"{event_type!r} must be dotted lower-case tokens of letters, digits, '_' and '-',"
            " like 'order.created'",
        )
    if event_type.count(".") >= EVENT_TYPE_TOKENS_MAX:
        raise InvalidEventError("event_type", f"has more than {EVENT_TYPE_TOKENS_MAX} tokens")
    if event_type == "result" or event_type.endswith(".result"):
        raise InvalidEventError(
            "event_type", "must not end in '.result': that subject carries results"
        )


def correlation_of(event: Event) -> str | None:
    """Give what an event has in common with others that come of the same thing, if it says so."""
    if event.metadata is None:
        return None
    value = event.metadata.get(CORRELATION_ID)
    return value if isinstance(value, str) and is_correlation_id(value) else None


def handed_on(event: Event) -> str:
    """Give the correlation id of what comes of an event: its own, or its id where it has none."""
    return correlation_of(event) or event.id


def is_correlation_id(text: str) -> bool:
    """Tell whether a text may be one: 1 to 128 bytes, printable, no blanks at its ends."""
    if not text or len(text) > CORRELATION_ID_BYTES_MAX or not text.isprintable():
        return False
    is_short = text.isascii() or len(text.encode()) <= CORRELATION_ID_BYTES_MAX
    return is_short and text == text.strip()


def is_reserved(event_type: str) -> bool:
    """Tell whether only one of our own providers may publish this type."""
    return event_type.startswith(RESERVED_PREFIXES)


def json_depth_exceeds(value: object, depth_max: int = JSON_DEPTH_MAX) -> bool:
    """Tell whether a JSON value nests containers deeper than ``depth_max``; never recurses."""
    level = _containers([value])
    for _ in range(depth_max):
        level = _containers(child for item in level for child in _children(item))
        if not level:
            return False
    return True


def _containers(items: Iterable[object]) -> list[object]:
    return [item for item in items if isinstance(item, dict | list)]


def _children(item: object) -> Iterable[object]:
    return item.values() if isinstance(item, dict) else item if isinstance(item, list) else ()


def _event_id(document: dict[str, Any]) -> str:
    value = _text(document, "id", EVENT_ID_CHARS_MAX)
    if not _EVENT_ID.fullmatch(value):
        raise InvalidEventError("id", "must be printable ASCII without blanks")
    return value


def _text(document: dict[str, Any], field: str, chars_max: int) -> str:
    value = document.get(field)
    if not isinstance(value, str) or not value:
        raise InvalidEventError(field, "must be a non-empty string")
    if len(value) > chars_max:
        raise InvalidEventError(field, f"is longer than {chars_max} characters")
    if not value.isascii() and any("\ud800" <= char <= "\udfff" for char in value):
        raise InvalidEventError(field, "must be valid Unicode")
    return value


def _timestamp(document: dict[str, Any]) -> int:
    value = document.get("timestamp")
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 63:
        raise InvalidEventError(
            "timestamp", "must be whole milliseconds since the epoch, not negative"
        )
    return value

"""Events as a tenant's stream keeps them, to be looked at.

In: messages of the stream. Out: values, of which a message that is no event, or that stands under
another type than it names, is a damaged one: it can be seen, and is never the end of a listing.
Results, which lie in the same stream, are no events. Times are milliseconds since the epoch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec

from actors.errors import InvalidEventError, InvalidSubjectError
from actors.events import Event
from actors.subjects import parse_event_subject
from app.bus.codec import decode_event
from app.bus.direct import StoredMessage
from app.bus.headers import EVENT_ID, read_hops

SEQUENCE_MARK: Final = "@"
"""Begins an event's other name: its place in the stream. No id that we give begins with it."""
STORED_AT: Final = "Nats-Time-Stamp"


class _Head(msgspec.Struct):
    """What a listing shows of an event: its payload is not even decoded."""

    id: str
    event_type: str
    source: str
    timestamp: int
    metadata: dict[str, Any] | None = None


_HEADS: Final = msgspec.json.Decoder(_Head)


@dataclass(frozen=True, slots=True)
class KeptEvent:
    """An event where it is kept. ``event`` None: it is damaged, and ``damage`` says how."""

    sequence: int
    stored_ms: int
    event_type: str
    """As the subject says it."""
    size: int
    hops: int
    event: Event | None
    """In a listing without its payload."""
    damage: str | None = None

    def as_summary(self) -> dict[str, Any]:
        """Give what a listing shows: no payload and no metadata, which may be anybody's data."""
        summary: dict[str, Any] = {
            "sequence": self.sequence,
            "stored_ms": self.stored_ms,
            "event_type": self.event_type,
            "bytes": self.size,
            "hops": self.hops,
        }
        if self.event is None:
            return {**summary, "id": None, "damage": self.damage}
        metadata = self.event.metadata or {}
        return {
            **summary,
            "id": self.event.id,
            "source": self.event.source,
            "timestamp": self.event.timestamp,
            "causation_id": _text(metadata.get("causation_id")),
            "test": metadata.get("test") is True,
        }

    def as_document(self) -> dict[str, Any]:
        """Give all of it."""
        if self.event is None:
            return self.as_summary()
        event = self.event.as_mapping()
        return {
            **self.as_summary(),
            "payload": event["payload"],
            "metadata": event.get("metadata"),
        }


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events are meant."""

    pattern: str = ">"
    """A type, or a pattern of types with ``*`` and ``>``."""
    since_ms: int | None = None
    """Stored at this time or later."""
    until_ms: int | None = None
    """Stored before this time."""


@dataclass(frozen=True, slots=True)
class EventPage:
    """Events without payloads. ``next_after`` None: there are no more."""

    events: Sequence[KeptEvent]
    next_after: int | None


def is_event(message: StoredMessage, env: str, tenant: str) -> bool:
    """Tell whether a message of this tenant's stream is an event, and no result."""
    try:
        subject = parse_event_subject(message.subject)
    except InvalidSubjectError:
        return False
    return (subject.env, subject.tenant) == (env, tenant) and not subject.is_result


def stored_ms_of(message: StoredMessage) -> int:
    """Give when a message was stored; 0 where nobody says."""
    try:
        return int(datetime.fromisoformat(message.headers.get(STORED_AT, "")).timestamp() * 1000)
    except ValueError:
        return 0


def event_id_of(message: StoredMessage) -> str | None:
    """Give a stored event's id without reading more of it than is needed."""
    named = message.headers.get(EVENT_ID)
    if named is not None:
        return named
    head = _head(message.data)
    return None if isinstance(head, str) else head.id


def keep_whole(message: StoredMessage) -> KeptEvent:
    """Read a stored event."""
    try:
        event = decode_event(message.data)
    except InvalidEventError as error:
        return _keep(message, None, str(error))
    return _keep(message, event)


def keep_head(message: StoredMessage) -> KeptEvent:
    """Read a stored event but for its payload."""
    head = _head(message.data)
    if isinstance(head, str):
        return _keep(message, None, head)
    return _keep(
        message, Event(head.id, head.event_type, head.source, head.timestamp, None, head.metadata)
    )


def _keep(message: StoredMessage, event: Event | None, damage: str | None = None) -> KeptEvent:
    event_type = parse_event_subject(message.subject).event_type
    if event is not None and event.event_type != event_type:
        event, damage = None, "event_type: is not that of the subject"
    return KeptEvent(
        sequence=message.sequence,
        stored_ms=stored_ms_of(message),
        event_type=event_type,
        size=len(message.data),
        hops=read_hops(message.headers),
        event=event,
        damage=damage,
    )


def _head(data: bytes) -> _Head | str:
    try:
        return _HEADS.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError, RecursionError) as error:
        return f"event: {error}"


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None

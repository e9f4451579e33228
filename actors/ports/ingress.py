"""What the core needs to take events in and to publish them.

In: verified requests, events. Out: normalized events, acknowledgements.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from actors.events import Event

# ── Taking events in ────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class InboundRequest:
    """What came to a provider's door, verified but not yet understood. Header names lower-case."""

    event_type: str
    headers: Mapping[str, str]
    query: Mapping[str, str]
    body: bytes
    signature: str | None = None
    """Which configured signature entry matched; None where none was asked for."""


@dataclass(frozen=True, slots=True)
class NormalizedEvent:
    """An event without its identity: what a provider makes of a request (SPEC 1)."""

    event_type: str
    source: str
    payload: Any
    metadata: Mapping[str, Any]
    delivery_id: str | None = None
    """The provider's own id of this delivery: it feeds deduplication, not the event's id."""


class Normalizer(Protocol):
    """The inbound half of a provider that turns a verified request into an event."""

    def normalize(self, request: InboundRequest) -> NormalizedEvent:
        """Pure and quick. InvalidEventError names the field that is wrong."""
        ...


# ── Publishing events ───────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Envelope:
    """An event on its way to the bus, with what concerns only its transport."""

    tenant: str
    event: Event
    message_id: str
    """The stream keeps one message per id within its duplicate window (DESIGN 3)."""
    reply_to: str | None = None
    """Where workers send answers for a waiting webhook; see `subjects.reply_subject`."""
    hops: int = 0
    """How many `event` nodes led here: a chain of flows that feeds itself must end."""


@dataclass(frozen=True, slots=True)
class PublishAck:
    """The bus stored the event, or had it already: then ``event_id`` is the first one's."""

    event_id: str
    sequence: int
    is_duplicate: bool = False


class EventPublisher(Protocol):
    """Stores events. A returned acknowledgement means durable; nothing else does."""

    def publish(self, envelope: Envelope) -> "asyncio.Future[PublishAck]":
        """Send at once and give a future of the acknowledgement. Fails with UnavailableError."""
        ...

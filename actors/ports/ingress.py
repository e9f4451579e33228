"""What the core needs to take events in and to publish them.

In: what providers made of verified requests, events. Out: acknowledgements.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from actors.events import Event

# ── Taking events in ────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class NormalizedEvent:
    """An event without its identity: what a provider makes of a verified request (SPEC 1)."""

    event_type: str
    source: str
    payload: Any
    metadata: Mapping[str, Any]
    delivery_id: str | None = None
    """The provider's own id of this delivery: it feeds deduplication, not the event's id."""


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

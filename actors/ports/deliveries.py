"""What the core needs to be handed events, and to go on with runs later.

In: a tenant. Out: deliveries to settle, continuations and journal entries that last.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from actors.events import Event
from actors.outcomes import Settlement

# ── Receiving deliveries ────────────────────────────────────────────────────────────────────────


class Delivery(Protocol):
    """One attempt of the bus to hand an event over. It must be settled exactly once."""

    @property
    def event(self) -> Event:
        """The event, decoded and checked."""
        ...

    @property
    def sequence(self) -> int:
        """Its place in the stream, from 1."""
        ...

    @property
    def num_delivered(self) -> int:
        """How often the bus has handed it over, from 1."""
        ...

    @property
    def reply_to(self) -> str | None:
        """Where a waiting webhook listens, already checked to be a reply subject."""
        ...

    @property
    def hops(self) -> int:
        """See `Envelope.hops`."""
        ...

    @property
    def continuation(self) -> "Continuation | None":
        """Set when this came through WORK: which run to start or go on with."""
        ...

    @property
    def kept_alive_at(self) -> float:
        """When the bus last heard that we work on it, on the monotonic clock, in seconds."""
        ...

    def settle(self, settlement: Settlement) -> None:
        """Say ack, nak or term; never blocks. A second call is a bug and raises ValueError."""
        ...

    def keep_alive(self) -> None:
        """Say that work goes on, so that the bus does not hand it to another worker."""
        ...


class Deliveries(Protocol):
    """A tenant's incoming deliveries. Results are acked unseen; what is no event is parked."""

    async def pull(self, messages_max: int) -> Sequence[Delivery]:
        """Wait for at least one delivery; give up to ``messages_max``. Empty once closed."""
        ...

    async def close(self) -> None:
        """Stop pulling; what was fetched and not handed out is given back with nak."""
        ...


# ── Continuations and the journal ───────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Continuation:
    """A run that starts or goes on later, as it waits in WORK. ``due_ms`` 0 means now."""

    run_id: str
    flow: str
    event: Event
    attempt: int = 1
    due_ms: int = 0
    parent_run_id: str | None = None
    hops: int = 0
    trigger: int | None = None
    """Number of the trigger that starts it; None goes on, or starts a sub-run."""
    round: int = 0
    """How often it was put off before it began."""


class Continuations(Protocol):
    """Durable beginnings of later runs."""

    async def schedule(self, tenant: str, continuation: Continuation) -> None:
        """Store it; the same run id, attempt and round again is one continuation."""
        ...


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """The outcome of one effect. ``step`` is its place in the run: `{step}:{iteration}`."""

    step: str
    value: Any


class Journal(Protocol):
    """Write-once memory of a run's effects."""

    async def read(self, tenant: str, run_id: str) -> Sequence[JournalEntry]:
        """Give the entries of a run in the order written; none for a fresh run."""
        ...

    async def write(self, tenant: str, run_id: str, entry: JournalEntry) -> bool:
        """Store one entry; False when that step was already written: another worker took over."""
        ...

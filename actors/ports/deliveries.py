"""What the core needs to be handed events, and to go on with runs later.

In: a tenant. Out: deliveries to settle, continuations and journal entries that last.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

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
    def may_be_repeated(self) -> bool:
        """False only where the bus can rule out that anybody was handed this before."""
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
    """From 1; each retry is one more (DESIGN 4: it lives here, never in ``num_delivered``)."""
    due_ms: int = 0
    parent_run_id: str | None = None
    hops: int = 0
    trigger: int | None = None
    """Number of the trigger that started it, whose filter held; None: it is a sub-run."""
    round: int = 0
    """How often it was put off before it began."""
    leg: int = 0
    """How often it has gone on since it began; 0: it has not begun, or nobody knows."""
    retries: Mapping[str, int] = field(default_factory=dict)
    """Retries made so far, by step (``{step}:{iteration}``); under ``""`` the flow's own."""
    spent_ms: int = 0
    """How long it has run in its earlier legs: waiting does not count against its timeout."""
    version: str | None = None
    """`Deployment.version_of` the flow it began with; None: whichever is in force."""
    reply_to: str | None = None
    """Where a waiting webhook listens."""
    events: tuple[Event, ...] = ()
    """The events of a batch (SPEC 8); ``event`` is the first of them."""


class Continuations(Protocol):
    """Durable beginnings of later runs."""

    async def schedule(
        self, tenant: str, continuation: Continuation, *, lane: str | None = None
    ) -> None:
        """Store it; the same run id, attempt, round and leg again is one continuation.

        With ``lane`` it comes due on that private lane (`CompiledFlow.lane`), else to any worker of
        the tenant. A run has one schedule at most: another ``due_ms`` moves it.
        """
        ...


class RunLegs(Protocol):
    """What waits, or is worked on, of runs that were put off."""

    async def latest(self, tenant: str, run_id: str) -> Continuation | None:
        """Give the run's continuation that is due, else the one that waits for its time.

        None where WORK has neither. What lies on private lanes is not looked at: a lane knows its
        runs. UnavailableError.
        """
        ...


class NoRunLegs:
    """For worlds in which no run is put off."""

    async def latest(self, tenant: str, run_id: str) -> Continuation | None:  # noqa: ARG002
        """Find nothing."""
        return None


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """The outcome of one effect. ``step`` is its place in the run: `{step}:{iteration}`."""

    step: str
    value: Any
    """JSON, at most `JOURNAL_VALUE_BYTES_MAX` of it; what it means is the runs' own business."""


JOURNAL_VALUE_BYTES_MAX: Final = 320 * 1024
"""A node's output (SPEC 13: 256 KiB), and what stands around it."""


class Journal(Protocol):
    """Write-once memory of a run's effects."""

    async def read(self, tenant: str, run_id: str) -> Sequence[JournalEntry]:
        """Give the entries of a run in the order written; none for a fresh run."""
        ...

    async def write(
        self, tenant: str, run_id: str, entry: JournalEntry, *, ttl_seconds: int
    ) -> bool:
        """Store one entry for ``ttl_seconds``; False when another writer had that step before.

        True once it is stored. A write that is repeated inside, since its acknowledgement was
        lost, is the same write; so is one of the same entry object after UnavailableError.
        """
        ...


class NoJournal:
    """For worlds in which no run ever comes again."""

    async def read(self, tenant: str, run_id: str) -> Sequence[JournalEntry]:  # noqa: ARG002
        """Remember nothing."""
        return ()

    async def write(
        self,
        tenant: str,  # noqa: ARG002
        run_id: str,  # noqa: ARG002
        entry: JournalEntry,  # noqa: ARG002
        *,
        ttl_seconds: int,  # noqa: ARG002
    ) -> bool:
        """Need not keep it."""
        return True

"""What the core needs of the world: one Protocol per need, with units and errors in a line each.

In: the core's own values. Out: the world's answers. Adapters live in ``app``; in-memory twins in
``actors.testing``; the contract tests run on both. Any port may raise UnavailableError.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from actors.events import Event
from actors.outcomes import Answer, Ended, RunError, RunResult, Settlement

# ── Publishing events ────────────────────────────────────────────────────────────────────────


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


# ── Taking events in ─────────────────────────────────────────────────────────────────────────


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


# ── Receiving deliveries ─────────────────────────────────────────────────────────────────────


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


# ── Continuations and the journal ────────────────────────────────────────────────────────────


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


class Continuations(Protocol):
    """Durable beginnings of later runs."""

    async def schedule(self, tenant: str, continuation: Continuation) -> None:
        """Store it; the same run id and attempt again is one continuation."""
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


# ── Results, records, dead letters, answers ──────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class PublishedResult:
    """A result with the event type whose ``.result`` subject it goes to."""

    tenant: str
    event_type: str
    result: RunResult


class Results(Protocol):
    """Publishes results, one per run id within the duplicate window."""

    async def publish_all(self, results: Sequence[PublishedResult]) -> None:
        """Return once every one of them is stored; UnavailableError if any may not be."""
        ...


@dataclass(frozen=True, slots=True)
class RunRecord:
    """What history keeps of a run: its result, where it came from and the way it took."""

    tenant: str
    event_type: str
    trigger: str
    result: RunResult
    path: Sequence[str] = field(default_factory=tuple)
    """Step ids in the order taken, at most as many as SPEC 13 allows steps."""
    parent_run_id: str | None = None


class RunRecords(Protocol):
    """Keeps run records for history."""

    async def write_all(self, records: Sequence[RunRecord]) -> None:
        """Return once all are stored. A record may be stored twice after a crash."""
        ...


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """What could not be finished: a failed run's event, or a message that is no event."""

    tenant: str
    reason: str
    error: RunError
    attempts: int
    letter_id: str
    """The run id, or for a message its stream and sequence: repeats are one letter."""
    event: Event | None = None
    flow: str | None = None
    raw: bytes | None = None
    subject: str | None = None


class DeadLetters(Protocol):
    """Keeps dead letters until somebody replays or discards them."""

    async def park(self, letter: DeadLetter) -> None:
        """Return once it is stored."""
        ...


class Answers(Protocol):
    """Speaks to a webhook that waits on its reply subject. Best effort: it may be gone."""

    def send(self, reply_to: str, message: Answer | Ended) -> None:
        """Send without waiting; an unreachable listener is no error."""
        ...


# ── The world behind nodes ───────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class StateScope:
    """Whose state: the tenant's, a team's or a session's."""

    tenant: str
    team: str | None = None
    session: str | None = None


@dataclass(frozen=True, slots=True)
class StateEntry:
    """A stored value with the revision that a compare-and-set names; absent is revision 0."""

    value: Any
    revision: int


class StateStore(Protocol):
    """Durable key-value state of flows. Keys are any text up to 256 bytes."""

    async def get(self, scope: StateScope, key: str) -> StateEntry:
        """Read; an absent or expired key is ``StateEntry(None, revision)``."""
        ...

    async def put(
        self,
        scope: StateScope,
        key: str,
        value: Any,
        *,
        revision: int | None = None,
        ttl_seconds: float | None = None,
    ) -> bool:
        """Write; with ``revision`` only if nobody wrote since (False tells that somebody did)."""
        ...

    async def delete(self, scope: StateScope, key: str) -> None:
        """Forget the key; an absent one is no error."""
        ...


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """An outbound call. ``url`` is absolute http(s); ``body`` is what goes over the wire."""

    method: str
    url: str
    headers: Sequence[tuple[str, str]] = ()
    body: bytes | None = None
    timeout_seconds: float = 30.0
    body_bytes_max: int = 256 * 1024


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """The answer, read whole within ``HttpRequest.body_bytes_max``; header names lower-case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class HttpCaller(Protocol):
    """Calls out. Any status is an answer, not an error."""

    async def call(self, tenant: str, request: HttpRequest) -> HttpResponse:
        """Send the request and read the answer.

        TransientError: no answer (`http.timeout`, `http.connect`). PermanentError: the request was
        refused (`http.refused`) or the body is too large (`too_large`).
        """
        ...


class ProviderActions(Protocol):
    """Actions of outbound providers (`send`); the catalogue comes with the providers."""

    async def perform(
        self, tenant: str, provider: str, action: str, arguments: Mapping[str, Any]
    ) -> Any:
        """Perform one action and give its receipt; TransientError or PermanentError."""
        ...


class Ticks(Protocol):
    """What the stream remembers of a timer: its last stored tick is the record of its firing."""

    async def last_ms(self, tenant: str, event_type: str) -> int | None:
        """Give the scheduled time of the last tick stored, in ms; None if it never fired."""
        ...


class Secrets(Protocol):
    """A tenant's secrets. Values go into outbound calls only."""

    async def get(self, tenant: str, name: str) -> str | None:
        """Give the secret, or None where there is none of that name."""
        ...


# ── Time, names, observation ─────────────────────────────────────────────────────────────────


class Clock(Protocol):
    """The only source of time."""

    def now_ms(self) -> int:
        """Wall clock: milliseconds since the epoch."""
        ...

    def monotonic(self) -> float:
        """Seconds on a clock that never goes back, for measuring and waiting."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait; returns at once for zero or less."""
        ...


class Ids(Protocol):
    """The only source of fresh identities."""

    def event_id(self) -> str:
        """Give a new ULID."""
        ...


class Observer(Protocol):
    """Hears what happened (`actors.observations`); must be quick and must not raise."""

    def observe(self, observation: object) -> None:
        """Take one observation."""
        ...

"""What outlives every worker: the streams, the journal, the stores, and the world outside.

In: what workers' calls carry out. Out: the same twins that unit tests use, and a history of all
that has lasting meaning, in the one order in which it happened.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from actors.errors import NodeError, PermanentError, TransientError
from actors.events import Event
from actors.ports import (
    ActionRequest,
    Continuation,
    DeadLetter,
    Envelope,
    HttpRequest,
    HttpResponse,
    JournalEntry,
    PublishAck,
    PublishedResult,
    RunRecord,
)
from actors.testing.clock import EPOCH_MS_DEFAULT
from actors.testing.dead_letters import MemoryDeadLetters
from actors.testing.deliveries import MemoryDelivery, MemoryEventStream
from actors.testing.journal import MemoryJournal
from actors.testing.publisher import MemoryPublisher
from actors.testing.results import MemoryResults
from actors.testing.run_records import MemoryRunRecords
from actors.testing.state import MemoryStateStore
from actors.testing.work import MemoryWork
from tests.simulation.faults import ACK_WAIT_SECONDS
from tests.simulation.loop import SimulatedLoop
from tests.simulation.network import at_once

TENANT: Final = "demo"

FORGOTTEN_SECONDS: Final = 0.2
"""Of acknowledgements that a killed server has not written down yet."""


class LoopClock:
    """Twin of the Clock port that goes with the simulation's loop."""

    def __init__(self, loop: SimulatedLoop, *, skew_ms: int = 0) -> None:
        self._loop = loop
        self._skew_ms = skew_ms

    def now_ms(self) -> int:
        """Wall clock: milliseconds since the epoch."""
        return EPOCH_MS_DEFAULT + self._skew_ms + round(self._loop.time() * 1000)

    def monotonic(self) -> float:
        """Seconds since the beginning."""
        return self._loop.time()

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        if seconds > 0:
            done = self._loop.create_future()
            timer = self._loop.call_later(seconds, _finish, done)
            try:
                await done
            finally:
                timer.cancel()


def _finish(done: Any) -> None:
    if not done.done():
        done.set_result(None)


# ── History ──────────────────────────────────────────────────────────────────────────────────


Kind = Literal[
    "journal", "effect", "schedule", "result", "record", "letter", "cancel", "see",
    "read", "deliver", "settle", "process",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Fact:
    """Something that happened and that nobody can take back."""

    number: int
    time_ms: int
    kind: Kind
    run: str
    """Empty for what is of no run."""
    by: str
    """The life of a worker that did it."""
    what: str
    """Of a journal entry or an effect its step (``{step}:{iteration}``)."""
    value: Any = None
    sent: int = 0
    """Of an effect: the number at which its worker sent it."""


@dataclass(frozen=True, slots=True)
class Sender:
    """Who sent something, and when."""

    name: str
    sent: int


@dataclass(slots=True)
class History:
    """All facts in their order."""

    loop: SimulatedLoop
    facts: list[Fact] = field(default_factory=list)
    on_fact: Callable[[Fact], None] = lambda _: None
    """Hears of each as it happens."""

    def note(self, kind: Kind, run: str, by: "str | Sender", what: str, value: Any = None) -> Fact:
        """Add what happens now."""
        time_ms = EPOCH_MS_DEFAULT + round(self.loop.time() * 1000)
        number = self.loop.next_number()
        sender = by if isinstance(by, Sender) else Sender(by, number)
        fact = Fact(number, time_ms, kind, run, sender.name, what, value, sender.sent)
        self.facts.append(fact)
        self.on_fact(fact)
        return fact

    def of(self, kind: Kind) -> list[Fact]:
        """Give the facts of one kind."""
        return [fact for fact in self.facts if fact.kind == kind]


# ── Outside ──────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Mood:
    """How somebody outside answers the calls of one key."""

    failures: int = 0
    """How many calls fail for now before one succeeds."""
    is_hopeless: bool = False
    """It will never work."""
    status: int | None = None
    """An HTTP answer instead of a broken connection."""
    retry_after_seconds: int | None = None
    seconds: float = 0.05


class Outside:
    """Everybody that workers call: each call is noted, and answered as its key's mood is."""

    def __init__(self, history: History, mood_of: Callable[[str], Mood]) -> None:
        self._history = history
        self.mood_of = mood_of
        self._calls: dict[str, int] = {}

    def answer_http(self, request: HttpRequest, by: Sender) -> HttpResponse:
        """Answer a call."""
        key = next(value for name, value in request.headers if name == "Idempotency-Key")
        body = None if request.body is None else request.body.decode()
        number = self._note(key, by, ["http", request.method, request.url, body])
        mood = self.mood_of(key)
        if number > mood.failures and not mood.is_hopeless:
            answer = {"call": self._history.loop.next_number(), "key": key}
            return HttpResponse(200, {"content-type": "application/json"}, _encode(answer))
        if mood.status is None:
            raise self._failure(mood, "http")
        headers = {}
        if mood.retry_after_seconds is not None:
            headers["retry-after"] = str(mood.retry_after_seconds)
        return HttpResponse(mood.status, headers, b"not now")

    def perform(self, request: ActionRequest, by: Sender) -> Mapping[str, Any]:
        """Answer a provider's action."""
        key = request.idempotency_key
        arguments = json.dumps(dict(request.arguments), sort_keys=True)
        number = self._note(key, by, ["action", request.provider, request.action, arguments])
        mood = self.mood_of(key)
        if number > mood.failures and not mood.is_hopeless:
            return {"status": "accepted", "call": self._history.loop.next_number()}
        raise self._failure(mood, "action")

    def _note(self, key: str, by: Sender, request: list[Any]) -> int:
        run, _, step = key.partition(":")
        self._history.note("effect", run, by, step, request)
        self._calls[key] = self._calls.get(key, 0) + 1
        return self._calls[key]

    def _failure(self, mood: Mood, kind: str) -> NodeError:
        if mood.is_hopeless:
            return PermanentError("it will never work", reason=f"{kind}.refused")
        wait = mood.retry_after_seconds
        return TransientError("not now", reason=f"{kind}.connect", retry_after_seconds=wait)


def _encode(value: Any) -> bytes:
    return json.dumps(value).encode()


# ── The cluster ──────────────────────────────────────────────────────────────────────────────


class SimulatedStream(MemoryEventStream):
    """The event stream with its consumer's weaknesses, and what WORK hands over."""

    def __init__(self, clock: LoopClock) -> None:
        super().__init__(clock)
        self.restart_sequence = 0
        """What had been stored when the server was restarted last."""
        self._acked: list[tuple[float, Any]] = []

    def hear(self, delivery: MemoryDelivery) -> None:
        """Take a settlement, and remember for a while what it was about."""
        self._times.setdefault(delivery.sequence, 0)
        stored = self._stored.get(delivery.sequence)
        super().hear(delivery)
        if stored is not None and delivery.sequence not in self._stored:
            self._acked.append((self.clock.monotonic(), stored))

    def mix(self, order: Callable[[], float]) -> None:
        """Hand out in another order."""
        mixed = sorted(self._pending, key=lambda _: order())
        self._pending.clear()
        self._pending.extend(mixed)

    def restart(self, forgotten_seconds: float) -> None:
        """Know nothing of what was delivered or acked a moment ago."""
        since = self.clock.monotonic() - forgotten_seconds
        for acked_at, stored in self._acked:
            if acked_at >= since and stored.continuation is None:
                self._stored[stored.sequence] = stored
                self._give_back(stored.sequence)
        self._acked.clear()
        self.restart_sequence = self._last_sequence
        for delivery in tuple(self.handed_out):
            is_last = delivery.num_delivered == self._times.get(delivery.sequence)
            if is_last and delivery.sequence in self._stored and delivery.kept_alive_at >= since:
                self.handed_out.remove(delivery)
                self._times.pop(delivery.sequence)
                self._give_back(delivery.sequence)

    @property
    def last_sequence(self) -> int:
        """Of what was ever stored."""
        return self._last_sequence

    @property
    def is_waiting(self) -> bool:
        """Whether something waits to be handed out."""
        return bool(self._pending)

    def expire(self, delivery: MemoryDelivery) -> float | None:
        """Redeliver it if its ack wait is over; else say in how many seconds to look again."""
        sequence = delivery.sequence
        is_last = delivery.num_delivered == self._times.get(sequence)
        if sequence not in self._stored or not is_last or delivery not in self.handed_out:
            return None
        left = delivery.kept_alive_at + ACK_WAIT_SECONDS - self.clock.monotonic()
        if left > 0:
            return left
        self.handed_out.remove(delivery)
        self._give_back(sequence)
        return None


class Cluster:
    """NATS, the stores and the outside, with everything that happens to them noted."""

    def __init__(self, loop: SimulatedLoop, mood_of: Callable[[str], Mood]) -> None:
        self.loop = loop
        self.clock = LoopClock(loop)
        self.history = History(loop)
        self.stream = SimulatedStream(self.clock)
        self.work = MemoryWork(self.clock, lambda _tenant, _lane: self.stream)
        self.journal = MemoryJournal()
        self.state = MemoryStateStore(self.clock)
        self.leases = MemoryStateStore(self.clock)
        self.publisher = MemoryPublisher()
        self.results = MemoryResults()
        self.records = MemoryRunRecords()
        self.letters = MemoryDeadLetters()
        self.outside = Outside(self.history, mood_of)
        self.accepted: list[Event] = []
        self.on_arrival: Callable[[], None] = lambda: None
        """Called when something may be there to be delivered."""

    def publish(self, envelope: Envelope, by: Sender) -> PublishAck:
        """Store an event once."""
        ack = self.publisher.publish(envelope).result()
        event = envelope.event
        if not ack.is_duplicate:
            self.accepted.append(event)
            self.stream.add(event, reply_to=envelope.reply_to, hops=envelope.hops)
            self.on_arrival()
        run, _, step = envelope.message_id.partition(":")
        if step:
            request = ["event", event.event_type, json.dumps(event.payload, sort_keys=True)]
            self.history.note("effect", run, by, step, request)
        return ack

    def write_journal(self, run: str, entry: JournalEntry, ttl_seconds: int, by: str) -> bool:
        """Keep an entry; each call is a writer of its own."""
        mine = JournalEntry(entry.step, json.loads(json.dumps(entry.value)))
        is_ours = at_once(self.journal.write(TENANT, run, mine, ttl_seconds=ttl_seconds))
        if is_ours:
            self.history.note("journal", run, by, mine.value.get("step", entry.step), mine.value)
        return is_ours

    def read_journal(self, run: str, by: str) -> tuple[JournalEntry, ...]:
        """Give the entries of a run."""
        entries = tuple(at_once(self.journal.read(TENANT, run)))
        self.history.note("read", run, by, "", [entry.step for entry in entries])
        return entries

    def schedule(self, continuation: Continuation, lane: str | None, by: str) -> None:
        """Take a continuation into WORK, and hand it over when it is due."""
        self.history.note("schedule", continuation.run_id, by, continuation.flow, continuation)
        at_once(self.work.schedule(TENANT, continuation, lane=lane))
        wait_ms = continuation.due_ms - self.clock.now_ms()
        if wait_ms > 0:
            self.loop.call_later_in(self.loop.world, wait_ms / 1000, self._move_due)
        self.on_arrival()

    def find_leg(self, run: str) -> Continuation | None:
        """Give what WORK has of a run."""
        return at_once(self.work.latest(TENANT, run))

    def publish_results(self, results: list[PublishedResult], by: str) -> None:
        """Store results."""
        for one in results:
            self.history.note("result", one.result.run_id, by, one.result.flow, one.result)
        at_once(self.results.publish_all(results))

    def write_records(self, records: list[RunRecord], by: str) -> None:
        """Store records."""
        for one in records:
            self.history.note("record", one.result.run_id, by, one.result.flow, one)
        at_once(self.records.write_all(records))

    def park(self, letter: DeadLetter, by: str) -> None:
        """Keep a dead letter."""
        self.history.note("letter", letter.letter_id, by, letter.flow or "", letter)
        at_once(self.letters.park(letter))

    def restart_server(self) -> None:
        """Forget what a killed server forgets: deliveries, and ids of what is gone."""
        self.history.note("process", "", "server", "is restarted")
        self.stream.restart(FORGOTTEN_SECONDS)
        self.work.forget_ids()
        self.on_arrival()

    def _move_due(self) -> None:
        if self.work.move_due():
            self.on_arrival()

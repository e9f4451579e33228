"""The ports of one life of a worker: every call goes over its line to what outlives it.

In: calls of actors. Out: what the cluster and the outside answer, late, twice, or never.
"""

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final

from actors.errors import TransientError
from actors.events import Event
from actors.outcomes import Answer, Ended, Settlement
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
    StateEntry,
    StateScope,
)
from actors.testing.deliveries import MemoryDelivery
from actors.testing.state import MemoryStateStore
from tests.simulation.consumer import PULL_SECONDS, Consumer
from tests.simulation.faults import ACK_WAIT_SECONDS
from tests.simulation.network import Line, at_once
from tests.simulation.world import Cluster, Sender

LATE_SECONDS: Final = 1.0
"""A process that notices a message so much later than it came in was frozen meanwhile."""

KNOWS_WHEN = True
"""A worker knows when a message came in, though it was frozen then. Without it, the promise does
not hold: see `test_scenarios`."""


class Ports:
    """Publisher, continuations, journal, results, records, letters, actions and HTTP in one."""

    def __init__(self, cluster: Cluster, line: Line) -> None:
        self._cluster = cluster
        self._line = line
        self._by = line.process.name

    def publish(self, envelope: Envelope) -> "asyncio.Future[PublishAck]":
        return self._line.ask(partial(self._cluster.publish, envelope, self._sender()))

    async def schedule(
        self, tenant: str, continuation: Continuation, *, lane: str | None = None
    ) -> None:
        await self._line.ask(partial(self._cluster.schedule, continuation, lane, self._by))

    async def latest(self, tenant: str, run_id: str) -> Continuation | None:
        return await self._line.ask(partial(self._cluster.find_leg, run_id))

    async def read(self, tenant: str, run_id: str) -> Sequence[JournalEntry]:
        return await self._line.ask(partial(self._cluster.read_journal, run_id, self._by))

    async def write(
        self, tenant: str, run_id: str, entry: JournalEntry, *, ttl_seconds: int
    ) -> bool:
        write = partial(self._cluster.write_journal, run_id, entry, ttl_seconds, self._by)
        return await self._line.ask(write)

    async def publish_all(self, results: Sequence[PublishedResult]) -> None:
        await self._line.ask(partial(self._cluster.publish_results, list(results), self._by))

    async def write_all(self, records: Sequence[RunRecord]) -> None:
        await self._line.ask(partial(self._cluster.write_records, list(records), self._by))

    async def park(self, letter: DeadLetter) -> None:
        await self._line.ask(partial(self._cluster.park, letter, self._by))

    async def call(self, tenant: str, request: HttpRequest) -> HttpResponse:
        key = next(value for name, value in request.headers if name == "Idempotency-Key")
        seconds = self._cluster.outside.mood_of(key).seconds
        answer = partial(self._cluster.outside.answer_http, request, self._sender())
        try:
            async with asyncio.timeout(request.timeout_seconds):
                return await self._line.call(answer, seconds)
        except TimeoutError:
            raise TransientError("no answer in time", reason="http.timeout") from None

    async def perform(self, request: ActionRequest) -> Mapping[str, Any]:
        seconds = self._cluster.outside.mood_of(request.idempotency_key).seconds
        return await self._line.call(
            partial(self._cluster.outside.perform, request, self._sender()), seconds
        )

    def _sender(self) -> Sender:
        return Sender(self._by, self._line.loop.next_number())


class ForgetfulPorts(Ports):
    """A journal that is written and not read, but for sleeps: a run must wake up at last.

    A world with it shows what the checks are worth: it does not hold.
    """

    async def read(self, tenant: str, run_id: str) -> Sequence[JournalEntry]:
        entries = await super().read(tenant, run_id)
        return [entry for entry in entries if entry.value.get("kind") == "sleep"]

    async def write(
        self, tenant: str, run_id: str, entry: JournalEntry, *, ttl_seconds: int
    ) -> bool:
        await super().write(tenant, run_id, entry, ttl_seconds=ttl_seconds)
        return True


class LineStateStore:
    """A state store at the other end of the line."""

    def __init__(self, store: MemoryStateStore, line: Line) -> None:
        self._store = store
        self._line = line

    async def get(self, scope: StateScope, key: str) -> StateEntry:
        return await self._line.ask(lambda: at_once(self._store.get(scope, key)))

    async def put(
        self,
        scope: StateScope,
        key: str,
        value: Any,
        *,
        revision: int | None = None,
        ttl_seconds: float | None = None,
        write_id: str | None = None,
    ) -> bool:
        def put() -> bool:
            work = self._store.put(
                scope,
                key,
                value,
                revision=revision,
                ttl_seconds=ttl_seconds,
                write_id=write_id,
            )
            return at_once(work)

        return await self._line.ask(put)

    async def delete(self, scope: StateScope, key: str, *, write_id: str | None = None) -> None:
        await self._line.ask(lambda: at_once(self._store.delete(scope, key, write_id=write_id)))


class SilentAnswers:
    """Nobody waits for an answer here."""

    def send(self, reply_to: str, message: Answer | Ended) -> None:
        """Send nothing."""


class LineDelivery:
    """A delivery as a worker holds it.

    ``arrived_at`` is when it came in at the process, which may have been frozen then and have come
    to it much later. Who has not looked for so long knows nothing for sure.
    """

    def __init__(
        self, inner: MemoryDelivery, line: Line, consumer: Consumer, arrived_at: float
    ) -> None:
        self._inner = inner
        self._line = line
        self._consumer = consumer
        self._is_settled = False
        self._is_known = (
            inner.num_delivered > 1
            or inner.continuation is not None
            or inner.sequence <= consumer.known_sequence(line.process)
            or line.loop.time() - arrived_at > LATE_SECONDS
        )
        self._restart_sequence = consumer.restart_sequence
        self.event: Event = inner.event
        self.sequence = inner.sequence
        self.num_delivered = inner.num_delivered
        self.reply_to = inner.reply_to
        self.hops = inner.hops
        self.continuation = inner.continuation
        self.kept_alive_at = arrived_at

    @property
    def may_be_repeated(self) -> bool:
        return self._is_known or self._consumer.restart_sequence != self._restart_sequence

    def settle(self, settlement: Settlement) -> None:
        if self._is_settled:
            raise ValueError(f"delivery {self.sequence} is settled already")
        self._is_settled = True
        if settlement is not Settlement.LEAVE:
            self._line.tell(partial(self._hear, settlement))

    def keep_alive(self) -> None:
        now = self._line.loop.time()
        is_lost = now - self.kept_alive_at >= ACK_WAIT_SECONDS
        if not self._is_settled and not is_lost and self._line.is_connected:
            self._line.tell(self._inner.keep_alive)
            self.kept_alive_at = now

    def _hear(self, settlement: Settlement) -> None:
        self._consumer.note("settle", self._line.process, self._inner, settlement.value)
        if self._inner.settlement is None:
            self._inner.settle(settlement)
            self._consumer.serve()


class LineDeliveries:
    """Twin of Deliveries: it asks the consumer at the other end, and waits."""

    def __init__(self, line: Line, consumer: Consumer) -> None:
        self._line = line
        self._consumer = consumer
        consumer.connect(line.process)
        self._buffered: deque[LineDelivery] = deque()
        self._wake: asyncio.Future[None] | None = None
        self._is_closed = False

    async def pull(self, messages_max: int) -> Sequence[LineDelivery]:
        while not self._is_closed:
            if self._buffered:
                size = min(messages_max, len(self._buffered))
                return [self._buffered.popleft() for _ in range(size)]
            self._line.tell(partial(self._consumer.ask, self._line, self._take, messages_max))
            self._wake = self._line.loop.create_future()
            self._line.hear(PULL_SECONDS, self._wake, None, None)
            await self._wake
        return ()

    async def close(self) -> None:
        self._is_closed = True
        while self._buffered:
            self._buffered.popleft().settle(Settlement.NAK)
        self._wake_up()

    def _take(self, handed: list[MemoryDelivery], arrived_at: float) -> None:
        if not KNOWS_WHEN:
            arrived_at = self._line.loop.time()
        for inner in handed:
            self._buffered.append(LineDelivery(inner, self._line, self._consumer, arrived_at))
        self._wake_up()

    def _wake_up(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

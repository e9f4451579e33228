"""The ports of one life of a worker: every call goes over its line to what outlives it.

In: calls of actors. Out: what the cluster and the outside answer, late, twice, or never.
"""

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

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
from tests.simulation.network import Line, at_once
from tests.simulation.world import Cluster


class Ports:
    """Publisher, continuations, journal, results, records, letters, actions and HTTP in one."""

    def __init__(self, cluster: Cluster, line: Line) -> None:
        self._cluster = cluster
        self._line = line
        self._by = line.process.name

    def publish(self, envelope: Envelope) -> "asyncio.Future[PublishAck]":
        return self._line.ask(partial(self._cluster.publish, envelope, self._by))

    async def schedule(
        self, tenant: str, continuation: Continuation, *, lane: str | None = None
    ) -> None:
        await self._line.ask(partial(self._cluster.schedule, continuation, lane, self._by))

    async def read(self, tenant: str, run_id: str) -> Sequence[JournalEntry]:
        return await self._line.ask(partial(self._cluster.read_journal, run_id))

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
        answer = partial(self._cluster.outside.answer_http, request, self._by)
        try:
            async with asyncio.timeout(request.timeout_seconds):
                return await self._line.call(answer, seconds)
        except TimeoutError:
            raise TransientError("no answer in time", reason="http.timeout") from None

    async def perform(self, request: ActionRequest) -> Mapping[str, Any]:
        seconds = self._cluster.outside.mood_of(request.idempotency_key).seconds
        return await self._line.call(
            partial(self._cluster.outside.perform, request, self._by), seconds
        )


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
    """A delivery as a worker holds it."""

    def __init__(self, inner: MemoryDelivery, line: Line, consumer: Consumer, known: int) -> None:
        self._inner = inner
        self._line = line
        self._consumer = consumer
        self._is_settled = False
        self.event: Event = inner.event
        self.sequence = inner.sequence
        self.num_delivered = inner.num_delivered
        self.reply_to = inner.reply_to
        self.hops = inner.hops
        self.continuation = inner.continuation
        self.kept_alive_at = line.loop.time()
        self.may_be_repeated = inner.num_delivered > 1 or inner.sequence <= known

    def settle(self, settlement: Settlement) -> None:
        if self._is_settled:
            raise ValueError(f"delivery {self.sequence} is settled already")
        self._is_settled = True
        if settlement is not Settlement.LEAVE:
            self._line.tell(partial(self._hear, settlement))

    def keep_alive(self) -> None:
        if not self._is_settled and self._line.is_connected:
            self._line.tell(self._inner.keep_alive)
            self.kept_alive_at = self._line.loop.time()

    def _hear(self, settlement: Settlement) -> None:
        if self._inner.settlement is None:
            self._inner.settle(settlement)
            self._consumer.serve()


class LineDeliveries:
    """Twin of Deliveries: it asks the consumer at the other end, and waits."""

    def __init__(self, line: Line, consumer: Consumer) -> None:
        self._line = line
        self._consumer = consumer
        self._known_sequence = consumer.last_sequence
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

    def _take(self, handed: list[MemoryDelivery]) -> None:
        known = max(self._known_sequence, self._consumer.restart_sequence)
        for inner in handed:
            self._buffered.append(LineDelivery(inner, self._line, self._consumer, known))
        self._wake_up()

    def _wake_up(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

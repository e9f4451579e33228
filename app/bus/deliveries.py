"""A tenant's deliveries: the adapter behind `Deliveries` (STYLE 3, step 5).

In: the messages of the tenant's event consumer and of its continuations. Out: deliveries, decoded
and checked, that know how to settle themselves. Results are acked unseen. What is no event, or lies
on a subject that is not its own, goes to the dead letters and is terminated.

Back-pressure: what is buffered here and what the server may still send is never more than a `pull`
asked for, but that each consumer may always send one: the other's unused share must not silence
it. Nothing is asked of the server unless somebody pulls.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from actors.errors import ActorsError, InvalidEventError, UnavailableError
from actors.outcomes import Settlement
from actors.ports import DeadLetters, Observer
from actors.subjects import RESULT_SUFFIX, tenant_events, work_runs
from app.bus.ack_subject import waiting_behind
from app.bus.delivery import (
    ACK,
    BusDelivery,
    Parking,
    read_event_delivery,
    read_run_delivery,
)
from app.bus.novelty import Novelty
from app.bus.pulls import NAK, ConsumerName, Pull, PulledMessage, PullHub

__all__ = ["BusDelivery", "TenantConsumers", "TenantDeliveries"]

WORK_SHARE: Final = 4
"""One in so many of the messages asked for is asked of the continuations' consumer."""

DECODE_SECONDS: Final = 0.0005
"""How long a `pull` decodes before it gives what it has: other tenants wait meanwhile."""


@dataclass(frozen=True, slots=True)
class TenantConsumers:
    """Where a tenant's deliveries come from; ``work`` is None where nothing continues."""

    env: str
    tenant: str
    events: ConsumerName
    work: ConsumerName | None = None


class TenantDeliveries:
    """Both consumers of one tenant, merged. One task pulls at a time."""

    def __init__(
        self,
        hub: PullHub,
        consumers: TenantConsumers,
        *,
        dead_letters: DeadLetters,
        observer: Observer,
    ) -> None:
        self._hub = hub
        self._parking = Parking(consumers.tenant, hub, dead_letters, observer)
        self._novelty = Novelty(hub, consumers.events.stream)
        self._event_prefix = tenant_events(consumers.env, consumers.tenant).removesuffix(">")
        self._work_prefix = work_runs(consumers.env, consumers.tenant).removesuffix(">")
        self._buffered: deque[PulledMessage] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._is_closed = False
        self._last_event = self._last_work = ""
        self._events = self._open(consumers.events, self._on_event)
        self._work = None if consumers.work is None else self._open(consumers.work, self._on_work)

    @property
    def last_polled_at(self) -> float:
        """When the server last showed that it serves our requests (monotonic seconds).

        The older one of events and continuations: a consumer alone may be gone.
        """
        work = self._events if self._work is None else self._work
        return min(self._events.answered_at, work.answered_at)

    @property
    def is_waiting(self) -> bool:
        """Whether the tenant's router waits for deliveries; else its flows are busy."""
        return self._waiter is not None

    @property
    def is_closed(self) -> bool:
        """Whether this pull has ended."""
        return self._is_closed

    @property
    def buffered(self) -> int:
        """Messages fetched and not yet handed out."""
        return len(self._buffered)

    @property
    def waiting(self) -> int:
        """Messages that nobody had been handed when the last ones came here.

        None while the router waits: it has asked, and what there is would have come.
        """
        if self._waiter is not None and not self._buffered:
            return 0
        return waiting_behind(self._last_event) + waiting_behind(self._last_work)

    async def pull(self, messages_max: int) -> Sequence[BusDelivery]:
        """Wait for at least one delivery; give up to ``messages_max``. Empty once closed."""
        if messages_max < 1:
            raise ValueError("pull at least one message")
        while not self._is_closed:
            self._ask(messages_max)
            deliveries = await self._take(messages_max)
            if deliveries:
                return deliveries
            if not self._buffered and not self._is_closed:
                await self._wait_change()
        return ()

    async def close(self) -> None:
        """Stop pulling; what was fetched and not handed out is given back with nak."""
        if self._is_closed:
            return
        self._is_closed = True
        self._wake()
        while self._buffered:
            self._hub.bus.send(self._buffered.popleft().reply, NAK)
        pulls = [pull for pull in (self._events, self._work) if pull is not None]
        try:
            await self._hub.release(pulls)
        except UnavailableError:
            return  # the connection is gone, and every request with it

    def _open(self, consumer: ConsumerName, on_message: Callable[[PulledMessage], None]) -> Pull:
        return self._hub.open(consumer, on_message=on_message, on_change=self._wake)

    # ── Asking ───────────────────────────────────────────────────────────────────────────────

    def _ask(self, messages_max: int) -> None:
        """Ask for what is missing, once half is, so that requests stay few and large."""
        room = messages_max - len(self._buffered)
        if room < 1:
            return
        room -= sum(pull.credit for pull, _ in self._shares(messages_max))
        for pull, share in self._shares(messages_max):
            missing = min(share - pull.credit, room)
            if not pull.credit:
                missing = max(1, missing)
            if missing > 0 and (not pull.credit or 2 * missing >= share):
                pull.request(missing)
                room -= missing

    def _shares(self, messages_max: int) -> Sequence[tuple[Pull, int]]:
        """Give each consumer its share of what is asked for, at least one message."""
        if self._work is None:
            return ((self._events, messages_max),)
        work = max(1, messages_max // WORK_SHARE)
        return ((self._work, work), (self._events, max(1, messages_max - work)))

    # ── Arrivals ─────────────────────────────────────────────────────────────────────────────

    def _on_event(self, message: PulledMessage) -> None:
        self._last_event = message.reply
        if message.subject.endswith(RESULT_SUFFIX):
            self._hub.bus.send(message.reply, ACK)
            if self._events.credit:
                return
        else:
            self._buffered.append(message)
        self._wake()

    def _on_work(self, message: PulledMessage) -> None:
        self._last_work = message.reply
        self._buffered.append(message)
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def _wait_change(self) -> None:
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    # ── Decoding ─────────────────────────────────────────────────────────────────────────────

    async def _take(self, messages_max: int) -> list[BusDelivery]:
        deliveries: list[BusDelivery] = []
        if self._buffered:
            await self._novelty.look()
        clock = self._hub.clock
        until = clock.monotonic() + DECODE_SECONDS
        try:
            while self._buffered and len(deliveries) < messages_max:
                message = self._buffered.popleft()
                try:
                    deliveries.append(self._decode(message))
                except ActorsError as error:
                    await self._parking.park(message, error)
                if clock.monotonic() > until:
                    break
        except asyncio.CancelledError:
            for delivery in deliveries:
                delivery.settle(Settlement.NAK)
            raise
        return deliveries

    def _decode(self, message: PulledMessage) -> BusDelivery:
        if message.subject.startswith(self._event_prefix):
            is_new = self._novelty.is_new(message)
            return read_event_delivery(message, self._hub, prefix=self._event_prefix, is_new=is_new)
        if message.subject.startswith(self._work_prefix):
            return read_run_delivery(message, self._hub, prefix=self._work_prefix)
        raise InvalidEventError("subject", "is none of this tenant's")

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
from actors.events import Event
from actors.observations import DeliveryParked
from actors.outcomes import RunError, Settlement
from actors.ports import Clock, Continuation, DeadLetter, DeadLetters, Observer
from actors.subjects import RESULT_SUFFIX, tenant_events, work_runs
from app.bus.codec import decode_event
from app.bus.connection import Bus
from app.bus.continuations import decode_continuation
from app.bus.headers import read_hops, read_reply_to
from app.bus.pulls import NAK, ConsumerName, Pull, PulledMessage, PullHub

ACK: Final = b"+ACK"
IN_PROGRESS: Final = b"+WPI"
TERM: Final = b"+TERM"
TERM_NO_EVENT: Final = b"+TERM no event"

REASON_NO_EVENT: Final = "no_event"
WORK_SHARE: Final = 4
"""One in so many of the messages asked for is asked of the continuations' consumer."""

_VERBS: Final = {Settlement.ACK: ACK, Settlement.NAK: NAK, Settlement.TERM: TERM}


@dataclass(frozen=True, slots=True)
class TenantConsumers:
    """Where a tenant's deliveries come from; ``work`` is None where nothing continues."""

    env: str
    tenant: str
    events: ConsumerName
    work: ConsumerName | None = None


class BusDelivery:
    """One attempt of the bus to hand an event over; see `actors.ports.Delivery`."""

    __slots__ = (
        "_bus",
        "_clock",
        "_is_settled",
        "_reply",
        "continuation",
        "event",
        "hops",
        "kept_alive_at",
        "num_delivered",
        "reply_to",
        "sequence",
    )

    def __init__(
        self, message: PulledMessage, event: Event, hub: PullHub, continuation: Continuation | None
    ) -> None:
        self.event = event
        self.continuation = continuation
        self.sequence = message.ack.sequence
        self.num_delivered = message.ack.num_delivered
        self.kept_alive_at = message.received_at
        if continuation is None:
            self.reply_to = read_reply_to(message.headers)
            self.hops = read_hops(message.headers)
        else:
            self.reply_to = None
            self.hops = continuation.hops
        self._bus: Bus = hub.bus
        self._clock: Clock = hub.clock
        self._reply = message.reply
        self._is_settled = False

    def settle(self, settlement: Settlement) -> None:
        """Say ack, nak or term; never blocks. A second call is a bug and raises ValueError."""
        if self._is_settled:
            raise ValueError(f"delivery {self.sequence} is settled already")
        self._is_settled = True
        self._bus.send(self._reply, _VERBS[settlement])

    def keep_alive(self) -> None:
        """Say that work goes on; after `settle` it says nothing."""
        if not self._is_settled and self._bus.is_connected:
            self._bus.send(self._reply, IN_PROGRESS)
            self.kept_alive_at = self._clock.monotonic()


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
        self._consumers = consumers
        self._dead_letters = dead_letters
        self._observer = observer
        self._event_prefix = tenant_events(consumers.env, consumers.tenant).removesuffix(">")
        self._work_prefix = work_runs(consumers.env, consumers.tenant).removesuffix(">")
        self._buffered: deque[PulledMessage] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._is_closed = False
        self._events = self._open(consumers.events, self._on_event)
        self._work = None if consumers.work is None else self._open(consumers.work, self._on_work)

    @property
    def last_polled_at(self) -> float:
        """When the server last held or answered a request of ours (monotonic seconds)."""
        return self._events.heard_at

    @property
    def buffered(self) -> int:
        """Messages fetched and not yet handed out."""
        return len(self._buffered)

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
        if message.subject.endswith(RESULT_SUFFIX):
            self._hub.bus.send(message.reply, ACK)
            if self._events.credit:
                return
        else:
            self._buffered.append(message)
        self._wake()

    def _on_work(self, message: PulledMessage) -> None:
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
        try:
            while self._buffered and len(deliveries) < messages_max:
                message = self._buffered.popleft()
                try:
                    deliveries.append(self._decode(message))
                except ActorsError as error:
                    await self._park(message, error)
        except asyncio.CancelledError:
            for delivery in deliveries:
                delivery.settle(Settlement.NAK)
            raise
        return deliveries

    def _decode(self, message: PulledMessage) -> BusDelivery:
        if message.subject.startswith(self._event_prefix):
            event = decode_event(message.data)
            if event.event_type != message.subject[len(self._event_prefix) :]:
                raise InvalidEventError("event_type", "is not that of the subject")
            return BusDelivery(message, event, self._hub, None)
        if message.subject.startswith(self._work_prefix):
            continuation = decode_continuation(message.data)
            if continuation.run_id != message.subject[len(self._work_prefix) :]:
                raise InvalidEventError("run_id", "is not that of the subject")
            return BusDelivery(message, continuation.event, self._hub, continuation)
        raise InvalidEventError("subject", "is none of this tenant's")

    async def _park(self, message: PulledMessage, error: ActorsError) -> None:
        """Keep it for a person to see, then end it; without the first never the second."""
        ack = message.ack
        tenant = self._consumers.tenant
        letter = DeadLetter(
            tenant=tenant,
            reason=REASON_NO_EVENT,
            error=RunError(error.code, None, str(error)),
            attempts=ack.num_delivered,
            letter_id=f"{ack.stream}:{ack.sequence}",
            raw=message.data,
            subject=message.subject,
        )
        try:
            await self._dead_letters.park(letter)
        except UnavailableError:
            self._hub.bus.send(message.reply, NAK)
            return
        except asyncio.CancelledError:
            self._hub.bus.send(message.reply, NAK)
            raise
        self._hub.bus.send(message.reply, TERM_NO_EVENT)
        self._observer.observe(DeliveryParked(tenant, message.subject, error.code))

"""A private lane's deliveries: the adapter behind `LaneDeliveries` (DESIGN 3, Private lanes).

In: the messages of one lane's consumer. Out: deliveries with their continuations; of an exclusive
lane only while this worker is the pinned one (`app.bus.pinned`). What is no continuation goes to
the dead letters and is terminated.

What may be said of a delivery after the lane has gone to another worker: an ack, since its run has
its outcome, which is stored; in-progress, so that the other worker is not handed a run that goes on
here; and never a nak, which could call back what the other one has in hand by then. After so long a
silence that the server may have handed it over again, in-progress is not said either.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import msgspec

from actors.errors import ActorsError, UnavailableError
from actors.events import Event
from actors.outcomes import Settlement
from actors.ports import Continuation, DeadLetters, LaneName, Observer
from actors.subjects import work_lane_subject
from app.bus.admin import JetStreamAdmin
from app.bus.delivery import BusDelivery, Parking, read_lane_delivery
from app.bus.direct import ANSWER_BYTES_MAX, DirectReader
from app.bus.pinned import PRIORITY_GROUP, Pin
from app.bus.pulls import NAK, ConsumerName, PulledMessage, PullHub
from app.errors import BusError

OUTSTANDING_MAX: Final = 10_000
"""Of one lane; its consumer never has more than 1,000 handed out (`lane_ack_pending_max`)."""
PAGE_MESSAGES_MAX: Final = 250
UNPIN_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class LanePlace:
    """Where a lane's deliveries come from."""

    env: str
    name: LaneName
    consumer: ConsumerName
    ack_wait_seconds: float

    @property
    def subject(self) -> str:
        """The one subject of all its messages."""
        return work_lane_subject(self.env, self.name.tenant, self.name.lane)


class LaneDelivery:
    """A `BusDelivery` of a lane, made in one term; see `actors.ports.Delivery`."""

    __slots__ = ("_delivery", "_lane", "term")

    def __init__(self, delivery: BusDelivery, lane: "JetStreamLaneDeliveries", term: int) -> None:
        self._delivery = delivery
        self._lane = lane
        self.term = term

    @property
    def event(self) -> Event:
        """The event, decoded and checked."""
        return self._delivery.event

    @property
    def sequence(self) -> int:
        """Its place in the stream of continuations, from 1."""
        return self._delivery.sequence

    @property
    def num_delivered(self) -> int:
        """How often the bus has handed it over, from 1."""
        return self._delivery.num_delivered

    @property
    def may_be_repeated(self) -> bool:
        """See `BusDelivery.may_be_repeated`."""
        return self._delivery.may_be_repeated

    @property
    def reply_to(self) -> str | None:
        """Where a waiting webhook listens."""
        return self._delivery.reply_to

    @property
    def hops(self) -> int:
        """How many emitting nodes led here."""
        return self._delivery.hops

    @property
    def continuation(self) -> Continuation | None:
        """The run that wants to begin or go on; every delivery of a lane has one."""
        return self._delivery.continuation

    @property
    def kept_alive_at(self) -> float:
        """When the bus last heard that we work on it, on the monotonic clock, in seconds."""
        return self._delivery.kept_alive_at

    def settle(self, settlement: Settlement) -> None:
        """Say ack, nak or term, or leave it; never blocks. Twice is a bug and a ValueError.

        A nak is said only while nobody else can have been handed it.
        """
        if settlement is Settlement.NAK and not self._lane.may_give_back(
            self.term, self._delivery.kept_alive_at
        ):
            settlement = Settlement.LEAVE
        self._delivery.settle(settlement)

    def keep_alive(self) -> None:
        """Say that work goes on, unless it may be another worker's by now."""
        if not self._lane.is_overdue(self._delivery.kept_alive_at):
            self._delivery.keep_alive()


class JetStreamLaneDeliveries:
    """One lane of one tenant. One task pulls at a time."""

    def __init__(
        self,
        hub: PullHub,
        place: LanePlace,
        *,
        reader: DirectReader,
        dead_letters: DeadLetters,
        observer: Observer,
    ) -> None:
        self._hub = hub
        self._place = place
        self._subject = place.subject
        self._reader = reader
        self._parking = Parking(place.name.tenant, hub, dead_letters, observer)
        self._pin = Pin() if place.name.is_exclusive else None
        self._buffered: deque[tuple[PulledMessage, int]] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._is_closed = False
        self._pull = hub.open(
            place.consumer, on_message=self._on_message, on_change=self._on_change, pin=self._pin
        )

    @property
    def term(self) -> int:
        """Grows with each pin that names us; 0 on a shared lane, and before the first delivery."""
        return 0 if self._pin is None else self._pin.term

    @property
    def is_lost(self) -> bool:
        """Whether the server said that our pin is gone, and has given us no other since.

        Known with our next request once somebody else is pinned: within `RENEW_SECONDS`, and at
        once where we stood still.
        """
        return self._pin is not None and self._pin.id is None and self._pin.term > 0

    @property
    def last_polled_at(self) -> float:
        """When the server last showed that it serves our requests (monotonic seconds)."""
        return self._pull.answered_at

    @property
    def is_waiting(self) -> bool:
        """Whether the lane's actor waits for deliveries; else it has all it takes."""
        return self._waiter is not None

    @property
    def is_closed(self) -> bool:
        """Whether this pull has ended."""
        return self._is_closed

    @property
    def buffered(self) -> int:
        """Messages fetched and not yet handed out."""
        return len(self._buffered)

    async def pull(self, messages_max: int) -> Sequence[LaneDelivery]:
        """Wait for at least one delivery; give up to ``messages_max``. Empty once closed.

        All are of the present `term`. One that was kept too long comes a second time, also to us.
        """
        if messages_max < 1:
            raise ValueError("pull at least one message")
        while not self._is_closed:
            self._ask(messages_max)
            if deliveries := await self._take(messages_max):
                return deliveries
            if not self._buffered and not self._is_closed:
                await self._wait_change()
        return ()

    async def outstanding(self) -> Sequence[int]:
        """Give the sequences on the lane that were handed out and are unsettled, ascending.

        What nobody was handed yet is not among them: it comes by itself, in order and above all of
        these. One that is being settled may be among them and never come: ask again. The lowest
        `OUTSTANDING_MAX` where there are more, which is ten times what the consumer hands out.
        UnavailableError.
        """
        consumer = self._place.consumer
        try:
            info = await JetStreamAdmin(self._hub.bus).consumer_info(
                consumer.stream, consumer.durable
            )
            if info is None or not info.ack_pending:
                return []
            return await self._read(info.ack_floor + 1, info.delivered)
        except BusError as error:
            raise UnavailableError(f"the lane cannot be read: {error}") from error

    async def close(self) -> None:
        """Stop pulling; what was fetched and not handed out is given back with nak.

        An exclusive lane is free for the next worker at once.
        """
        if self._is_closed:
            return
        self._is_closed = True
        self._wake()
        while self._buffered:
            message, term = self._buffered.popleft()
            if self.may_give_back(term, message.received_at):
                self._hub.bus.send(message.reply, NAK)
        with suppress(UnavailableError):  # the connection is gone, and every request with it
            await self._hub.release([self._pull])
            await self._unpin()

    # ── What may be said ─────────────────────────────────────────────────────────────────────

    def may_give_back(self, term: int, kept_alive_at: float) -> bool:
        """Tell whether a nak can concern nobody but us: also after we gave the lane up."""
        if self.is_overdue(kept_alive_at):
            return False
        return self._pin is None or (term == self._pin.term and self._pin.id is not None)

    def is_overdue(self, kept_alive_at: float) -> bool:
        """Tell whether the server may have handed it to another worker by now."""
        return self._hub.clock.monotonic() - kept_alive_at >= self._place.ack_wait_seconds

    # ── Asking and taking ────────────────────────────────────────────────────────────────────

    def _ask(self, messages_max: int) -> None:
        """Ask for what is missing, once half is, so that requests stay few and large."""
        missing = messages_max - len(self._buffered) - self._pull.credit
        if missing > 0 and (not self._pull.credit or 2 * missing >= messages_max):
            self._pull.request(missing)

    async def _take(self, messages_max: int) -> list[LaneDelivery]:
        deliveries: list[LaneDelivery] = []
        try:
            while self._buffered and len(deliveries) < messages_max:
                message, term = self._buffered.popleft()
                if self._is_stale(message, term):
                    continue
                try:
                    delivery = read_lane_delivery(message, self._hub, subject=self._subject)
                    deliveries.append(LaneDelivery(delivery, self, term))
                except ActorsError as error:
                    await self._parking.park(message, error)
        except asyncio.CancelledError:
            for taken in deliveries:
                taken.settle(Settlement.NAK)
            raise
        return [taken for taken in deliveries if self._is_in_force(taken.term)]

    def _is_stale(self, message: PulledMessage, term: int) -> bool:
        """Whether it is another worker's, or comes again: then nothing is said."""
        return self.is_overdue(message.received_at) or not self._is_in_force(term)

    def _is_in_force(self, term: int) -> bool:
        return self._pin is None or (term == self._pin.term and self._pin.id is not None)

    def _on_message(self, message: PulledMessage) -> None:
        self._buffered.append((message, self.term))
        self._wake()

    def _on_change(self) -> None:
        while self._buffered and not self._is_in_force(self._buffered[0][1]):
            self._buffered.popleft()
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

    # ── The stream and the pin ───────────────────────────────────────────────────────────────

    async def _read(self, first: int, last: int) -> list[int]:
        """Read the lane's sequences; the messages come along, nothing cheaper tells them."""
        found: list[int] = []
        while first <= last:
            batch = await self._reader.page(
                self._place.consumer.stream,
                self._subject,
                from_sequence=first,
                count_max=PAGE_MESSAGES_MAX,
                bytes_max=2 * ANSWER_BYTES_MAX,  # the server stops at once the half
            )
            found += [one.sequence for one in batch.messages if one.sequence <= last]
            if not batch.pending or not batch.messages or len(found) >= OUTSTANDING_MAX:
                break
            first = batch.messages[-1].sequence + 1
        return found[:OUTSTANDING_MAX]

    async def _unpin(self) -> None:
        """Free the lane. Only a pin that is surely ours: the server does not ask whose it is."""
        idle_seconds = self._hub.clock.monotonic() - self._pull.requested_at
        if self._pin is None or not self._pin.is_held(idle_seconds):
            return
        consumer = self._place.consumer
        await self._hub.bus.request(
            f"$JS.API.CONSUMER.UNPIN.{consumer.stream}.{consumer.durable}",
            msgspec.json.encode({"group": PRIORITY_GROUP}),
            timeout_seconds=UNPIN_SECONDS,
        )

"""A tenant's event stream in memory, with one durable consumer that any number of pulls share.

In: events and continuations. Out: deliveries; a nak'd one comes back at once, one that nobody
settled when `redeliver_unsettled` says that its time is over. Like the bus it hears at most one
word about a delivery.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from actors.errors import UnavailableError
from actors.events import Event
from actors.outcomes import Settlement
from actors.ports import Clock, Continuation


@dataclass(frozen=True, slots=True)
class _Stored:
    sequence: int
    event: Event
    reply_to: str | None
    hops: int
    continuation: Continuation | None


class MemoryDelivery:
    """Twin of the Delivery port."""

    def __init__(self, stored: _Stored, num_delivered: int, stream: "MemoryEventStream") -> None:
        self.event = stored.event
        self.sequence = stored.sequence
        self.num_delivered = num_delivered
        self.may_be_repeated = num_delivered > 1
        self.reply_to = stored.reply_to
        self.hops = stored.hops
        self.continuation = stored.continuation
        self.kept_alive_at = stream.clock.monotonic()
        self.settlement: Settlement | None = None
        self.times_kept_alive = 0
        self._stream = stream

    def settle(self, settlement: Settlement) -> None:
        """Say ack, nak or term; a second call is a bug and raises ValueError."""
        if self.settlement is not None:
            raise ValueError(f"delivery {self.sequence} is settled already")
        self.settlement = settlement
        if settlement is not Settlement.LEAVE:
            self._stream.hear(self)

    def keep_alive(self) -> None:
        """Say that work goes on."""
        if self.settlement is None:
            self.times_kept_alive += 1
            self.kept_alive_at = self._stream.clock.monotonic()


class MemoryEventStream:
    """What is stored, handed out and settled. ``is_available`` False makes every pull fail."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.is_available = True
        self.handed_out: list[MemoryDelivery] = []
        self._stored: dict[int, _Stored] = {}
        self._pending: deque[int] = deque()
        self._times: dict[int, int] = {}
        self._last_sequence = 0
        self._changed = asyncio.Event()

    def add(
        self,
        event: Event,
        *,
        reply_to: str | None = None,
        hops: int = 0,
        continuation: Continuation | None = None,
    ) -> int:
        """Store an event, or a continuation with its event; give its sequence."""
        self._last_sequence += 1
        sequence = self._last_sequence
        self._stored[sequence] = _Stored(sequence, event, reply_to, hops, continuation)
        self._pending.append(sequence)
        self._changed.set()
        return sequence

    def open(self) -> "MemoryDeliveries":
        """Begin a fresh pull."""
        return MemoryDeliveries(self)

    @property
    def unsettled(self) -> int:
        """Messages that nobody has acked or term'd."""
        return len(self._stored)

    def continuations(self) -> list[Continuation]:
        """Give the continuations that nobody has acked or term'd, in the order stored."""
        return [one.continuation for one in self._stored.values() if one.continuation is not None]

    def redeliver_unsettled(self, *, idle_seconds: float = 0.0) -> None:
        """Let the ack wait be over of what is unsettled and was not kept alive for so long."""
        latest = self.clock.monotonic() - idle_seconds
        for delivery in self.handed_out:
            is_last = delivery.num_delivered == self._times[delivery.sequence]
            is_open = (
                delivery.settlement in (None, Settlement.LEAVE)
                and delivery.sequence in self._stored
            )
            if is_open and is_last and delivery.kept_alive_at <= latest:
                self._give_back(delivery.sequence)

    # ── For deliveries and pulls ─────────────────────────────────────────────────────────────

    def hear(self, delivery: MemoryDelivery) -> None:
        """Take a settlement; one of a delivery that was handed out again meanwhile counts too."""
        sequence = delivery.sequence
        if sequence not in self._stored:
            return
        if delivery.settlement is not Settlement.NAK:
            del self._stored[sequence]
        elif delivery.num_delivered == self._times[sequence]:
            self._give_back(sequence)

    def take(self, messages_max: int) -> list[MemoryDelivery]:
        """Hand out what waits, at most ``messages_max``."""
        taken: list[MemoryDelivery] = []
        while self._pending and len(taken) < messages_max:
            stored = self._stored.get(self._pending.popleft())
            if stored is not None:
                times = self._times[stored.sequence] = self._times.get(stored.sequence, 0) + 1
                taken.append(MemoryDelivery(stored, times, self))
        self.handed_out += taken
        return taken

    def wake(self) -> None:
        """Let every pull look again."""
        self._changed.set()

    async def wait_changed(self) -> None:
        """Wait until something may be there to take."""
        self._changed.clear()
        await self._changed.wait()

    def _give_back(self, sequence: int) -> None:
        if sequence not in self._pending:
            self._pending.append(sequence)
        self._changed.set()


class MemoryDeliveries:
    """Twin of the Deliveries port: one pull of a stream."""

    def __init__(self, stream: MemoryEventStream) -> None:
        self._stream = stream
        self.is_closed = False

    async def pull(self, messages_max: int) -> Sequence[MemoryDelivery]:
        """Wait for at least one delivery; empty once closed."""
        while not self.is_closed:
            await asyncio.sleep(0)  # like a network's, no answer comes in the same turn
            taken = self._take(messages_max)
            if taken:
                return taken
            if not self.is_closed:
                await self._stream.wait_changed()
        return ()

    async def close(self) -> None:
        """Stop pulling."""
        self.is_closed = True
        self._stream.wake()

    def _take(self, messages_max: int) -> Sequence[MemoryDelivery]:
        if self.is_closed:
            return ()
        if not self._stream.is_available:
            raise UnavailableError("the bus is away")
        return self._stream.take(messages_max)

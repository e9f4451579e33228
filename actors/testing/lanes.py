"""Twin of the LaneDeliveries port: a lane in memory, with workers that die, freeze or lose it.

In: continuations, put into the lane's stream. Out: deliveries, to one worker at a time if the lane
is exclusive. What a worker had when it died comes again once its ack wait is over (`expire`); what
it says afterwards is not heard.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

from actors.errors import UnavailableError
from actors.events import Event
from actors.outcomes import Settlement
from actors.ports import Continuation
from actors.testing.deliveries import MemoryDelivery, MemoryEventStream

ACK_WAIT_SECONDS: Final = 30.0
ACK_PENDING_MAX: Final = 1_000
"""Deliveries of a lane that may be unsettled, whoever has them."""


class MemoryLaneDelivery:
    """A delivery of a lane, as one worker holds it; see the Delivery port."""

    def __init__(self, delivery: MemoryDelivery, pull: "MemoryLaneDeliveries") -> None:
        self._delivery = delivery
        self._pull = pull
        self.term = pull.term
        self.settlement: Settlement | None = None

    @property
    def event(self) -> Event:
        """The event of its run."""
        return self._delivery.event

    @property
    def sequence(self) -> int:
        """Its place in the stream."""
        return self._delivery.sequence

    @property
    def num_delivered(self) -> int:
        """How often it was handed over."""
        return self._delivery.num_delivered

    @property
    def may_be_repeated(self) -> bool:
        """Whether somebody may have been handed it before."""
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
        """The run that wants to begin or go on."""
        return self._delivery.continuation

    @property
    def kept_alive_at(self) -> float:
        """When the bus last heard of it."""
        return self._delivery.kept_alive_at

    def settle(self, settlement: Settlement) -> None:
        """Settle it, unless its worker is dead; what may be another's is not called back."""
        if self.settlement is not None:
            raise ValueError(f"delivery {self.sequence} is settled already")
        self.settlement = settlement
        if self._pull.is_dead:
            return
        if settlement is Settlement.NAK and not self._pull.may_give_back(self):
            settlement = Settlement.LEAVE
        if settlement in (Settlement.ACK, Settlement.TERM):
            self._pull.lane.forget(self.sequence)
        self._delivery.settle(settlement)

    def keep_alive(self) -> None:
        """Say that work goes on, unless it may be another's by now."""
        if not self._pull.is_dead and not self._pull.is_overdue(self):
            self._delivery.keep_alive()


class MemoryLane:
    """One lane. ``is_available`` False makes every call of its pulls fail."""

    def __init__(
        self,
        stream: MemoryEventStream,
        *,
        is_exclusive: bool = True,
        ack_pending_max: int = ACK_PENDING_MAX,
    ) -> None:
        self.stream = stream
        self.is_exclusive = is_exclusive
        self.is_available = True
        self.holder: MemoryLaneDeliveries | None = None
        self.terms = 0
        self._ack_pending_max = ack_pending_max
        self._open: set[int] = set()

    def open(self) -> "MemoryLaneDeliveries":
        """Begin a worker's pull."""
        return MemoryLaneDeliveries(self)

    @property
    def outstanding(self) -> list[int]:
        """What was handed out and is unsettled."""
        return sorted(self._open)

    @property
    def unsettled(self) -> int:
        """All that lies on the lane."""
        return self.stream.unsettled

    def unpin(self) -> None:
        """Take the lane from who has it; whoever pulls next has it then."""
        self.holder = None
        self.stream.wake()

    def expire(self) -> None:
        """Let come again what nobody has kept alive for the ack wait."""
        self.stream.redeliver_unsettled(idle_seconds=ACK_WAIT_SECONDS)

    # ── For pulls and deliveries ─────────────────────────────────────────────────────────────

    def take(self, pull: "MemoryLaneDeliveries", messages_max: int) -> list[MemoryLaneDelivery]:
        """Hand out what waits, if this pull may have it."""
        if self.is_exclusive and self.holder not in (None, pull):
            return []
        room = self._ack_pending_max - len(self._open)
        taken = self.stream.take(max(0, min(messages_max, room)))
        if taken and self.is_exclusive and self.holder is None:
            self.holder = pull
            self.terms += 1
            pull.term = self.terms
        self._open.update(delivery.sequence for delivery in taken)
        return [MemoryLaneDelivery(delivery, pull) for delivery in taken]

    def forget(self, sequence: int) -> None:
        """Take note that it is settled."""
        self._open.discard(sequence)
        self.stream.wake()


class MemoryLaneDeliveries:
    """One worker's pull of a lane."""

    def __init__(self, lane: MemoryLane) -> None:
        self.lane = lane
        self.term = 0
        self.is_closed = False
        self.is_dead = False

    async def pull(self, messages_max: int) -> Sequence[MemoryLaneDelivery]:
        """Wait for at least one delivery; empty once closed."""
        while True:
            await asyncio.sleep(0)
            if self.is_closed:
                return ()
            if not self.lane.is_available:
                raise UnavailableError("the bus is away")
            taken = self.lane.take(self, messages_max)
            if taken:
                return taken
            await self.lane.stream.wait_changed()

    async def outstanding(self) -> Sequence[int]:
        """Give what was handed out and is unsettled."""
        await asyncio.sleep(0)
        if not self.lane.is_available:
            raise UnavailableError("the bus is away")
        return self.lane.outstanding

    async def close(self) -> None:
        """Stop pulling, and let the lane go."""
        self.is_closed = True
        if self.lane.holder is self:
            self.lane.holder = None
        self.lane.stream.wake()

    def die(self) -> None:
        """Be heard no more: the worker was killed."""
        self.is_closed = self.is_dead = True
        if self.lane.holder is self:
            self.lane.unpin()

    def may_give_back(self, delivery: MemoryLaneDelivery) -> bool:
        """Tell whether a nak can concern nobody else."""
        if self.is_overdue(delivery):
            return False
        holder = self.lane.holder
        return not self.lane.is_exclusive or (holder in (self, None) and delivery.term == self.term)

    def is_overdue(self, delivery: MemoryLaneDelivery) -> bool:
        """Tell whether it may have been handed to another by now."""
        age_seconds = self.lane.stream.clock.monotonic() - delivery.kept_alive_at
        return age_seconds >= ACK_WAIT_SECONDS

"""A hand: one run of a lane with all its unsettled deliveries, and what is known of its end.

In: deliveries of one run. Out: the delivery that its executor settles, in whose place the lane
settles all of them once it knows what the outcome means.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from actors.events import Event
from actors.lanes.ticket import Ticket
from actors.outcomes import RunOutcome, Settlement
from actors.ports import Continuation, Delivery

Place = tuple[int, int, int]


def place_of(waiting: Continuation) -> Place:
    """How far a run had come: the later of two continuations of a run has the larger place."""
    return waiting.leg, waiting.attempt, waiting.round


def has_begun(waiting: Continuation) -> bool:
    """Tell whether the run has begun before: it only goes on."""
    return waiting.leg > 0 or waiting.attempt > 1


@dataclass(slots=True, eq=False)
class Hand:
    """What this worker has of one run."""

    ticket: Ticket
    front: Continuation
    """Where the run goes on."""
    deliveries: list[Delivery] = field(default_factory=list)
    is_out: bool = False
    """Its executor has it."""
    ran: Place | None = None
    """The place it was last handed out with."""
    wake_ms: int | None = None
    """When it goes on by itself."""
    settlement: Settlement | None = None
    outcome: RunOutcome | None = None

    @property
    def sequence(self) -> int:
        """Of its first delivery."""
        return self.deliveries[0].sequence

    @property
    def kept_alive_at(self) -> float:
        """When the bus last heard of every one of them."""
        return min(delivery.kept_alive_at for delivery in self.deliveries)

    def join(self, delivery: Delivery, waiting: Continuation) -> bool:
        """Take a further delivery of the run, or the same one again; True: it is the first now."""
        others = [one for one in self.deliveries if one.sequence != delivery.sequence]
        self.deliveries = sorted([*others, delivery], key=lambda one: one.sequence)
        self.come_to(waiting)
        if has_begun(waiting):
            self.ticket.has_begun = self.ticket.is_judged = True
        is_first = self.sequence < self.ticket.sequence
        self.ticket.sequence = min(self.sequence, self.ticket.sequence)
        return is_first

    def come_to(self, waiting: Continuation) -> None:
        """Go on from here, if it is further than what is known."""
        if place_of(waiting) > place_of(self.front):
            self.front = waiting

    @property
    def is_due(self) -> bool:
        """Whether a later continuation than the one it was handed out with has come due here."""
        return any(self._is_later(delivery) for delivery in self.deliveries)

    def settle(self, settlement: Settlement) -> None:
        """Settle all its deliveries, the first one last: it stands for the run's key."""
        for delivery in reversed(self.deliveries):
            delivery.settle(settlement)
        self.deliveries = []

    def settle_past(self, settlement: Settlement, *, keep_first: bool) -> None:
        """Settle what the run has left behind it, but not what it goes on with."""
        first = self.deliveries[:1] if keep_first else []
        kept = [one for one in self.deliveries if one in first or self._is_later(one)]
        for delivery in self.deliveries:
            if delivery not in kept:
                delivery.settle(settlement)
        self.deliveries = kept

    def _is_later(self, delivery: Delivery) -> bool:
        waiting = delivery.continuation
        return waiting is not None and (self.ran is None or place_of(waiting) > self.ran)


class HeldDelivery:
    """Stands for a hand's deliveries before its executor; see `actors.ports.Delivery`."""

    __slots__ = ("_hand", "_on_settled", "_shown")

    def __init__(self, hand: Hand, on_settled: Callable[[Hand], None]) -> None:
        self._hand = hand
        self._on_settled = on_settled
        self._shown = hand.deliveries[0]

    @property
    def event(self) -> Event:
        """The event of the run."""
        return self._hand.front.event

    @property
    def sequence(self) -> int:
        """Of the run's first delivery."""
        return self._shown.sequence

    @property
    def num_delivered(self) -> int:
        """How often the bus has handed over the first one."""
        return self._shown.num_delivered

    @property
    def may_be_repeated(self) -> bool:
        """Always: a run may have begun on its way here, and gone on as another delivery."""
        return True

    @property
    def reply_to(self) -> str | None:
        """Where a waiting webhook listens."""
        return self._hand.front.reply_to

    @property
    def hops(self) -> int:
        """How many emitting nodes led here."""
        return self._hand.front.hops

    @property
    def continuation(self) -> Continuation | None:
        """Where the run goes on."""
        return self._hand.front

    @property
    def kept_alive_at(self) -> float:
        """When the bus last heard of every one of the run's deliveries."""
        return self._hand.kept_alive_at if self._hand.deliveries else self._shown.kept_alive_at

    def settle(self, settlement: Settlement) -> None:
        """Hear what is to be said; the lane says it."""
        if self._hand.settlement is not None:
            raise ValueError(f"run {self._hand.ticket.run_id} is settled already")
        self._hand.settlement = settlement
        self._on_settled(self._hand)

    def keep_alive(self) -> None:
        """Say that work goes on."""
        for delivery in self._hand.deliveries:
            delivery.keep_alive()

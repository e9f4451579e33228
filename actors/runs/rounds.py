"""Deficit round robin: whose turn it is among those who wait for one.

In: members that wait, and what each has spent. Out: who is served next. Nobody is served out of
turn; who never waits costs nothing. Pure: it knows no clock, no tasks and no tenants.

Each round gives every member that waits its quantum times its weight to spend; what it overspends
is owed to the next rounds. So over any stretch in which several have work each gets its weighted
share, but for one quantum and one overspending (Shreedhar and Varghese, 1995). Who has work only
now and then has its quantum in hand when it comes and waits for nobody.
"""

from collections import deque
from typing import Final

DEBT_MAX: Final = 12.5
"""Quanta that may be owed: a long stretch may have been the machine's fault."""

VISITS_MAX: Final = 1000
"""Members passed over in one search: those deep in debt must not hold up the event loop."""


class Member:
    """One who takes turns. ``weight`` is its share against the others'."""

    __slots__ = ("is_waiting", "left", "round", "weight")

    def __init__(self, weight: float = 1.0) -> None:
        self.weight = weight
        self.left = 0.0
        """What it may still spend in this round; below zero it owes."""
        self.round = -1
        """The last round that gave it its quantum."""
        self.is_waiting = False


class Rounds:
    """Serves its members in turn. Quanta and spendings have one unit, seconds here."""

    __slots__ = ("_in_round", "_waiting", "number")

    def __init__(self) -> None:
        self.number = 0
        self._waiting: deque[Member] = deque()
        self._in_round = 0

    @property
    def is_contended(self) -> bool:
        """Whether anybody waits."""
        return bool(self._waiting)

    def join(self, member: Member) -> None:
        """Have a member wait; one that waits already keeps its place."""
        if not member.is_waiting:
            member.is_waiting = True
            self._waiting.append(member)

    def leave(self, member: Member) -> None:
        """Have the member in front wait no more."""
        if not self._waiting or self._waiting[0] is not member:
            raise ValueError("only the member that is served leaves")
        self._waiting.popleft()
        member.is_waiting = False
        self._pass_on()

    def catch_up(self, member: Member, quantum: float) -> bool:
        """Give a member that does not wait what the rounds since its last one would have given it.

        Tells whether it may go on at once.
        """
        missed = self.number - member.round
        if missed > 0:
            member.round = self.number
            most = quantum * member.weight
            owed = min(0.0, -DEBT_MAX * quantum)
            member.left = min(max(member.left, owed) + missed * most, most)
        return member.left > 0

    def pass_round(self) -> None:
        """Begin a new round while nobody waits."""
        self.number += 1

    def next(self, quantum: float) -> Member | None:
        """Give the member to be served; it stays in front until it has spent its quantum.

        None: nobody waits, or the search is to go on later.
        """
        for _ in range(VISITS_MAX):
            if not self._waiting:
                return None
            head = self._waiting[0]
            if self.catch_up(head, quantum):
                return head
            self._waiting.rotate(-1)
            self._pass_on()
        return None

    def _pass_on(self) -> None:
        """Go on to the next member; behind the last of this round the next one begins."""
        self._in_round -= 1
        if self._in_round <= 0:
            self.number += 1
            self._in_round = len(self._waiting)

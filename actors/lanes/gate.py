"""The gate: what holds a lane back after it came to another worker.

In: the sequences that lie on the lane unsettled, and those delivered to us. Out: whether one's turn
may have come. What another worker was handed comes again only when its ack wait is over; a later
run of the same key must not overtake it, and nobody knows the key of what is not here. So whatever
is later than the first missing one waits.
"""

import heapq
from collections.abc import Iterable


class Gate:
    """Knows what is missing. Shut: it is not known yet, and nothing may pass."""

    def __init__(self) -> None:
        self._missing: set[int] = set()
        self._order: list[int] = []
        self.is_shut = True

    @property
    def is_clear(self) -> bool:
        """Whether everything that was on the lane is here, or gone."""
        return not self.is_shut and not self._missing

    @property
    def missing(self) -> int:
        """How many others may have in hand: any of them may be under way."""
        return len(self._missing)

    def shut(self) -> None:
        """Let nothing pass until `take_over`."""
        self.is_shut = True

    def take_over(self, outstanding: Iterable[int], ours: Iterable[int]) -> None:
        """Begin with what lies on the lane and is not in our hands."""
        self._missing = set(outstanding).difference(ours)
        self._order = sorted(self._missing)
        self.is_shut = False

    def expect(self, sequence: int) -> None:
        """Wait for one that was in our hands and comes again."""
        if sequence not in self._missing:
            self._missing.add(sequence)
            heapq.heappush(self._order, sequence)

    def arrive(self, sequence: int) -> None:
        """Take note that it is here."""
        self._missing.discard(sequence)

    def keep_only(self, outstanding: Iterable[int]) -> bool:
        """Forget what is gone, and tell whether anything is: another worker has settled it."""
        before = len(self._missing)
        self._missing.intersection_update(outstanding)
        return len(self._missing) < before

    def is_open_for(self, sequence: int) -> bool:
        """Tell whether nothing earlier is missing."""
        if self.is_shut:
            return False
        while self._order and self._order[0] not in self._missing:
            heapq.heappop(self._order)
        return not self._order or sequence < self._order[0]

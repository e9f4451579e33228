"""How many bytes lie between two places of a stream.

In: what the server tells of a stream every now and then: its first and last sequence, its bytes.
Out: the bytes of any stretch of it, as exact as those looks are close. Refuses nothing: where it
never looked it goes by the average.

The server knows no bytes of a consumer's backlog, and an average over the whole stream is wrong
just when it matters: large events behind a history of small ones.
"""

from bisect import bisect_right
from typing import Final

POINTS_MAX: Final = 128


class StreamSizes:
    """Points (sequence, all bytes ever stored up to it), in order, at most `POINTS_MAX`."""

    __slots__ = ("_sequences", "_totals")

    def __init__(self) -> None:
        self._sequences: list[int] = []
        self._totals: list[float] = []

    def look(self, first_sequence: int, last_sequence: int, stored_bytes: int) -> None:
        """Take in what the server says now; a stream that was made anew is begun anew."""
        before = max(0, first_sequence - 1)
        if not self._sequences or last_sequence < self._sequences[-1]:
            self._sequences, self._totals = [before], [0.0]
        total = self.total_at(before) + stored_bytes
        if last_sequence > self._sequences[-1]:
            self._sequences.append(last_sequence)
            self._totals.append(max(total, self._totals[-1]))
        if len(self._sequences) > POINTS_MAX:
            self._thin_out()

    def total_at(self, sequence: int) -> float:
        """Give the bytes ever stored up to a sequence, counted from the first look."""
        after = bisect_right(self._sequences, sequence)
        if after == 0 or len(self._sequences) == 1:
            return self._totals[0] if self._totals else 0.0
        if after == len(self._sequences):
            return self._totals[-1]
        left, right = self._sequences[after - 1], self._sequences[after]
        low, high = self._totals[after - 1], self._totals[after]
        return low + (high - low) * (sequence - left) / (right - left)

    def between(self, after: int, last: int) -> float:
        """Give the bytes of what lies after ``after`` and up to ``last``."""
        return max(0.0, self.total_at(last) - self.total_at(after))

    def _thin_out(self) -> None:
        """Keep every second point of the older half: the backlog is at the new end."""
        half = len(self._sequences) // 2
        self._sequences[:half] = self._sequences[:half:2]
        self._totals[:half] = self._totals[:half:2]

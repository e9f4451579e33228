"""A pace: so many a second on average, and a burst of them at once (GCRA).

In: when something is asked for, in seconds on a clock that never goes back. Out: 0, or the exact
seconds until it may be. Refuses nothing; `book` takes ahead of time what `wait_for` would refuse.
"""


class Pace:
    """One limit's memory: a single number."""

    __slots__ = ("_full_at", "burst", "per_second")

    def __init__(self, per_second: float, burst: float) -> None:
        self.per_second = per_second
        self.burst = burst
        self._full_at = float("-inf")
        """When the whole burst is there again."""

    def wait_for(self, now: float, amount: float = 1.0) -> float:
        """Give the seconds until ``amount`` is there; 0: now. Takes nothing."""
        full_at = max(self._full_at, now) + amount / self.per_second
        return max(0.0, full_at - self.burst / self.per_second - now)

    def book(self, now: float, amount: float = 1.0) -> None:
        """Take ``amount``, whether or not it is there."""
        self._full_at = max(self._full_at, now) + amount / self.per_second

    def take(self, now: float, amount: float = 1.0) -> float:
        """Take ``amount`` if it is there and give 0; else take nothing and give the wait."""
        wait = self.wait_for(now, amount)
        if wait <= 0.0:
            self.book(now, amount)
            return 0.0
        return wait

    def change(self, per_second: float, burst: float, now: float) -> None:
        """Go over to another pace; what was used of the old one stays used in part."""
        used = max(0.0, self._full_at - now) * self.per_second
        self.per_second, self.burst = per_second, burst
        self._full_at = now + min(used, burst) / per_second

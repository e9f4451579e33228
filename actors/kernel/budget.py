"""How often a child may be restarted, and how long each restart waits.

In: the moment of a crash. Out: whether one more restart is within the budget, and the delay before
it. It refuses numbers that make no sense, and a budget that its own backoff could never spend:
such a child would crash for ever and nobody would be told.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RestartBudget:
    """At most ``restarts`` restarts in any ``seconds``; one crash more spends it."""

    restarts: int
    seconds: float

    def __post_init__(self) -> None:
        if self.restarts < 0 or self.seconds <= 0:
            raise ValueError(f"not a restart budget: {self.restarts} in {self.seconds} s")


@dataclass(frozen=True, slots=True)
class Backoff:
    """Delays that grow by ``factor`` up to ``max_seconds``.

    ``jitter`` is the share of a delay left to chance, so that children which crashed together do
    not come back together; it only shortens, ``max_seconds`` is never passed.
    """

    initial_seconds: float = 0.05
    factor: float = 2.0
    max_seconds: float = 1.0
    jitter: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.initial_seconds <= self.max_seconds:
            raise ValueError("a backoff grows from initial_seconds to max_seconds")
        if self.factor < 1 or not 0 <= self.jitter <= 1:
            raise ValueError("a backoff's factor is at least 1 and its jitter a share of 1")

    def delay_seconds(self, restarts_before: int, chance: float) -> float:
        """Delay of a restart that ``restarts_before`` others preceded; chance in [0, 1)."""
        delay = self.initial_seconds
        for _ in range(restarts_before):
            delay *= self.factor
            if delay >= self.max_seconds or self.factor == 1:
                break
        return min(delay, self.max_seconds) * (1 - self.jitter * chance)

    def check_can_spend(self, budget: RestartBudget) -> None:
        """Raise ValueError if crash after crash, at once after each start, never spends it."""
        slowest_seconds = sum(self.delay_seconds(n, 0.0) for n in range(budget.restarts))
        if slowest_seconds >= budget.seconds:
            raise ValueError(
                f"{budget.restarts} restarts wait up to {slowest_seconds:g} s, so a budget of "
                f"{budget.seconds:g} s is never spent"
            )


class RestartWindow:
    """The restarts of the last ``budget.seconds``: a sliding window, not a token bucket."""

    __slots__ = ("_times", "budget")

    def __init__(self, budget: RestartBudget) -> None:
        self.budget = budget
        self._times: list[float] = []  # few, and mostly none

    def admit(self, now: float) -> bool:
        """Count one more restart at ``now``; False, and not counted, if the budget is spent."""
        if self.count(now) >= self.budget.restarts:
            return False
        self._times.append(now)
        return True

    def count(self, now: float) -> int:
        """Restarts inside the window that ends at ``now``."""
        while self._times and self._times[0] <= now - self.budget.seconds:
            self._times.pop(0)
        return len(self._times)

    def clear(self) -> None:
        """Forget everything: a fresh budget."""
        self._times.clear()

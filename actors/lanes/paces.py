"""The paces of a lane's keys: what throttles and rate limits remember.

In: paces read from the store, runs that begin. Out: when the next may, and what is to be stored.
"""

from collections.abc import Mapping
from typing import Final

from actors.flows.control import RateRule
from actors.lanes.pace import Pace, after_one, earliest_ms, is_spent

PACES_MAX: Final = 20_000
"""Keys remembered; past it those that no longer hold anything back are forgotten."""


class Paces:
    """Paces by key. A key that is not known holds nothing back: ask `knows` first."""

    def __init__(self) -> None:
        self._known: dict[str, Pace | None] = {}
        self._planned: dict[str, Pace] = {}
        self._unsaved: dict[str, tuple[Pace, RateRule]] = {}

    def knows(self, key: str) -> bool:
        """Whether the store was asked for this key."""
        return key in self._known

    def learn(self, key: str, pace: Pace | None, now_ms: int) -> None:
        """Take what the store has."""
        if len(self._known) >= PACES_MAX:
            self._forget_spent(now_ms)
        self._known.setdefault(key, pace)

    def earliest_ms(self, key: str, rule: RateRule, now_ms: int) -> int:
        """When the next run of the key may begin; ``now_ms`` if it may now."""
        return earliest_ms(self._known.get(key), rule, now_ms)

    def take(self, key: str, rule: RateRule, now_ms: int) -> None:
        """Let one begin now; it is to be stored before it does."""
        pace = after_one(self._known.get(key), rule, now_ms)
        self._known[key] = pace
        self._unsaved[key] = (pace, rule)

    def plan(self, key: str, rule: RateRule, now_ms: int) -> int:
        """Give one that comes too early a time of its own, behind all that have one."""
        planned, known = self._planned.get(key), self._known.get(key)
        # One that was given the next time has not begun yet: the later of both counts.
        last = max(
            (pace for pace in (planned, known) if pace is not None),
            key=lambda pace: pace.next_units / pace.limit,
            default=None,
        )
        units = now_ms * rule.limit
        if last is not None:
            units = max(units, -(-last.next_units * rule.limit // last.limit))
        self._planned[key] = Pace(units + rule.period_ms, rule.limit)
        return units // rule.limit

    def take_unsaved(self) -> Mapping[str, tuple[Pace, RateRule]]:
        """Give what has changed since the last time."""
        unsaved, self._unsaved = self._unsaved, {}
        return unsaved

    def _forget_spent(self, now_ms: int) -> None:
        self._known = {
            key: pace
            for key, pace in self._known.items()
            if pace is not None and not is_spent(pace, now_ms)
        }
        self._planned = {
            key: pace for key, pace in self._planned.items() if not is_spent(pace, now_ms)
        }

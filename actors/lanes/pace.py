"""Pace: how many runs of a key may begin in a period, evenly spread (GCRA without burst).

In: a rule, a time in whole milliseconds. Out: when the next run may begin. All in whole numbers, so
nothing drifts. What it promises: if runs of a key begin at t1 ≤ t2 ≤ …, then
``t[k + limit] - t[k] >= period_ms``, so no half-open window of a period holds more than ``limit``
of them, whatever came before; idle time saves nothing up.

A time is a whole millisecond, so a run at ``t`` began somewhere in ``[t, t + 1)``; it conforms if
its earliest time lies before the end of that. The earliest time is kept in units of
1 / ``limit`` ms, in which the distance of two runs is exactly ``period_ms``.
"""

from dataclasses import dataclass
from typing import Any

from actors.flows.control import RateRule


@dataclass(frozen=True, slots=True)
class Pace:
    """Where one key stands: the next run's earliest time, in 1/``limit`` ms since the epoch."""

    next_units: int
    limit: int

    def as_value(self) -> dict[str, int]:
        """Write it as JSON; `read_pace` is the inverse."""
        return {"next": self.next_units, "limit": self.limit}


def read_pace(value: Any) -> Pace | None:
    """Read a stored pace; one that cannot be read is none."""
    try:
        pace = Pace(int(value["next"]), int(value["limit"]))
    except (TypeError, KeyError, ValueError):
        return None
    return pace if pace.limit > 0 else None


def earliest_ms(pace: Pace | None, rule: RateRule, now_ms: int) -> int:
    """Give the first millisecond at which the next run may begin; ``now_ms`` if it may now."""
    return max(now_ms, _units(pace, rule, now_ms) // rule.limit)


def after_one(pace: Pace | None, rule: RateRule, now_ms: int) -> Pace:
    """Give the pace after a run that began now."""
    units = max(now_ms * rule.limit, _units(pace, rule, now_ms))
    return Pace(units + rule.period_ms, rule.limit)


def is_spent(pace: Pace, now_ms: int) -> bool:
    """Tell whether the pace no longer holds anything back: it may be forgotten."""
    return pace.next_units <= now_ms * pace.limit


def _units(pace: Pace | None, rule: RateRule, now_ms: int) -> int:
    """Give the earliest time in the units of this rule, which may have changed since."""
    if pace is None:
        return 0
    units = pace.next_units
    if pace.limit != rule.limit:
        units = -(-units * rule.limit // pace.limit)
    # No run lets the next one wait longer than this. If the clock was put back, it says so.
    return min(units, (now_ms + 1) * rule.limit + rule.period_ms)

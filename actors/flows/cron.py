"""Cron expressions: when a timer fires next, in a time zone (SPEC 12.5).

In: an expression of five fields, of six with seconds first, or an ``@name``; an IANA zone. Out:
instants in milliseconds. Refuses, as ValueError, what croniter or zoneinfo cannot read. A time that
never comes (30 February) is None, not an endless search.

`actors.flows.calendar` walks over walls (see `actors.flows.zones`), where every hour comes once;
what the zone's clocks make of a wall is decided here, by Debian's rule: a job with a star in its
minutes or hours follows elapsed time; any other is made up for right after a spring gap, and comes
once in an autumn repeat.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal
from zoneinfo import ZoneInfo

from actors.flows.calendar import Calendar, parse_calendar
from actors.flows.zones import WallClock

CHARS_MAX: Final = 512
"""Long enough for every minute of an hour to be listed, and for nothing sillier."""

SCHEDULES_REMEMBERED_MAX: Final = 1024
"""Parsed ones that are kept: a thousand tenants with the same timer share one."""

_FIELDS_WITH_SECONDS: Final = 6
_MS: Final = 1000
_ELAPSED: Final = re.compile(r"@hourly|(?:\S+\s+)?(?:\*\S*\s+\S+|\S+\s+\*\S*)(?:\s+\S+){3}")
"""A star in front of the minutes or the hours, after seconds if there are any."""


ClockChange = Literal["gap", "first", "second"]


@dataclass(frozen=True, slots=True)
class CronSchedule:
    """A parsed expression in its zone."""

    expression: str
    zone: ZoneInfo
    calendar: Calendar

    def next_after(self, instant_ms: int) -> int | None:
        """Give the first firing strictly after an instant; None if there is none in 28 years."""
        instant = instant_ms // _MS
        find = self._next_elapsed if _follows_elapsed_time(self.expression) else self._next_fixed
        found = find(instant, WallClock(self.zone))
        return None if found is None else found * _MS

    def last_until(self, instant_ms: int) -> int | None:
        """Give the last firing at or before an instant; None if there is none in 28 years."""
        instant = instant_ms // _MS
        find = self._last_elapsed if _follows_elapsed_time(self.expression) else self._last_fixed
        found = find(instant, WallClock(self.zone))
        return None if found is None else found * _MS

    def change_at(self, instant_ms: int) -> ClockChange | None:
        """Tell what a change of the clocks did to a firing.

        ``gap``: its time was skipped, and this is right after. ``first`` and ``second``: the clocks
        show its time twice, and this is one of the two.
        """
        instant, clock = instant_ms // _MS, WallClock(self.zone)
        wall = clock.shown_at(instant)
        if self._step(wall - 1, forward=True) != wall:
            return "gap"
        second = clock.second_showing(wall)
        if second is None:
            return None
        return "second" if instant == second else "first"

    # ── A star in minutes or hours: whenever the clocks show it ─────────────────────────────────

    def _next_elapsed(self, instant: int, clock: WallClock) -> int | None:
        wall = clock.shown_at(instant)
        while (wall_found := self._step(wall, forward=True)) is not None:
            found = wall_found - clock.offset_at(instant)
            change = clock.change_after(instant, found)
            if change is None:
                return found
            instant, wall = change, clock.shown_at(change) - 1
        return None

    def _last_elapsed(self, instant: int, clock: WallClock) -> int | None:
        while True:
            wall = self._step(clock.shown_at(instant) + 1, forward=False)
            if wall is None:
                return None
            found = wall - clock.offset_at(instant)
            change = clock.change_before(instant, found)
            if change is None:
                return found
            instant = change - 1

    # ── Fixed times: once a day, whatever the clocks do ─────────────────────────────────────────

    def _next_fixed(self, instant: int, clock: WallClock) -> int | None:
        for wall in self._walls(clock.last_wall_shown(instant), forward=True):
            found, is_shown = clock.first_showing(wall)
            if found > instant and (is_shown or _is_made_up_for(wall)):
                return found
        return None

    def _last_fixed(self, instant: int, clock: WallClock) -> int | None:
        for wall in self._walls(clock.last_wall_shown(instant) + 1, forward=False):
            found, is_shown = clock.first_showing(wall)
            if is_shown or _is_made_up_for(wall):
                return found
        return None

    # ── The calendar ────────────────────────────────────────────────────────────────────────────

    def _walls(self, wall: int, *, forward: bool) -> Iterator[int]:
        while (found := self._step(wall, forward=forward)) is not None:
            yield found
            wall = found

    def _step(self, wall: int, *, forward: bool) -> int | None:
        return self.calendar.next_after(wall) if forward else self.calendar.last_before(wall)


@lru_cache(maxsize=SCHEDULES_REMEMBERED_MAX)
def parse_cron(expression: str, timezone: str) -> CronSchedule:
    """Read an expression and a zone; ValueError says what is wrong with which of them."""
    try:
        zone = ZoneInfo(timezone)
    except (OSError, ValueError, LookupError) as error:
        raise ValueError(
            f"unknown time zone {timezone!r}; use an IANA name like 'Europe/Paris'"
        ) from error
    if len(expression) > CHARS_MAX or len(expression.split()) > _FIELDS_WITH_SECONDS:
        raise ValueError("a cron expression has five fields, or six with seconds first")
    return CronSchedule(expression, zone, parse_calendar(expression))


def _follows_elapsed_time(expression: str) -> bool:
    return _ELAPSED.fullmatch(expression.strip().lower()) is not None


def _is_made_up_for(wall: int) -> bool:
    """Tell whether a time that a spring gap swallowed runs after it: one with seconds does not."""
    return wall % 60 == 0

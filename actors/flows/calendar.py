"""The calendar of a cron expression: which dates and times it names, whatever the clocks do.

In: an expression of five fields, or of six with seconds first, or an ``@name``. Out: walls (see
`actors.flows.zones`), each later or earlier than another. Refuses, as ValueError, what croniter
cannot read, and values that it would draw at random.

croniter reads the fields; the steps from date to date are our own. Its stepping loses days where
both day fields restrict: ``0 12 */10 * MON`` misses Monday, 1 March 2010, from anywhere in February
(measured against cronsim, `tests.judges.cron`), and makes a new walker for each step.
"""

import calendar
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

from croniter import croniter

YEARS_SEARCHED_MAX: Final = 28
"""Weekdays and leap days repeat after 28 years: a date not met by then never comes."""

_DAY_SECONDS: Final = 86_400
_WEEK_DAYS: Final = 7
_EPOCH: Final = date(1970, 1, 1).toordinal()
_DRAWN: Final = re.compile(r"(?:^|[\s,])[hr]", re.IGNORECASE)
"""croniter's random (``R``) and hashed (``H``) values; no month or day begins with these."""


@dataclass(frozen=True, slots=True)
class Calendar:
    """The dates and times of one expression."""

    times: "Times"
    days: frozenset[int]
    has_last_day: bool
    months: frozenset[int]
    weekdays: frozenset[int]
    """0 is Sunday."""
    nth_weekdays: frozenset[tuple[int, int]]
    """Weekday and which of the month, 1 to 5; 0 is the last. If any is given they alone count."""
    needs_both: bool
    """Debian's rule: a day field that starts with a star does not widen what the other says."""

    def next_after(self, wall: int) -> int | None:
        """Give the first wall after another; None if there is none within 28 years."""
        day, second = divmod(wall, _DAY_SECONDS)
        found = self.times.after(second)
        if found is not None and self._has(_date(day)):
            return day * _DAY_SECONDS + found
        following = next(self._days(day, 1), None)
        return None if following is None else following * _DAY_SECONDS + self.times.first

    def last_before(self, wall: int) -> int | None:
        """Give the last wall before another; None if there is none within 28 years."""
        day, second = divmod(wall, _DAY_SECONDS)
        found = self.times.before(second)
        if found is not None and self._has(_date(day)):
            return day * _DAY_SECONDS + found
        preceding = next(self._days(day, -1), None)
        return None if preceding is None else preceding * _DAY_SECONDS + self.times.last

    def _days(self, day: int, step: int) -> Iterator[int]:
        """Give the matching days beyond one, nearest first, passing over months as a whole."""
        try:
            current = _date(day) + timedelta(days=step)
            end_year = current.year + step * YEARS_SEARCHED_MAX
            while (current.year - end_year) * step <= 0:
                if current.month not in self.months:
                    current = _next_month(current, step)
                    continue
                if self._has(current):
                    yield current.toordinal() - _EPOCH
                current += timedelta(days=step)
        except (OverflowError, ValueError):
            return  # the end of the calendar

    def _has(self, moment: date) -> bool:
        if moment.month not in self.months:
            return False
        by_day = moment.day in self.days or (self.has_last_day and _is_last_day(moment))
        by_weekday = self._has_weekday(moment)
        return (by_day and by_weekday) if self.needs_both else (by_day or by_weekday)

    def _has_weekday(self, moment: date) -> bool:
        weekday = moment.isoweekday() % _WEEK_DAYS
        if not self.nth_weekdays:
            return weekday in self.weekdays
        nth = (moment.day + _WEEK_DAYS - 1) // _WEEK_DAYS
        if (weekday, nth) in self.nth_weekdays:
            return True
        is_last = moment.day + _WEEK_DAYS > _days_in(moment)
        return is_last and (weekday, 0) in self.nth_weekdays


@dataclass(frozen=True, slots=True)
class Times:
    """The times of a day: every second of every minute of every hour named. Sorted values."""

    hours: Sequence[int]
    minutes: Sequence[int]
    seconds: Sequence[int]

    @property
    def first(self) -> int:
        """The day's first time, in seconds since midnight."""
        return self._at(0, 0, 0)

    @property
    def last(self) -> int:
        """The day's last time."""
        return self._at(-1, -1, -1)

    def after(self, second: int) -> int | None:
        """Give the first time after another; None if the day has no more."""
        hour, minute, rest = second // 3600, second // 60 % 60, second % 60
        hour_at, minute_at = bisect_left(self.hours, hour), bisect_left(self.minutes, minute)
        if hour_at == len(self.hours):
            return None
        if self.hours[hour_at] > hour:
            return self._at(hour_at, 0, 0)
        if minute_at < len(self.minutes) and self.minutes[minute_at] == minute:
            second_at = bisect_right(self.seconds, rest)
            if second_at < len(self.seconds):
                return self._at(hour_at, minute_at, second_at)
            minute_at += 1
        if minute_at < len(self.minutes):
            return self._at(hour_at, minute_at, 0)
        return self._at(hour_at + 1, 0, 0) if hour_at + 1 < len(self.hours) else None

    def before(self, second: int) -> int | None:
        """Give the last time before another; None if the day has none so early."""
        hour, minute, rest = second // 3600, second // 60 % 60, second % 60
        hour_at, minute_at = bisect_right(self.hours, hour), bisect_right(self.minutes, minute)
        if hour_at == 0:
            return None
        if self.hours[hour_at - 1] < hour:
            return self._at(hour_at - 1, -1, -1)
        if minute_at > 0 and self.minutes[minute_at - 1] == minute:
            second_at = bisect_left(self.seconds, rest)
            if second_at > 0:
                return self._at(hour_at - 1, minute_at - 1, second_at - 1)
            minute_at -= 1
        if minute_at > 0:
            return self._at(hour_at - 1, minute_at - 1, -1)
        return self._at(hour_at - 2, -1, -1) if hour_at > 1 else None

    def _at(self, hour_at: int, minute_at: int, second_at: int) -> int:
        return self.hours[hour_at] * 3600 + self.minutes[minute_at] * 60 + self.seconds[second_at]


def parse_calendar(expression: str) -> Calendar:
    """Read an expression; ValueError says what is wrong with it."""
    if _DRAWN.search(expression):
        raise ValueError(
            f"bad cron expression {expression!r}: R and H would be drawn anew by every worker"
        )
    try:
        parsed = croniter(expression, second_at_beginning=True)
    except (ValueError, LookupError, AttributeError, TypeError) as error:
        raise ValueError(f"bad cron expression {expression!r}: {error}") from error
    minutes, hours, days, months, weekdays = parsed.expanded[:5]
    seconds: Sequence[Any] = next(iter(parsed.expanded[5:]), [0])
    nth: Mapping[Any, Iterable[Any]] = parsed.nth_weekday_of_month
    fields = expression.split()
    day_fields = ("*", "*") if len(fields) == 1 else (fields[-3], fields[-1])
    return Calendar(
        times=Times(
            _values(hours, range(24)),
            _values(minutes, range(60)),
            _values(seconds, range(60)),
        ),
        days=frozenset(_values(days, range(1, 32))),
        has_last_day="l" in days,
        months=frozenset(_values(months, range(1, 13))),
        weekdays=frozenset(_values(weekdays, range(7))),
        nth_weekdays=frozenset(
            (weekday, 0 if which == "l" else which) for weekday in nth for which in nth[weekday]
        ),
        needs_both=any(field.startswith(("*", "?")) for field in day_fields),
    )


def _values(given: Sequence[Any], everything: Sequence[int]) -> Sequence[int]:
    if "*" in given:
        return everything
    return sorted(value for value in given if isinstance(value, int))


def _date(day: int) -> date:
    return date.fromordinal(day + _EPOCH)


def _next_month(moment: date, step: int) -> date:
    """Give the first day of the next month, or the last of the one before."""
    if step < 0:
        return moment.replace(day=1) - timedelta(days=1)
    return moment.replace(day=_days_in(moment)) + timedelta(days=1)


def _days_in(moment: date) -> int:
    return calendar.monthrange(moment.year, moment.month)[1]


def _is_last_day(moment: date) -> bool:
    return moment.day == _days_in(moment)

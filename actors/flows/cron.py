"""Cron expressions: when a timer fires next, in a time zone (SPEC 12.5).

In: an expression of five fields, of six with seconds first, or an ``@name``; an IANA zone. Out:
instants in milliseconds. Refuses, as ValueError, what croniter or zoneinfo cannot read. A time that
never comes (30 February) is None, not an endless search.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

from croniter import CroniterBadDateError, croniter

YEARS_SEARCHED_MAX: Final = 28
"""Weekdays and leap days repeat after 28 years: a date not met by then never comes."""

_FIELDS_WITH_SECONDS: Final = 6
_MS: Final = 1000


@dataclass(frozen=True, slots=True)
class CronSchedule:
    """A parsed expression in its zone."""

    expression: str
    zone: ZoneInfo

    def next_after(self, instant_ms: int) -> int | None:
        """Give the first firing strictly after an instant; None if there is none in 28 years."""
        return self._search(instant_ms, forward=True)

    def last_until(self, instant_ms: int) -> int | None:
        """Give the last firing at or before an instant; None if there is none in 28 years."""
        return self._search(instant_ms // _MS * _MS + _MS, forward=False)

    def _search(self, instant_ms: int, *, forward: bool) -> int | None:
        start = datetime.fromtimestamp(instant_ms / _MS, tz=UTC).astimezone(self.zone)
        cursor = croniter(
            self.expression,
            start,
            ret_type=datetime,
            second_at_beginning=True,
            max_years_between_matches=YEARS_SEARCHED_MAX,
        )
        try:
            found: datetime = cursor.get_next() if forward else cursor.get_prev()
        except CroniterBadDateError:
            return None
        return round(found.timestamp() * _MS)


def parse_cron(expression: str, timezone: str) -> CronSchedule:
    """Read an expression and a zone; ValueError says what is wrong with which of them."""
    try:
        zone = ZoneInfo(timezone)
    except (OSError, ValueError, LookupError) as error:
        raise ValueError(
            f"unknown time zone {timezone!r}; use an IANA name like 'Europe/Paris'"
        ) from error
    fields = expression.split()
    if len(fields) > _FIELDS_WITH_SECONDS:
        raise ValueError("a cron expression has five fields, or six with seconds first")
    try:
        croniter(expression, second_at_beginning=True)
    except (ValueError, LookupError, AttributeError, TypeError) as error:
        raise ValueError(f"bad cron expression {expression!r}: {error}") from error
    return CronSchedule(expression, zone)

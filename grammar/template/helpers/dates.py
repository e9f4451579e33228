"""Helpers on time. In: a moment. Out: text for people, or seconds.

A moment is a number of seconds since the epoch, of milliseconds when it is 1e11 or more (an
event's `timestamp`), or ISO 8601 text (UTC unless it says otherwise). The present comes from the
scope's `now` (integer seconds): there is no clock here. Null gives empty text; refuses the rest.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Any, Final
from zoneinfo import ZoneInfo

from grammar.budget import Budget
from grammar.template.formatting import HelperFaultError

MILLISECONDS_FROM: Final = 100_000_000_000
FORMAT_CHARACTERS_MAX: Final = 256
ISO_CHARACTERS_MAX: Final = 40
DEFAULT_FORMAT: Final = "YYYY-MM-DD"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_TOKEN: Final = re.compile(
    r"\[([^\]]*)\]|YYYY|YY|MMMM|MMM|MM|M|DD|D|dddd|ddd|HH|H|hh|h|mm|m|ss|s|SSS|A|a|ZZ|Z|X"
)
_PERCENT: Final = re.compile(r"%([YymdHIMSpBbAajZzF%T])")
_PERCENT_TOKENS: Final = {
    "Y": "YYYY", "y": "YY", "m": "MM", "d": "DD", "H": "HH", "I": "hh", "M": "mm", "S": "ss",
    "p": "A", "B": "MMMM", "b": "MMM", "A": "dddd", "a": "ddd", "z": "ZZ",
    "F": "YYYY-MM-DD", "T": "HH:mm:ss",
}  # fmt: skip
_MONTHS: Final = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip
_DAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_UNITS: Final = (
    ("year", 31_536_000),
    ("month", 2_592_000),
    ("day", 86_400),
    ("hour", 3_600),
    ("minute", 60),
)
JUST_NOW_SECONDS: Final = 60


def format_date(
    budget: Budget, value: Any, pattern: Any = DEFAULT_FORMAT, zone: Any = "UTC"
) -> str:
    """`formatDate moment [format] [timezone]`: `2026-03-01`; the format is in tokens.

    Tokens: YYYY YY MMMM MMM MM M DD D dddd ddd HH H hh h mm m ss s SSS A a Z ZZ X, `[text]` as it
    is; or, when it has a `%`, those of strftime. The timezone is an IANA name. Errors:
    type_mismatch for what is no moment, no format or no timezone. Format: at most 256 characters.
    """
    budget.charge(16)
    if value is None or value == "":
        return ""
    if not isinstance(pattern, str) or len(pattern) > FORMAT_CHARACTERS_MAX:
        raise HelperFaultError("formatDate: the format must be text, at most 256 characters")
    budget.charge(len(pattern))
    moment = _moment("formatDate", value)
    try:
        local = moment.astimezone(_zone(zone))
    except OverflowError:
        raise HelperFaultError("formatDate: the moment is outside the years 1 to 9999") from None
    texts = _texts_of(local)
    if "%" in pattern:
        return _PERCENT.sub(lambda m: _percent_text(local, m[1], texts), pattern)
    return _filled(pattern, texts)


def relative_time(budget: Budget, value: Any, *, now: Any) -> str:
    """`relativeTime moment`: `5 minutes ago`, `in 2 days`, `just now` below a minute.

    Months are 30 days, years 365. Errors: type_mismatch, also for a scope without `now`.
    """
    budget.charge(4)
    if value is None or value == "":
        return ""
    delta = _moment("relativeTime", value) - _moment("relativeTime", now)
    seconds = int(abs(delta).total_seconds())
    if seconds < JUST_NOW_SECONDS:
        return "just now"
    name, size = next(unit for unit in _UNITS if seconds >= unit[1])
    count = seconds // size
    text = f"{count} {name}{'' if count == 1 else 's'}"
    return f"in {text}" if delta > timedelta(0) else f"{text} ago"


def now(budget: Budget, pattern: Any = None, zone: Any = "UTC", *, now: Any) -> Any:
    """`now [format] [timezone]`: the run's present, seconds since the epoch, or formatted."""
    return now if pattern is None else format_date(budget, now, pattern, zone)


def _moment(name: str, value: Any) -> datetime:
    try:
        if isinstance(value, str) and len(value) <= ISO_CHARACTERS_MAX:
            moment = datetime.fromisoformat(value.strip())
            return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
        if isinstance(value, int | float) and not isinstance(value, bool):
            if abs(value) >= MILLISECONDS_FROM:
                return _EPOCH + timedelta(milliseconds=value)
            return _EPOCH + timedelta(seconds=value)
    except (ValueError, OverflowError):
        pass
    raise HelperFaultError(f"{name}: takes seconds, milliseconds or ISO 8601 text")


@lru_cache(maxsize=128)
def _zone_named(name: str) -> tzinfo | None:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return None


def _zone(name: Any) -> tzinfo:
    zone = _zone_named(name) if isinstance(name, str) and name.isascii() else None
    if zone is None:
        raise HelperFaultError(f"Unknown timezone {name!r:.60}; use a name like `Europe/Berlin`")
    return zone


def _filled(pattern: str, texts: dict[str, str]) -> str:
    return _TOKEN.sub(lambda m: m[1] if m[0].startswith("[") else texts[m[0]], pattern)


def _percent_text(moment: datetime, letter: str, texts: dict[str, str]) -> str:
    if letter == "%":
        return "%"
    if letter == "Z":
        return moment.tzname() or ""
    if letter == "j":
        return f"{moment.timetuple().tm_yday:03d}"
    return _filled(_PERCENT_TOKENS[letter], texts)


def _texts_of(moment: datetime) -> dict[str, str]:
    """Return the text of every token: all at once, since a format may repeat them."""
    offset = moment.strftime("%z")
    hour = moment.hour % 12 or 12
    return {
        "YYYY": f"{moment.year:04d}", "YY": f"{moment.year % 100:02d}",
        "MMMM": _MONTHS[moment.month - 1], "MMM": _MONTHS[moment.month - 1][:3],
        "MM": f"{moment.month:02d}", "M": str(moment.month),
        "DD": f"{moment.day:02d}", "D": str(moment.day),
        "dddd": _DAYS[moment.weekday()], "ddd": _DAYS[moment.weekday()][:3],
        "HH": f"{moment.hour:02d}", "H": str(moment.hour), "hh": f"{hour:02d}", "h": str(hour),
        "mm": f"{moment.minute:02d}", "m": str(moment.minute),
        "ss": f"{moment.second:02d}", "s": str(moment.second),
        "SSS": f"{moment.microsecond // 1000:03d}",
        "A": "AM" if moment.hour < 12 else "PM",  # noqa: PLR2004 - noon
        "a": "am" if moment.hour < 12 else "pm",  # noqa: PLR2004 - noon
        "Z": f"{offset[:3]}:{offset[3:5]}", "ZZ": offset[:5],
        "X": str(int(moment.timestamp())),
    }  # fmt: skip

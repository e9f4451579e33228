"""Firings of a cron expression, for people and programs.

In: an expression, a zone, an instant. Out: `Firing`s with what the clocks did to them. Refuses what
cannot be read, as CommandError with a hint.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo, available_timezones

from actors.diagnostics import did_you_mean
from actors.flows.cron import ClockChange, CronSchedule, parse_cron
from app.errors import CommandError
from app.system import SystemClock

NOTES: Final[dict[ClockChange, str]] = {
    "gap": "moved: the clocks skip its own time",
    "first": "the clocks show this time twice; this is the first",
    "second": "the clocks show this time twice; this is the second",
}


@dataclass(frozen=True, slots=True)
class Firing:
    """One time at which a timer fires."""

    at_ms: int
    zone: ZoneInfo
    change: ClockChange | None = None

    def as_text(self) -> str:
        """Give it on one line."""
        moment = datetime.fromtimestamp(self.at_ms / 1000, self.zone)
        note = "" if self.change is None else f"  ({NOTES[self.change]})"
        return f"{moment.isoformat()}  {moment:%a}{note}"

    def as_document(self) -> dict[str, Any]:
        """Give it as ``--json`` shows it."""
        at = datetime.fromtimestamp(self.at_ms / 1000, self.zone).isoformat()
        return {"at": at, "at_ms": self.at_ms, "change": self.change}


def firings_after(schedule: CronSchedule, after_ms: int, count: int) -> tuple[Firing, ...]:
    """Give up to ``count`` firings after an instant; fewer where no more come."""
    firings: list[Firing] = []
    while len(firings) < count:
        at_ms = schedule.next_after(firings[-1].at_ms if firings else after_ms)
        if at_ms is None:
            break
        firings.append(Firing(at_ms, schedule.zone, schedule.change_at(at_ms)))
    return tuple(firings)


def parse_schedule(expression: str, timezone: str) -> CronSchedule:
    """Read an expression in a zone; CommandError says what is wrong with which of them."""
    try:
        return parse_cron(expression, timezone)
    except ValueError as error:
        hint = "minute hour day month weekday, like '0 9 * * 1'; or six fields, seconds first"
        if "time zone" in str(error):
            hint = did_you_mean(timezone, available_timezones()) or "like Europe/Paris"
        raise CommandError(str(error), hint=hint) from None


def instant_of(text: str | None, zone: ZoneInfo) -> int:
    """Read a time as milliseconds; without an offset it is one of the zone, without a text now."""
    if text is None:
        return SystemClock().now_ms()
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=zone)
        return int(moment.timestamp() * 1000)
    except (ValueError, OverflowError):
        hint = "like 2026-03-29T01:00, or 2026-03-29T01:00+02:00"
        raise CommandError(f"{text!r} is no time", hint=hint) from None

"""Firings of a timer, for people and programs.

In: a schedule, an instant. Out: `Firing`s with what the clocks did to them. Refuses nothing.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from actors.flows.cron import ClockChange, CronSchedule

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
        """Give it for programs."""
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

"""Our cron against `cronsim`: over years and zones, no tick twice and none missing.

``python -m tests.judges.cron --zones 400 --years 10`` prints its figures, and every disagreement
that has no reason. What is compared, for each zone: every expression around each change of its
clocks, where implementations differ if they do, and one sparse expression over all the years.

Where the two disagree, and why:

1. Six fields: cronsim takes them for no cron of Debian's and lets the clocks decide: nothing in the
   gap and twice in the repeat. SPEC 12.5 has one rule for five fields and six: a fixed time comes
   once in the repeat, and one at a whole minute is made up for after the gap.
2. Clocks that change by less than an hour, or not at a whole hour (Lord Howe, half an hour): with a
   star cronsim steps by whole hours of elapsed time and so can pass over a time that the clocks do
   show, or give one again. Ours is compared with a walk over every minute of the clocks there
   (`minutes_shown`), which knows nothing of either implementation.
3. Clocks that go back over midnight (Newfoundland until 2011, at 00:01): cronsim goes from day to
   day by the date the clocks show and goes round in circles for a star. Ours is compared as under 2.
"""

import argparse
import random
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim

from actors.flows.cron import parse_cron
from actors.flows.zones import WallClock

SEED: Final = 20_240_331
FIRST_YEAR: Final = 2010
HOUR: Final = 3600
DAY: Final = 24 * HOUR

DENSE: Final = (
    "*/30 * * * *", "*/17 * * * *", "* 0-3 * * *", "15 */3 * * *", "0 */2 * * *", "7 */5 */2 * *",
    "30 2 * * *", "0,20,40 1-3 * * *", "5 0 * * *", "59 23 * * *", "0 0 * * *", "30 1 * * *",
    "45 1,2,3 1-7 * */7", "0 3 * * SUN", "7 1-23/2 * * *", "0 12 1,15 * FRI", "10 2 */2 * MON-FRI",
    "*/20 */6 * * * *", "30 */15 * * * *", "0 30 2 * * *", "15 0 0-5 * * *",
)  # fmt: skip
"""Compared around every change of the clocks."""

SPARSE: Final = (
    "30 2 * * SUN", "0 0 1 * *", "15 3 29 2 *", "0 1 13 * FRI", "0 12 */10 * MON", "59 23 31 * *",
    "0 2 1-7 3,10 SUN", "0 */12 * * 3", "0 0 * * 7", "30 6 L * *", "0 9 1,L * *", "0 12 * * MON#2",
    "15 1 * * FRI#5", "0 0 */9 2,3 1-5", "0 8 31 * 2,4",
)  # fmt: skip
"""Compared over all the years."""

EXPRESSIONS_PER_CHANGE: Final = 6
ROUNDS_MAX: Final = 20_000


@dataclass(frozen=True, slots=True)
class Disagreement:
    """Ticks that only one of the two has, in one window of one zone."""

    expression: str
    zone: str
    ours_only: tuple[int, ...]
    theirs_only: tuple[int, ...]

    def __str__(self) -> str:
        zone = ZoneInfo(self.zone)
        ours, theirs = (
            ", ".join(datetime.fromtimestamp(tick, zone).isoformat() for tick in ticks[:4]) or "-"
            for ticks in (self.ours_only, self.theirs_only)
        )
        return f"{self.expression!r} in {self.zone}: only ours {ours}; only cronsim's {theirs}"


@dataclass(slots=True)
class Verdict:
    """What was compared, and what remained."""

    zones: int = 0
    changes: int = 0
    windows: int = 0
    ticks: int = 0
    repeats: int = 0
    """Ticks of ours that came twice."""
    explained: dict[str, int] = field(default_factory=dict)
    """How often each of the reasons held, by its number in this module's first lines."""
    disagreements: list[Disagreement] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        """No tick twice, none missing, every difference explained."""
        return not self.repeats and not self.disagreements


@dataclass(frozen=True, slots=True)
class Window:
    """Instants after ``start`` and until ``end``, in seconds."""

    start: int
    end: int


def judge(
    zones: int | Sequence[str],
    years: int,
    seed: int = SEED,
    *,
    per_change: int = EXPRESSIONS_PER_CHANGE,
) -> Verdict:
    """Compare in these zones, or in so many drawn by the seed, over so many years."""
    chance = random.Random(seed)  # noqa: S311 - draws a sample, the same one every time
    verdict = Verdict()
    span = Window(_year(FIRST_YEAR), _year(FIRST_YEAR + years))
    if isinstance(zones, int):
        zones = chance.sample(sorted(available_timezones()), zones)
    for zone in zones:
        verdict.zones += 1
        _compare(chance.choice(SPARSE), zone, span, verdict)
        for change in changes_in(zone, span):
            verdict.changes += 1
            window = Window(change - DAY - 7, change + DAY)
            for expression in chance.sample(DENSE, per_change):
                _compare(expression, zone, window, verdict)
    return verdict


def changes_in(zone: str, window: Window) -> list[int]:
    """Give the instants at which a zone's offset changes."""
    clock, found, instant = WallClock(ZoneInfo(zone)), [], window.start
    while (change := clock.change_after(instant, window.end)) is not None:
        found.append(instant := change)
    return found


def ours(expression: str, zone: str, window: Window) -> Iterator[int]:
    """Give our ticks."""
    schedule = parse_cron(expression, zone)
    tick: int | None = window.start * 1000
    while tick is not None:
        tick = schedule.next_after(tick)
        if tick is None or tick > window.end * 1000:
            return
        yield tick // 1000


def theirs(expression: str, zone: str, window: Window) -> Iterator[int]:
    """Give cronsim's ticks."""
    start = datetime.fromtimestamp(window.start, ZoneInfo(zone))
    last = window.start - 1
    for moment in PatientCronSim(expression, start):
        tick = int(moment.timestamp())
        if tick <= last:
            raise JudgeStuckError
        last = tick
        if tick > window.end:
            return
        if tick > window.start:
            yield tick


class JudgeStuckError(Exception):
    """cronsim goes round in circles."""


class PatientCronSim(CronSim):
    """cronsim with an end to its search."""

    _rounds = 0

    def advance_month(self) -> None:
        """Count the rounds of the search for one tick: each begins with the month."""
        self._rounds += 1
        if self._rounds > ROUNDS_MAX:
            raise JudgeStuckError
        super().advance_month()

    def advance(self) -> None:
        """Search for one tick."""
        self._rounds = 0
        super().advance()


def minutes_shown(expression: str, zone: str, window: Window) -> Iterator[int]:
    """Give every whole minute whose date and time match: what a star means, without any stepping.

    Whether a date and a time match is asked of cronsim, in UTC, where no clock ever changes.
    """
    place = ZoneInfo(zone)
    for instant in range(window.start - window.start % 60 + 60, window.end + 1, 60):
        shown = datetime.fromtimestamp(instant, place).replace(tzinfo=UTC)
        just_before = datetime.fromtimestamp(shown.timestamp() - 1, UTC)
        if next(CronSim(expression, just_before)) == shown:
            yield instant


# ── Comparing ────────────────────────────────────────────────────────────────────────────────


def _compare(expression: str, zone: str, window: Window, verdict: Verdict) -> None:
    mine = list(ours(expression, zone, window))
    verdict.windows += 1
    verdict.ticks += len(mine)
    verdict.repeats += _repeats(mine)
    try:
        given = list(theirs(expression, zone, window))
        if mine == given:
            return
        reason = _reason(expression, zone, window, mine)
    except JudgeStuckError:
        given = []
        reason = _reason(expression, zone, window, mine) and "3"
    if reason is not None:
        _explain(verdict, reason)
        return
    only = tuple(sorted(set(mine) - set(given))), tuple(sorted(set(given) - set(mine)))
    verdict.disagreements.append(Disagreement(expression, zone, *only))


def _reason(expression: str, zone: str, window: Window, mine: Sequence[int]) -> str | None:
    fields = expression.split()
    has_seconds = len(fields) == 6
    minute, hour = fields[-5], fields[-4]
    has_star = minute.startswith("*") or hour.startswith("*")
    if has_seconds:
        if not has_star and mine == list(_fixed(expression, zone, window)):
            return "1"
        return None
    if has_star and mine == list(minutes_shown(expression, zone, window)):
        return "2"
    return None


def _fixed(expression: str, zone: str, window: Window) -> Iterable[int]:
    """Give the ticks of fixed times with seconds by the rule of SPEC 12.5.

    The dates and times come from cronsim in UTC; each is met at its first showing, and one at a
    whole minute that is never shown, at the end of the gap.
    """
    clock = WallClock(ZoneInfo(zone))
    ticks = set()
    start = datetime.fromtimestamp(window.start - DAY, UTC)
    for moment in CronSim(expression, start):
        if moment.timestamp() > window.end + 2 * DAY:
            break
        instant, is_shown = clock.first_showing(int(moment.timestamp()))
        if window.start < instant <= window.end and (is_shown or moment.second == 0):
            ticks.add(instant)
    return sorted(ticks)


def _repeats(ticks: Sequence[int]) -> int:
    return len(ticks) - len(set(ticks))


def _explain(verdict: Verdict, reason: str) -> None:
    verdict.explained[reason] = verdict.explained.get(reason, 0) + 1


def _year(year: int) -> int:
    return int(datetime(year, 1, 1, tzinfo=UTC).timestamp())


def main() -> None:
    """Run at the size that was asked for and print the figures; ends with 1 unless all is well."""
    parser = argparse.ArgumentParser(description="Our cron against cronsim.")
    parser.add_argument("--zones", type=int, default=400)
    parser.add_argument("--years", type=int, default=10)
    parser.add_argument("--seed", type=int, default=SEED)
    given = parser.parse_args()
    began = time.perf_counter()
    verdict = judge(given.zones, given.years, given.seed)
    for disagreement in verdict.disagreements[:50]:
        print(disagreement)
    print(
        f"{verdict.zones} zones, {given.years} years, {verdict.changes} changes of clocks,"
        f" {verdict.windows} windows, {verdict.ticks} ticks of ours:"
        f" {verdict.repeats} twice, {len(verdict.disagreements)} windows disagree;"
        f" explained {verdict.explained};"
        f" {time.perf_counter() - began:.0f} s"
    )
    raise SystemExit(not verdict.is_clean)


if __name__ == "__main__":
    main()

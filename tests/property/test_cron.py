"""Cron forwards and backwards: both see the same firings, in the order of time, none twice."""

from datetime import datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from actors.flows.cron import CronSchedule, parse_cron

ZONES = st.sampled_from(["UTC", "Europe/Riga", "America/New_York", "Australia/Lord_Howe"])
MINUTES = st.sampled_from(["*", "*/7", "0", "30", "15,45", "59"])
HOURS = st.sampled_from(["*", "*/2", "*/5", "1", "2", "3", "1-4", "0,23"])
DAYS = st.sampled_from(["*", "*/2", "1,15", "28-31"])
SCHEDULES = st.builds(
    lambda minute, hour, day, zone: parse_cron(f"{minute} {hour} {day} * *", zone),
    MINUTES, HOURS, DAYS, ZONES,
)  # fmt: skip
CHANGES = [
    "2021-03-28T01:00", "2021-10-31T01:00", "2021-03-14T07:00", "2021-11-07T06:00",
    "2021-04-03T15:00", "2021-10-02T15:30",
]  # fmt: skip
INSTANTS = st.builds(
    lambda change, minutes: (
        round(datetime.fromisoformat(change + "+00:00").timestamp() * 1000) + minutes * 60_000
    ),
    st.sampled_from(CHANGES),
    st.integers(-300, 300),
)
"""Around the hours when clocks of the zones change, in milliseconds."""


def firings(schedule: CronSchedule, start_ms: int, times: int) -> list[int]:
    found: list[int] = []
    while len(found) < times:
        following = schedule.next_after(found[-1] if found else start_ms)
        assert following is not None
        found.append(following)
    return found


@settings(max_examples=200, deadline=None)
@given(SCHEDULES, INSTANTS)
def test_looking_back_finds_what_looking_ahead_found(schedule: CronSchedule, start_ms: int) -> None:
    found = firings(schedule, start_ms, 6)
    assert found[0] > start_ms
    for one, other in pairwise(found):
        assert one < other
        assert schedule.last_until(other - 1) == one
        assert schedule.last_until(other) == other
    before = schedule.last_until(start_ms)
    assert before is not None
    assert before <= start_ms
    assert schedule.next_after(before) == found[0]


@settings(max_examples=100, deadline=None)
@given(MINUTES, st.sampled_from(["*", "*/2"]), ZONES, INSTANTS)
def test_a_job_with_a_star_fires_whenever_the_clock_shows_its_time(
    minute: str, hour: str, zone: str, start_ms: int
) -> None:
    schedule = parse_cron(f"{minute} {hour} * * *", zone)
    until_ms = start_ms + 6 * 3_600_000
    wanted = [
        instant_ms
        for instant_ms in range(start_ms + 60_000, until_ms + 1, 60_000)
        if _shows(minute, hour, datetime.fromtimestamp(instant_ms / 1000, ZoneInfo(zone)))
    ]
    found: list[int] = []
    while (following := schedule.next_after(found[-1] if found else start_ms)) is not None:
        if following > until_ms:
            break
        found.append(following)
    assert found == wanted


def _shows(minute: str, hour: str, moment: datetime) -> bool:
    return moment.minute in _values(minute, 60) and moment.hour in _values(hour, 24)


def _values(field: str, end: int) -> set[int]:
    if field.startswith("*"):
        return set(range(0, end, int(field[2:] or 1)))
    return {int(part) for part in field.split(",")}

"""Cron: calendars, zones and the days on which clocks change (SPEC 12.5)."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from actors.flows.cron import CHARS_MAX, CronSchedule, parse_cron

VECTORS = Path(__file__).resolve().parents[5] / "shared" / "vectors"
RIGA, NEW_YORK, LORD_HOWE = "Europe/Riga", "America/New_York", "Australia/Lord_Howe"


def ms(text: str, zone: str = "UTC") -> int:
    moment = datetime.fromisoformat(text)
    return round(
        (moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(zone))).timestamp() * 1000
    )


def shown(instant_ms: int, zone: str = "UTC") -> str:
    return datetime.fromtimestamp(instant_ms / 1000, ZoneInfo(zone)).isoformat()


def following(schedule: CronSchedule, instant_ms: int, times: int) -> list[int]:
    found: list[int] = []
    while len(found) < times:
        following_ms = schedule.next_after(instant_ms)
        assert following_ms is not None
        found.append(instant_ms := following_ms)
    return found


def preceding(schedule: CronSchedule, instant_ms: int, times: int) -> list[int]:
    found: list[int] = []
    while len(found) < times:
        last_ms = schedule.last_until(instant_ms)
        assert last_ms is not None
        found.append(last_ms)
        instant_ms = last_ms - 1
    return found[::-1]


def walk(expression: str, start: str, times: int, zone: str = "UTC") -> list[str]:
    """The times that follow, the same seen from before and from after."""
    schedule = parse_cron(expression, zone)
    found = following(schedule, ms(start, zone), times)
    assert preceding(schedule, found[-1], times) == found
    return [shown(instant_ms, zone) for instant_ms in found]


# ── The calendar ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("* * * * *", "2024-01-31T12:31:00"),
        ("*/15 * * * *", "2024-01-31T12:45:00"),
        ("5,35 9-17 * * *", "2024-01-31T12:35:00"),
        ("0 0 * * *", "2024-02-01T00:00:00"),
        ("0 0 29 2 *", "2024-02-29T00:00:00"),
        ("0 12 * * MON", "2024-02-05T12:00:00"),
        ("0 12 * feb sun", "2024-02-04T12:00:00"),
        ("0 12 * * 7", "2024-02-04T12:00:00"),
        ("30 * * * * *", "2024-01-31T12:30:30"),
        ("*/10 * * * * *", "2024-01-31T12:30:20"),
        ("@hourly", "2024-01-31T13:00:00"),
        ("@daily", "2024-02-01T00:00:00"),
        ("@weekly", "2024-02-04T00:00:00"),
        ("@monthly", "2024-02-01T00:00:00"),
        ("@yearly", "2025-01-01T00:00:00"),
        ("@annually", "2025-01-01T00:00:00"),
        ("@midnight", "2024-02-01T00:00:00"),
        ("@Daily", "2024-02-01T00:00:00"),
        ("0 0 ? * THU", "2024-02-01T00:00:00"),
        ("0 12 * mar-apr FRI#2", "2024-03-08T12:00:00"),
        ("0 12 * * L5", "2024-02-23T12:00:00"),
        ("0 12 L 2 *", "2024-02-29T12:00:00"),
        ("0 22-2 * * *", "2024-01-31T22:00:00"),
    ],
)
def test_the_next_time_follows_the_fields(expression: str, expected: str) -> None:
    assert walk(expression, "2024-01-31T12:30:15", 1) == [expected + "+00:00"]


@pytest.mark.parametrize(
    ("expression", "days"),
    [
        ("0 0 13 * 5", ["01-13", "01-06", "01-20"]),  # either of two plain day fields
        ("0 0 */2 * 1", ["01-09", "01-23"]),  # a star in front does not restrict: both
        ("0 0 1-7 * */7", ["01-01"]),
        ("0 0 0 */2 * 1", ["01-09", "01-23"]),
    ],
)
def test_a_day_field_that_starts_with_a_star_does_not_widen(
    expression: str, days: list[str]
) -> None:
    schedule = parse_cron(expression, "UTC")
    for day in days:
        assert schedule.last_until(ms(f"2023-{day}T12:00:00")) == ms(f"2023-{day}T00:00:00")
    if "13" not in expression:
        assert schedule.last_until(ms("2023-01-10T12:00:00")) != ms("2023-01-10T00:00:00")


@pytest.mark.parametrize("expression", ["0 0 30 2 *", "0 0 31 4,6,9,11 *", "* * 30 2 *"])
def test_a_time_that_never_comes_is_none(expression: str) -> None:
    schedule = parse_cron(expression, RIGA)
    assert schedule.next_after(ms("2024-01-01T00:00:00")) is None
    assert schedule.last_until(ms("2024-01-01T00:00:00")) is None


def test_next_is_strictly_after_and_last_includes_its_instant() -> None:
    schedule = parse_cron("0 * * * *", "UTC")
    hour = ms("2024-01-01T10:00:00")
    assert schedule.next_after(hour) == hour + 3_600_000
    assert schedule.next_after(hour - 1) == hour
    assert schedule.last_until(hour) == schedule.last_until(hour + 999) == hour
    assert schedule.last_until(hour - 1) == hour - 3_600_000


# ── Clocks that change ───────────────────────────────────────────────────────────────────────


def vectors() -> list[Any]:
    path = VECTORS / "cron_cronsim_dst.json"
    return json.loads(path.read_text())["cases"] if path.exists() else []


@pytest.mark.skipif(not vectors(), reason="the shared vectors are not here")
def test_debians_rule_on_the_days_of_change() -> None:
    for case in vectors():
        schedule = parse_cron(case["expr"], case["tz"])
        start = datetime.fromisoformat(case["after_local"])
        zoned = start.replace(tzinfo=ZoneInfo(case["tz"]), fold=case["fold"])
        found = following(schedule, round(zoned.timestamp() * 1000), len(case["next"]))
        assert [shown(instant, case["tz"]) for instant in found] == case["next"], case["test"]
        assert preceding(schedule, found[-1], len(found)) == found, case["test"]


@pytest.mark.parametrize(
    ("expression", "start", "expected", "zone"),
    [
        # spring: fixed times inside the gap run right after it, once
        ("30 3 * * *", "2021-03-27T04:00", ["28T04:00:00+03:00", "29T03:30:00+03:00"], RIGA),
        ("0,20,40 3 * * *", "2021-03-28T02:00", ["28T04:00:00+03:00", "29T03:00:00+03:00"], RIGA),
        ("30 2 * * *", "2024-03-10T00:00", ["10T03:00:00-04:00", "11T02:30:00-04:00"], NEW_YORK),
        ("15 2 * * *", "2024-10-06T00:00", ["06T02:30:00+11:00", "07T02:15:00+11:00"], LORD_HOWE),
        # a job with seconds is not made up for
        ("30 30 3 * * *", "2021-03-28T00:00", ["29T03:30:30+03:00"], RIGA),
        # spring: jobs with a star follow elapsed time
        ("30 * * * *", "2021-03-28T02:00", ["28T02:30:00+02:00", "28T04:30:00+03:00"], RIGA),
        # autumn: fixed times come once, in the first of the two hours
        ("30 3 * * *", "2021-10-31T00:00", ["31T03:30:00+03:00"], RIGA),
        ("0 4 * * *", "2021-10-31T03:59+02:00", ["31T04:00:00+02:00"], RIGA),
        ("30 3,4 * * *", "2021-10-31T03:10+02:00", ["31T04:30:00+02:00"], RIGA),
        ("45 1 * * *", "2024-04-07T00:00", ["07T01:45:00+11:00", "08T01:45:00+10:30"], LORD_HOWE),
        # autumn: jobs with a star come in both
        ("30 * * * *", "2021-10-31T03:00+03:00",
         ["31T03:30:00+03:00", "31T03:30:00+02:00", "31T04:30:00+02:00"], RIGA),
        ("* 3 31 10 *", "2021-10-31T03:59+03:00", ["31T03:00:00+02:00"], RIGA),
    ],
)  # fmt: skip
def test_what_the_clocks_make_of_a_time(
    expression: str, start: str, expected: list[str], zone: str
) -> None:
    found = walk(expression, start, len(expected), zone)
    assert [time[8:] for time in found] == expected


def test_a_daily_job_stays_at_its_hour_over_a_whole_year() -> None:
    schedule = parse_cron("0 9 * * *", RIGA)
    found = following(schedule, ms("2021-01-01T00:00:00", RIGA), 365)
    assert {shown(instant, RIGA)[11:19] for instant in found} == {"09:00:00"}


@pytest.mark.parametrize(
    ("expression", "start", "expected"),
    [
        ("30 3 * * *", "2021-03-27T00:00", [None, "gap", None]),
        ("0,20 3,4 * * *", "2021-03-28T00:00", [None, None, None]),
        ("30 3 * * *", "2021-10-30T00:00", [None, "first", None]),
        ("30 * * * *", "2021-10-31T02:00", [None, "first", "second", None]),
        ("30 * * * *", "2021-03-28T01:50", [None, None]),
    ],
)
def test_a_firing_tells_what_the_clocks_did_to_it(
    expression: str, start: str, expected: list[str | None]
) -> None:
    schedule = parse_cron(expression, RIGA)
    found = following(schedule, ms(start, RIGA), len(expected))
    assert [schedule.change_at(instant) for instant in found] == expected


# ── Refusals ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("timezone", ["", "Europe/Nowhere", "../etc/passwd", "/etc/passwd", "a\0b"])
def test_an_unknown_zone_is_refused(timezone: str) -> None:
    with pytest.raises(ValueError, match="unknown time zone"):
        parse_cron("* * * * *", timezone)


@pytest.mark.parametrize(
    "expression",
    ["", "x", "* * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "* * * * 8",
     "a b c d e", "*/0 * * * *", "5-1-2 * * * *", "@never", "1,,2 * * * *", "H * * * *",
     "R * * * *", "0 r * * *", "1,R(5-9) * * * *", "0 R/5 * * *", "* * * * * R", "@reboot"],
)  # fmt: skip
def test_a_bad_expression_is_refused(expression: str) -> None:
    with pytest.raises(ValueError, match="bad cron expression"):
        parse_cron(expression, "UTC")


@pytest.mark.parametrize("expression", ["0 0 * * * * 2024", "0," * CHARS_MAX + "0 * * * *"])
def test_more_than_six_fields_or_an_endless_text_is_refused(expression: str) -> None:
    with pytest.raises(ValueError, match="five fields, or six with seconds first"):
        parse_cron(expression, "UTC")

"""The calendar of an expression: stepping both ways comes to what counting every second gives."""

from datetime import UTC, datetime

import pytest

from actors.flows.calendar import Times, parse_calendar

DAY = 86_400


def wall(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


@pytest.mark.parametrize(
    ("hours", "minutes", "seconds"),
    [
        (range(24), range(60), [0]),
        ([0], [0], [0]),
        ([23], [59], [59]),
        ([0, 5, 23], [0, 30], [0, 15, 59]),
        ([3], range(0, 60, 7), range(0, 60, 20)),
    ],
)
def test_times_step_over_a_day_forwards_and_backwards(
    hours: range, minutes: range, seconds: range
) -> None:
    times = Times(hours, minutes, seconds)
    every = sorted(
        hour * 3600 + minute * 60 + second
        for hour in hours for minute in minutes for second in seconds
    )  # fmt: skip
    assert (times.first, times.last) == (every[0], every[-1])
    for probe in {*range(0, DAY, 61), *every, *(time + 1 for time in every), 0, DAY - 1}:
        after = [time for time in (every[0], every[-1], *_near(every, probe)) if time > probe]
        before = [time for time in (every[0], every[-1], *_near(every, probe)) if time < probe]
        assert times.after(probe) == min(after, default=None)
        assert times.before(probe) == max(before, default=None)


def _near(every: list[int], probe: int) -> list[int]:
    """The few times around one second: the list is sorted."""
    at = sum(time < probe for time in every) if len(every) < 100 else _found(every, probe)
    return every[max(0, at - 2) : at + 3]


def _found(every: list[int], probe: int) -> int:
    low, high = 0, len(every)
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if every[middle] < probe else (low, middle)
    return low


def test_croniters_lost_day_is_there() -> None:
    """croniter steps from 11 January over 1 February to 31 May."""
    calendar = parse_calendar("0 12 */10 * MON")
    assert calendar.next_after(wall("2010-02-01T12:00")) == wall("2010-03-01T12:00")
    assert calendar.last_before(wall("2010-05-31T12:00")) == wall("2010-03-01T12:00")


def test_the_end_of_the_calendar_ends_the_search() -> None:
    calendar = parse_calendar("0 0 30 2 *")
    assert calendar.next_after(wall("9990-01-01T00:00")) is None
    assert calendar.last_before(wall("0010-01-01T00:00")) is None


def test_a_leap_day_is_found_across_a_century_without_one() -> None:
    calendar = parse_calendar("0 0 29 2 *")
    assert calendar.next_after(wall("2096-02-29T00:00")) == wall("2104-02-29T00:00")
    assert calendar.last_before(wall("2104-02-29T00:00")) == wall("2096-02-29T00:00")

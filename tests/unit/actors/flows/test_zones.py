"""Wall clocks: what they show, when they first do, and where they change."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from actors.flows.zones import STRIDE_SECONDS, WallClock

RIGA = WallClock(ZoneInfo("Europe/Riga"))
SPRING = int(datetime.fromisoformat("2021-03-28T01:00:00+00:00").timestamp())
AUTUMN = int(datetime.fromisoformat("2021-10-31T01:00:00+00:00").timestamp())
HOUR = 3600


def test_clocks_run_ahead_of_utc_by_their_offset() -> None:
    assert RIGA.offset_at(SPRING - 1) == 2 * HOUR
    assert RIGA.offset_at(SPRING) == 3 * HOUR
    assert RIGA.shown_at(SPRING) == SPRING + 3 * HOUR


def test_a_plain_wall_is_shown_once() -> None:
    noon = SPRING + 12 * HOUR
    assert RIGA.first_showing(RIGA.shown_at(noon)) == (noon, True)


def test_a_wall_inside_a_gap_is_never_shown_and_belongs_to_its_end() -> None:
    for seconds in (0, 1, 1800, HOUR - 1):
        assert RIGA.first_showing(SPRING + 2 * HOUR + seconds) == (SPRING, False)


def test_a_wall_shown_twice_is_first_shown_before_the_change() -> None:
    wall = RIGA.shown_at(AUTUMN + 600)
    assert RIGA.first_showing(wall) == (AUTUMN - HOUR + 600, True)


@pytest.mark.parametrize("seconds", [0, 600, HOUR - 1])
def test_in_a_repeated_hour_the_highest_wall_is_the_one_before_the_change(seconds: int) -> None:
    assert RIGA.last_wall_shown(AUTUMN + seconds) == AUTUMN - 1 + 3 * HOUR


def test_elsewhere_the_highest_wall_is_the_one_now() -> None:
    for instant in (AUTUMN - HOUR, AUTUMN - 1, AUTUMN + HOUR, SPRING, SPRING - 1):
        assert RIGA.last_wall_shown(instant) == RIGA.shown_at(instant)


def test_changes_are_found_from_both_sides() -> None:
    for distance in (1, HOUR, 3 * STRIDE_SECONDS):
        assert RIGA.change_after(SPRING - distance, SPRING + HOUR) == SPRING
        assert RIGA.change_before(SPRING + distance, SPRING - HOUR) == SPRING
    assert RIGA.change_after(SPRING, AUTUMN - 1) is None
    assert RIGA.change_after(SPRING, AUTUMN) == AUTUMN
    assert RIGA.change_before(AUTUMN - 1, SPRING) is None
    assert RIGA.change_before(AUTUMN - 1, SPRING - 1) == SPRING


def test_a_zone_that_knows_no_change_has_none() -> None:
    clock = WallClock(ZoneInfo("UTC"))
    assert clock.change_after(0, 10 * STRIDE_SECONDS) is None
    assert clock.first_showing(12_345) == (12_345, True)
    assert clock.last_wall_shown(12_345) == 12_345

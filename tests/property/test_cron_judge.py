"""Cron before an independent judge, `cronsim`: a sample here, everything by hand.

``python -m tests.judges.cron --zones 400 --years 10`` compares the full size (a minute or two);
``GREENTIC_CRON_JUDGE=400x10`` makes this test do so. `tests.judges.cron` says in its first lines
where the two disagree and why; here nothing else may.
"""

import os
from datetime import UTC, datetime

import pytest

from actors.flows.cron import parse_cron
from tests.judges.cron import DENSE, SPARSE, Window, changes_in, judge, ours, theirs

ZONES, YEARS = (int(part) for part in os.environ.get("GREENTIC_CRON_JUDGE", "24x4").split("x"))
ODD_ZONES = (
    "Australia/Lord_Howe",  # half an hour
    "Antarctica/Troll",  # two hours
    "Pacific/Apia",  # a whole day was skipped
    "Africa/Casablanca",  # four changes a year
    "America/Caracas",  # half an hour, once
    "Asia/Pyongyang",
    "Europe/Moscow",
    "America/St_Johns",  # went back over midnight
)
REASONS = {"1", "2", "3"}
DECADE = Window(
    int(datetime(2010, 1, 1, tzinfo=UTC).timestamp()),
    int(datetime(2020, 1, 1, tzinfo=UTC).timestamp()),
)


def test_no_tick_comes_twice_and_none_is_missing() -> None:
    verdict = judge(ZONES, YEARS)
    assert [str(disagreement) for disagreement in verdict.disagreements] == []
    assert verdict.repeats == 0
    assert verdict.ticks > 1000
    assert verdict.changes > ZONES
    assert set(verdict.explained) <= REASONS


@pytest.mark.parametrize("zone", ODD_ZONES)
def test_zones_with_odd_changes_agree_too(zone: str) -> None:
    verdict = judge((zone,), 10, per_change=4)
    assert [str(disagreement) for disagreement in verdict.disagreements] == []
    assert (verdict.repeats, verdict.zones) == (0, 1)


@pytest.mark.parametrize("expression", SPARSE)
def test_dates_agree_over_ten_years(expression: str) -> None:
    """croniter's own stepping loses days here: Monday, 1 March 2010, of ``0 12 */10 * MON``."""
    assert list(ours(expression, "UTC", DECADE)) == list(theirs(expression, "UTC", DECADE))


def test_the_judge_sees_what_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cron that ignored the zone, or lost a tick, would not pass."""
    monkeypatch.setattr(
        "tests.judges.cron.parse_cron", lambda expression, _zone: parse_cron(expression, "UTC")
    )
    assert not judge(("Europe/Riga",), 1).is_clean


def test_what_is_drawn_covers_stars_and_fixed_times_with_and_without_seconds() -> None:
    assert {len(expression.split()) for expression in DENSE} == {5, 6}
    assert len(changes_in("Europe/Riga", DECADE)) == 20

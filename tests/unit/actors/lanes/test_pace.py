"""Pace: GCRA in whole numbers. In: times at which runs come. Out: those at which they may begin."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.flows.control import RateRule
from actors.lanes.pace import Pace, after_one, earliest_ms, is_spent, read_pace
from actors.lanes.paces import PACES_MAX, Paces

START_MS = 1_700_000_000_000

rules = st.builds(RateRule, st.integers(1, 1000), st.integers(1, 86_400_000))
gaps = st.lists(st.integers(0, 5_000), max_size=60)


def begin(rule: RateRule, gaps_ms: list[int], *, waits: bool) -> list[int]:
    """Let runs come after these gaps; give when they begin, waiting or refused."""
    pace, now, begun = None, START_MS, []
    for gap in gaps_ms:
        now += gap
        at = earliest_ms(pace, rule, now)
        if at > now and not waits:
            continue
        now = at
        pace = after_one(pace, rule, now)
        begun.append(now)
    return begun


@given(rules, gaps, st.booleans())
def test_no_window_of_a_period_has_more_than_the_limit(
    rule: RateRule, gaps_ms: list[int], waits: bool
) -> None:
    begun = begin(rule, gaps_ms, waits=waits)
    for index in range(len(begun) - rule.limit):
        assert begun[index + rule.limit] - begun[index] >= rule.period_ms


@given(rules, gaps)
def test_runs_are_evenly_spread(rule: RateRule, gaps_ms: list[int]) -> None:
    begun = begin(rule, gaps_ms, waits=True)
    for one, other in pairwise(begun):
        assert (other - one + 1) * rule.limit > rule.period_ms


@given(rules, st.integers(2, 200))
def test_nothing_is_lost_to_rounding(rule: RateRule, runs: int) -> None:
    """Those that always wait begin at the very times of a simulation in exact fractions."""
    begun = begin(rule, [0] * runs, waits=True)
    exact = [START_MS + number * rule.period_ms // rule.limit for number in range(runs)]
    assert begun == exact


@given(rules, gaps)
def test_earliest_time_is_the_first_that_is_allowed(rule: RateRule, gaps_ms: list[int]) -> None:
    pace, now = None, START_MS
    for gap in gaps_ms:
        now += gap
        at = earliest_ms(pace, rule, now)
        assert earliest_ms(pace, rule, at) == at
        if at > now:
            assert earliest_ms(pace, rule, at - 1) > at - 1
        pace, now = after_one(pace, rule, at), at


def test_a_period_of_idleness_gives_one_run_and_no_more() -> None:
    rule = RateRule(10, 1000)
    pace = after_one(None, rule, START_MS)
    later = START_MS + 1_000_000
    pace = after_one(pace, rule, later)
    assert earliest_ms(pace, rule, later) == later + 100


def test_clock_that_was_put_back_costs_one_interval() -> None:
    rule = RateRule(1, 1000)
    pace = after_one(None, rule, START_MS)
    earlier = START_MS - 3_600_000
    assert earliest_ms(pace, rule, earlier) <= earlier + 1001


@given(rules, rules)
def test_changed_rule_takes_the_stored_pace_over(before: RateRule, after: RateRule) -> None:
    pace = after_one(None, before, START_MS)
    at = earliest_ms(pace, after, START_MS)
    assert START_MS <= at <= START_MS + max(1 + before.period_ms // before.limit, 1)
    assert at <= START_MS + 1 + after.period_ms // after.limit


def test_pace_is_stored_and_read() -> None:
    pace = after_one(None, RateRule(3, 1000), START_MS)
    assert read_pace(pace.as_value()) == pace


@pytest.mark.parametrize("value", [None, 3, {}, {"next": "x", "limit": 1}, {"next": 1, "limit": 0}])
def test_pace_that_cannot_be_read_is_none(value: Any) -> None:
    assert read_pace(value) is None


def test_spent_pace_holds_nothing_back() -> None:
    rule = RateRule(2, 1000)
    pace = after_one(None, rule, START_MS)
    assert not is_spent(pace, START_MS + 499)
    assert is_spent(pace, START_MS + 500)


# ── Many keys ────────────────────────────────────────────────────────────────────────────────


def test_only_spent_paces_are_forgotten() -> None:
    paces, rule = Paces(), RateRule(1, 1000)
    paces.learn("held", Pace(START_MS + 5_000, 1), START_MS)
    for number in range(PACES_MAX):
        paces.learn(f"k{number}", None, START_MS)
    assert paces.knows("held")
    assert not paces.knows("k0")
    assert paces.earliest_ms("held", rule, START_MS + 4_500) == START_MS + 5_000


def test_times_given_in_advance_are_apart() -> None:
    paces, rule = Paces(), RateRule(1, 1000)
    paces.learn("k", None, START_MS)
    paces.take("k", rule, START_MS)
    planned = [paces.plan("k", rule, START_MS) for _ in range(3)]
    assert planned == [START_MS + 1000, START_MS + 2000, START_MS + 3000]
    assert list(paces.take_unsaved()) == ["k"]
    assert paces.take_unsaved() == {}

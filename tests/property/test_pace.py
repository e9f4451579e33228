"""A pace: never more than its rate and one burst, and its waits are exact."""

from hypothesis import given
from hypothesis import strategies as st

from actors.quotas.pace import Pace

gaps = st.lists(st.floats(min_value=0, max_value=3), min_size=1, max_size=200)
rates = st.floats(min_value=0.1, max_value=100)
bursts = st.floats(min_value=1, max_value=50)


@given(gaps, rates, bursts)
def test_no_stretch_has_more_than_a_burst_and_its_rate(
    asked: list[float], rate: float, burst: float
) -> None:
    pace, now, taken = Pace(rate, burst), 0.0, []
    for gap in asked:
        now += gap
        if pace.take(now) <= 0.0:
            taken.append(now)
    for first, began in enumerate(taken):
        for last in range(first, len(taken)):
            allowed = burst + rate * (taken[last] - began)
            assert last - first + 1 <= allowed + 1e-6


@given(gaps, rates, bursts)
def test_waiting_as_told_is_enough_and_less_is_not(
    asked: list[float], rate: float, burst: float
) -> None:
    pace, now = Pace(rate, burst), 0.0
    for gap in asked:
        now += gap / 100
        wait = pace.take(now)
        if wait > 1e-6:
            assert pace.wait_for(now + wait * 0.9) > 0.0
            assert pace.wait_for(now + wait) <= 1e-9
            assert pace.wait_for(now) == wait  # a refusal takes nothing


@given(st.integers(min_value=1, max_value=100), rates)
def test_what_is_booked_ahead_comes_at_the_rate(count: int, rate: float) -> None:
    pace = Pace(rate, 1.0)
    pace.book(0.0)
    for number in range(count):
        assert abs(pace.wait_for(0.0) - (number + 1) / rate) <= 1e-6 * (number + 1)
        pace.book(0.0)

"""Circuits. In: how calls ended. Out: whether the next one may be tried."""

from hypothesis import given
from hypothesis import strategies as st

from app.outbound import breaker as module
from app.outbound.breaker import FAILURES_MAX, OPEN_SECONDS, CircuitBreaker

KEY = ("demo", "api.example", 443)
OTHER = ("else", "api.example", 443)


class Time:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def opened(time: Time) -> CircuitBreaker:
    breaker = CircuitBreaker(time)
    assert [breaker.failed(KEY) for _ in range(FAILURES_MAX)] == [False] * 4 + [True]
    return breaker


def test_failures_in_a_row_open_it_for_that_tenant_only() -> None:
    breaker = opened(Time())
    assert breaker.seconds_left(KEY) == OPEN_SECONDS
    assert breaker.seconds_left(OTHER) == 0
    assert breaker.open_circuits == 1


def test_a_success_between_ends_the_row() -> None:
    breaker = CircuitBreaker(Time())
    for _ in range(3):
        for _ in range(FAILURES_MAX - 1):
            assert not breaker.failed(KEY)
        breaker.succeeded(KEY)
    assert breaker.open_circuits == 0


def test_one_call_is_let_through_and_decides() -> None:
    time = Time()
    breaker = opened(time)
    time.now += OPEN_SECONDS
    assert breaker.seconds_left(KEY) == 0
    assert breaker.seconds_left(KEY) > 0
    assert not breaker.failed(KEY)
    assert breaker.seconds_left(KEY) == OPEN_SECONDS
    time.now += OPEN_SECONDS
    assert breaker.seconds_left(KEY) == 0
    breaker.succeeded(KEY)
    assert [breaker.seconds_left(KEY) for _ in range(2)] == [0, 0]
    assert breaker.open_circuits == 0


def test_a_probe_that_came_to_no_end_makes_way_for_another() -> None:
    time = Time()
    breaker = opened(time)
    time.now += OPEN_SECONDS
    assert breaker.seconds_left(KEY) == 0
    breaker.abandoned(KEY)
    assert breaker.seconds_left(KEY) == 0


def test_circuits_are_bounded() -> None:
    time = Time()
    breaker = opened(time)
    for number in range(module.CIRCUITS_MAX):
        breaker.failed(("demo", f"h{number}.example", 80))
    assert breaker.seconds_left(KEY) == 0
    assert breaker.open_circuits == 0


@given(
    st.lists(st.tuples(st.sampled_from(["failed", "succeeded", "abandoned"]), st.integers(0, 2)))
)
def test_the_count_of_open_ones_is_what_it_says(steps: list[tuple[str, int]]) -> None:
    breaker = CircuitBreaker(Time())
    keys = [("t", f"h{number}", 80) for number in range(3)]
    for verb, number in steps:
        getattr(breaker, verb)(keys[number])
        assert breaker.open_circuits == sum(breaker.seconds_left(key) > 0 for key in keys)

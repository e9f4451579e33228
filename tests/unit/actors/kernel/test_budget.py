"""A sliding window, and delays that grow and shrink within their bounds."""

import pytest

from actors.kernel.budget import Backoff, RestartBudget, RestartWindow


def test_a_window_admits_exactly_its_restarts() -> None:
    window = RestartWindow(RestartBudget(3, 10))
    assert [window.admit(0.0) for _ in range(5)] == [True, True, True, False, False]


def test_a_window_slides_and_is_no_bucket_that_bursts() -> None:
    window = RestartWindow(RestartBudget(2, 10))
    assert window.admit(0)
    assert window.admit(9)
    assert not window.admit(9.9)
    assert window.admit(10)
    assert not window.admit(18.9)
    assert window.admit(19)


def test_a_refused_restart_is_not_counted() -> None:
    window = RestartWindow(RestartBudget(1, 10))
    assert window.admit(0)
    assert not window.admit(5)
    assert window.count(5) == 1
    assert window.admit(10)


def test_a_cleared_window_is_a_fresh_budget() -> None:
    window = RestartWindow(RestartBudget(1, 10))
    window.admit(0)
    window.clear()
    assert window.admit(0)


def test_a_budget_of_none_admits_none() -> None:
    assert not RestartWindow(RestartBudget(0, 1)).admit(0)


@pytest.mark.parametrize(("restarts", "seconds"), [(-1, 1), (1, 0), (1, -1)])
def test_senseless_budgets_are_refused(restarts: int, seconds: float) -> None:
    with pytest.raises(ValueError, match="not a restart budget"):
        RestartBudget(restarts, seconds)


def test_delays_double_up_to_the_most() -> None:
    backoff = Backoff(initial_seconds=0.1, factor=2, max_seconds=0.5, jitter=0.5)
    assert [backoff.delay_seconds(n, 0.0) for n in range(5)] == [0.1, 0.2, 0.4, 0.5, 0.5]


def test_chance_only_shortens_a_delay() -> None:
    backoff = Backoff(initial_seconds=1, factor=1, max_seconds=1, jitter=0.5)
    assert backoff.delay_seconds(7, 0.0) == 1
    assert backoff.delay_seconds(7, 0.5) == 0.75
    assert 0.5 < backoff.delay_seconds(7, 0.999) < 0.51


def test_many_restarts_do_not_overflow_the_delay() -> None:
    assert Backoff(factor=10).delay_seconds(100_000, 0.0) == 1.0


@pytest.mark.parametrize(
    "fields",
    [{"initial_seconds": 2}, {"initial_seconds": -1}, {"factor": 0.5}, {"jitter": 1.5}],
)
def test_senseless_backoffs_are_refused(fields: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="a backoff"):
        Backoff(**fields)


def test_a_budget_that_its_backoff_cannot_spend_is_refused() -> None:
    slow = Backoff(initial_seconds=5, max_seconds=10)
    with pytest.raises(ValueError, match="never spent"):
        slow.check_can_spend(RestartBudget(5, 30))
    Backoff().check_can_spend(RestartBudget(20, 60))

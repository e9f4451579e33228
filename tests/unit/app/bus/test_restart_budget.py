"""The budget of the embedded server's restarts counts within a sliding window."""

from app.bus.server import BACKOFF_MAX_SECONDS, RestartBudget


def test_pauses_grow_and_the_budget_ends() -> None:
    budget = RestartBudget(restarts_max=3, window_seconds=60)
    assert [budget.spend(now) for now in (0, 1, 2, 3)] == [0.1, 0.2, 0.4, None]


def test_spent_restarts_come_back_after_the_window() -> None:
    budget = RestartBudget(restarts_max=2, window_seconds=60)
    assert [budget.spend(now) for now in (0, 30, 59)] == [0.1, 0.2, None]
    assert budget.spend(60) == 0.2
    assert budget.restarts_left == 0


def test_pause_has_a_ceiling() -> None:
    budget = RestartBudget(restarts_max=50, window_seconds=60)
    pauses = [budget.spend(0) for _ in range(50)]
    assert pauses[-1] == BACKOFF_MAX_SECONDS

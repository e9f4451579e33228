"""Which tenants' pulls work, when the worker is not ready for it, and what is said once."""

from dataclasses import dataclass

import pytest

from actors.testing.observer import RecordingObserver
from app.bootstrap.pull_watch import LINES_MAX, SILENT_SECONDS_MAX, PullWatch
from app.bus.observations import PullResumed, PullSilenced, PullStopped
from app.bus.pull_health import PullState, state_of, with_lanes
from app.observability.metrics import Metrics

NOT_POLLED = "no consumer has been polled lately"
POLLING, BUSY, SILENT, STOPPED = PullState


@dataclass
class APull:
    """A pull that was answered at 0."""

    last_polled_at: float = 0.0
    is_waiting: bool = True
    is_closed: bool = False


@pytest.mark.parametrize(
    ("pull", "now", "state"),
    [
        (APull(), 75, POLLING),
        (APull(), 76, SILENT),
        (APull(is_waiting=False), 76, BUSY),
        (APull(is_closed=True), 75, POLLING),
        (APull(is_closed=True), 76, STOPPED),
        (APull(last_polled_at=float("-inf")), 0, SILENT),
        (None, 0, STOPPED),
    ],
    ids=["lately", "silent", "busy", "closed-lately", "closed", "never", "none"],
)
def test_state_of_a_pull(pull: APull | None, now: float, state: PullState) -> None:
    assert state_of(pull, now, SILENT_SECONDS_MAX) is state


class Ward:
    """A watch over pulls whose states the test sets."""

    def __init__(self, **states: PullState) -> None:
        self.states = states
        self.metrics = Metrics()
        self.observer = RecordingObserver()
        self.watch = PullWatch(lambda: dict(self.states), self.metrics, self.observer)

    def gauge(self, state: PullState) -> float | None:
        return self.metrics.registry.get_sample_value("greentic_pulls", {"state": state.value})


@pytest.mark.parametrize(
    ("states", "reason"),
    [
        ([], None),
        ([POLLING], None),
        ([BUSY], None),
        ([SILENT, POLLING], None),
        ([STOPPED, BUSY, SILENT], None),
        ([SILENT], f"{NOT_POLLED}: the consumers of 1 tenant do not answer"),
        ([STOPPED] * 2, f"{NOT_POLLED}: nothing pulls for 2 tenants"),
        (
            [STOPPED, SILENT, SILENT],
            f"{NOT_POLLED}: the consumers of 2 tenants do not answer, nothing pulls for 1 tenant",
        ),
    ],
)
def test_worker_is_unready_when_no_tenant_is_served(
    states: list[PullState], reason: str | None
) -> None:
    ward = Ward(**{f"t{number}": state for number, state in enumerate(states)})
    assert ward.watch.reasons() == ([] if reason is None else [reason])


def test_states_are_counted() -> None:
    ward = Ward(one=POLLING, two=POLLING, three=SILENT)
    ward.watch.check()
    assert [ward.gauge(state) for state in PullState] == [2, 0, 1, 0]
    ward.states = {}
    ward.watch.check()
    assert [ward.gauge(state) for state in PullState] == [0, 0, 0, 0]


def test_silent_tenant_is_told_of_once_when_it_stays_silent_and_when_it_comes_back() -> None:
    ward = Ward(one=SILENT, two=POLLING)
    ward.watch.check()
    assert ward.observer.of(PullSilenced) == [], "a process that was stopped wakes like this"
    for _ in range(3):
        ward.watch.check()
    assert ward.observer.of(PullSilenced) == [PullSilenced("one", SILENT_SECONDS_MAX)]
    ward.states["one"] = POLLING
    ward.watch.check()
    ward.watch.check()
    assert ward.observer.of(PullResumed) == [PullResumed("one")]


def test_tenant_without_a_router_is_told_of_as_such() -> None:
    ward = Ward(one=STOPPED, two=POLLING)
    ward.watch.check()
    ward.watch.check()
    assert ward.observer.of(PullStopped) == [PullStopped("one", SILENT_SECONDS_MAX)]
    del ward.states["one"]
    ward.watch.check()
    ward.states["one"] = POLLING
    ward.watch.check()
    assert ward.observer.of(PullResumed) == [], "a tenant that was removed begins anew"


def test_many_silent_tenants_do_not_fill_the_log_at_once() -> None:
    ward = Ward(**{f"t{number}": SILENT for number in range(LINES_MAX + 5)})
    ward.watch.check()
    ward.watch.check()
    assert len(ward.observer.of(PullSilenced)) == LINES_MAX
    ward.watch.check()
    assert len(ward.observer.of(PullSilenced)) == LINES_MAX + 5


@pytest.mark.parametrize(
    ("own", "lanes", "judged"),
    [
        (PullState.POLLING, [], PullState.POLLING),
        (PullState.POLLING, [PullState.POLLING, PullState.BUSY], PullState.POLLING),
        (PullState.POLLING, [PullState.POLLING, PullState.SILENT], PullState.SILENT),
        (PullState.BUSY, [PullState.SILENT], PullState.SILENT),
        (PullState.BUSY, [PullState.STOPPED], PullState.BUSY),
        (PullState.STOPPED, [PullState.SILENT], PullState.STOPPED),
    ],
)
def test_one_silent_lane_is_enough(
    own: PullState, lanes: list[PullState], judged: PullState
) -> None:
    assert with_lanes(own, lanes) is judged

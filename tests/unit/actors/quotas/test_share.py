"""Shares of a plan: parts that add up to the whole."""

import pytest

from actors.errors import QuotaExceededError
from actors.quotas.plan import UNLIMITED, PlanLimits
from actors.quotas.quota import Quotas, TenantQuota
from actors.quotas.share import WHOLE, Share
from actors.testing.clock import VirtualClock
from actors.testing.observer import RecordingObserver

PLAN = PlanLimits(
    name="small",
    events_per_second=20,
    backlog_events=1000,
    backlog_bytes=1 << 21,
    stored_bytes=1 << 24,
    concurrent_runs=50,
    script_operations_per_second=90_000,
    effects_per_minute=60,
    weight=0.5,
)


def quota_of_one_process(clock: VirtualClock) -> TenantQuota:
    return Quotas(clock, RecordingObserver()).of("acme")


def admitted(quota: TenantQuota) -> int:
    """Give how many events are taken in at this moment."""
    number = 0
    while True:
        try:
            quota.take_event()
        except QuotaExceededError:
            return number
        number += 1


@pytest.mark.parametrize("plan", [PLAN, UNLIMITED])
def test_who_is_alone_has_all_of_it(plan: PlanLimits) -> None:
    assert WHOLE.of(plan) == plan


@pytest.mark.parametrize("processes", [1, 2, 3, 7, 50])
def test_parts_are_the_whole_together(processes: int) -> None:
    parts = [Share(processes, processes, place).of(PLAN) for place in range(processes)]
    assert sum(part.events_per_second or 0 for part in parts) == pytest.approx(20)
    assert sum(part.effects_per_minute or 0 for part in parts) == pytest.approx(60)
    operations = sum(part.script_operations_per_second or 0 for part in parts)
    assert operations == pytest.approx(90_000)
    assert sum(part.concurrent_runs or 0 for part in parts) == 50


def test_what_is_counted_for_all_is_not_divided() -> None:
    part = Share(4, 3, 1).of(PLAN)
    kept = ("name", "backlog_events", "backlog_bytes", "stored_bytes", "weight")
    assert [getattr(part, name) for name in kept] == [getattr(PLAN, name) for name in kept]
    assert (part.events_per_second, part.effects_per_minute) == (5, 20)


def test_one_run_may_always_go_on() -> None:
    runs = [Share(9, 9, place).of(PlanLimits(concurrent_runs=2)) for place in range(9)]
    assert [part.concurrent_runs for part in runs] == [1] * 9


async def test_two_processes_admit_the_limit_together_and_the_one_that_stays_the_whole() -> None:
    clock = VirtualClock()
    one, other = quota_of_one_process(clock), quota_of_one_process(clock)
    one.adopt(PLAN, Share(2, 2, 0))
    other.adopt(PLAN, Share(2, 2, 1))
    taken = admitted(one) + admitted(other)
    for _ in range(50):
        await clock.advance(0.1)
        taken += admitted(one) + admitted(other)
    assert taken == pytest.approx(20 + 5 * 20, abs=2), "a second's worth at once, then the rate"
    assert (one.plan, one.places.limit) == (PLAN, 25)

    one.adopt(PLAN, WHOLE)
    burst = admitted(one)
    taken = 0
    for _ in range(50):
        await clock.advance(0.1)
        taken += admitted(one)
    assert burst <= 10, "only what was the other's"
    assert taken == pytest.approx(100, abs=2)
    assert one.places.limit == 50


async def test_who_gets_less_owes_nothing_for_what_it_used() -> None:
    clock = VirtualClock()
    quota = quota_of_one_process(clock)
    quota.adopt(PLAN)
    assert admitted(quota) == pytest.approx(20, abs=1)
    quota.adopt(PLAN, Share(2, 2, 0))
    await clock.advance(1.0)
    assert admitted(quota) == pytest.approx(10, abs=1)

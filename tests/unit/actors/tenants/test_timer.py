"""One timer: which ticks are due, which are chosen, and what jitter does to them."""

from itertools import pairwise
from typing import Any

import pytest

from actors.tenants.timer import (
    CATCH_UP_TICKS_MAX,
    ON_TIME_SECONDS,
    Timer,
    build_timer,
    choose_ticks,
    timers_of,
)
from tests.support.builders import a_flow, a_timer, a_trigger

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
MIDNIGHT_MS = 1_700_006_400_000
"""2023-11-15T00:00:00Z."""


def built(cron: str, tenant: str = "demo", **schedule: Any) -> Timer:
    trigger = a_timer(cron, **schedule)
    return build_timer(tenant, a_flow(triggers=(trigger,)), trigger)


def test_only_timer_triggers_are_timers() -> None:
    flow = a_flow(triggers=(a_trigger(), a_timer("* * * * *", number=2)))
    (timer,) = timers_of("demo", [flow, a_flow(name="other")])
    assert (timer.flow, timer.number, timer.event_type) == ("orders", 2, "timer.orders.2")
    with pytest.raises(ValueError, match="trigger 1 of orders is no timer"):
        build_timer("demo", a_flow(), a_trigger())


# ── Choosing ticks ───────────────────────────────────────────────────────────────────────────


def chosen(cron: str, done_ms: int, now_ms: int, **schedule: Any) -> list[int]:
    return choose_ticks(built(cron, **schedule), done_ms, now_ms)


@pytest.mark.parametrize("misfire", ["skip", "last", "all"])
def test_a_tick_on_time_is_always_fired(misfire: str) -> None:
    late_ms = int(ON_TIME_SECONDS * 1000)
    due_ms = MIDNIGHT_MS + MINUTE_MS
    assert chosen("* * * * *", MIDNIGHT_MS, due_ms + late_ms, misfire=misfire) == [due_ms]
    too_late = chosen("* * * * *", MIDNIGHT_MS, due_ms + late_ms + 1000, misfire=misfire)
    assert too_late == ([] if misfire == "skip" else [due_ms])


def test_a_tick_that_is_done_is_not_chosen_again() -> None:
    assert chosen("* * * * *", MIDNIGHT_MS, MIDNIGHT_MS + 59_000, misfire="all") == []


@pytest.mark.parametrize("misfire", ["last", "all"])
def test_ticks_older_than_the_catch_up_window_are_let_go(misfire: str) -> None:
    now_ms = MIDNIGHT_MS + 10 * HOUR_MS + HOUR_MS // 2
    assert chosen("0 0 * * *", MIDNIGHT_MS - 1, now_ms, misfire=misfire) == []
    caught = chosen("0 * * * *", MIDNIGHT_MS, now_ms, misfire=misfire, catch_up_seconds=2.0 * 3600)
    hours = [(tick - MIDNIGHT_MS) // HOUR_MS for tick in caught]
    assert hours == ([9, 10] if misfire == "all" else [10])


def test_all_is_not_endless_and_prefers_the_latest() -> None:
    now_ms = MIDNIGHT_MS + HOUR_MS
    ticks = chosen("* * * * * *", MIDNIGHT_MS, now_ms, misfire="all")
    assert len(ticks) == CATCH_UP_TICKS_MAX
    assert ticks == list(range(now_ms - 999_000, now_ms + 1, 1000))


@pytest.mark.parametrize("misfire", ["skip", "last", "all"])
def test_ticks_of_a_short_delay_are_all_fired_whatever_the_misfire(misfire: str) -> None:
    ticks = chosen("* * * * * *", 10_000, 13_200, misfire=misfire)
    assert ticks == [11_000, 12_000, 13_000]


# ── Jitter ───────────────────────────────────────────────────────────────────────────────────


def test_every_worker_draws_the_same_delay_and_every_tenant_its_own() -> None:
    ticks = range(MIDNIGHT_MS, MIDNIGHT_MS + 100 * MINUTE_MS, MINUTE_MS)
    one, again = built("* * * * *", jitter_ms=30_000), built("* * * * *", jitter_ms=30_000)
    other = built("* * * * *", "other", jitter_ms=30_000)
    delays = [one.due_ms(tick) - tick for tick in ticks]
    assert delays == [again.due_ms(tick) - tick for tick in ticks]
    assert delays != [other.due_ms(tick) - tick for tick in ticks]
    assert all(0 <= delay < 30_000 for delay in delays)
    assert min(delays) < 5_000
    assert max(delays) > 25_000


def test_jitter_never_puts_a_tick_off_past_the_next_one() -> None:
    timer = built("0,1 * * * *", jitter_ms=86_400_000)
    ticks = [MIDNIGHT_MS]
    for _ in range(20):
        ticks.append(timer.cron.next_after(ticks[-1]) or 0)
    assert all(timer.due_ms(one) < other for one, other in pairwise(ticks))


def test_a_tick_that_jitter_holds_back_is_not_due() -> None:
    timer = built("* * * * *", jitter_ms=50_000)
    due_ms = timer.due_ms(MIDNIGHT_MS)
    assert due_ms > MIDNIGHT_MS
    assert timer.due_until(due_ms - 1) == MIDNIGHT_MS - 1
    assert timer.due_until(due_ms) == due_ms
    assert choose_ticks(timer, MIDNIGHT_MS - 1, due_ms - 1) == []
    assert choose_ticks(timer, MIDNIGHT_MS - 1, due_ms) == [MIDNIGHT_MS]


@pytest.mark.parametrize("misfire", ["skip", "last", "all"])
def test_lateness_counts_from_when_jitter_lets_a_tick_go(misfire: str) -> None:
    timer = built("0 * * * *", jitter_ms=50 * MINUTE_MS, misfire=misfire, catch_up_seconds=60.0)
    due_ms = timer.due_ms(MIDNIGHT_MS)
    assert due_ms - MIDNIGHT_MS > 2 * MINUTE_MS
    late = int(ON_TIME_SECONDS * 1000)
    assert choose_ticks(timer, MIDNIGHT_MS - 1, due_ms + late) == [MIDNIGHT_MS]
    expected = [] if misfire == "skip" else [MIDNIGHT_MS]
    assert choose_ticks(timer, MIDNIGHT_MS - 1, due_ms + late + 1) == expected
    assert choose_ticks(timer, MIDNIGHT_MS - 1, due_ms + 61_000) == []


def test_a_last_tick_needs_no_next_one_for_its_jitter() -> None:
    timer = built("0 0 30 2 *", jitter_ms=1000)
    assert timer.due_until(MIDNIGHT_MS) == MIDNIGHT_MS
    assert MIDNIGHT_MS <= timer.due_ms(MIDNIGHT_MS) < MIDNIGHT_MS + 1000

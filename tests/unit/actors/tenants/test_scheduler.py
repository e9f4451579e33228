"""Timers: one event per tick, however many schedulers there are and whatever they missed."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from actors.flows.compiled import CompiledFlow
from actors.ids import tick_id
from actors.kernel.ports import KernelPorts
from actors.kernel.specs import ChildSpec, SupervisorSpec
from actors.kernel.supervisor import Supervisor
from actors.observations import TimerFired
from actors.ports import Clock, TimerPause
from actors.tenants.scheduler import NAP_SECONDS_MAX, SchedulerActor, SchedulerPorts
from actors.tenants.timer import ON_TIME_SECONDS
from actors.testing.clock import VirtualClock
from tests.support.builders import Yard, a_flow, a_timer, a_trigger

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
MIDNIGHT_MS = 1_700_006_400_000
"""2023-11-15T00:00:00Z."""


class PausableClock:
    """A process that may stand still: its sleeps do not end while it is paused."""

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock
        self.going = asyncio.Event()
        self.going.set()

    def now_ms(self) -> int:
        return self._clock.now_ms()

    def monotonic(self) -> float:
        return self._clock.monotonic()

    async def sleep(self, seconds: float) -> None:
        await self._clock.sleep(seconds)
        await self.going.wait()


class Belfry:
    """Schedulers of one tenant, each a process of its own, before one bus."""

    def __init__(self, yard: Yard) -> None:
        self.yard = yard
        yard.clock._epoch_ms = MIDNIGHT_MS + 30_000
        kernel = KernelPorts(yard.clock, lambda: 0.0, yard.observer.observe)
        self.root = Supervisor(SupervisorSpec("root"), kernel)

    async def start(self, name: str, *flows: CompiledFlow, clock: Clock | None = None) -> None:
        yard = self.yard
        ports = SchedulerPorts(
            yard.stage.publisher, yard.ticks, yard.pauses, yard.observer, clock or yard.clock
        )
        if not self.root.children():
            await self.root.start()
        spec = ChildSpec(name, lambda _: SchedulerActor("demo", flows, ports))
        await self.root.spawn(spec)

    def ticks(self, event_type: str = "timer.orders.1") -> list[int]:
        """Scheduled times, in seconds since midnight."""
        stored = self.yard.stage.publisher.stored
        return [
            (envelope.event.payload["scheduled_ms"] - MIDNIGHT_MS) // 1000
            for envelope in stored
            if envelope.event.event_type == event_type
        ]


@pytest_asyncio.fixture
async def belfry(yard: Yard) -> AsyncIterator[Belfry]:
    belfry = Belfry(yard)
    yield belfry
    stopping = asyncio.ensure_future(belfry.root.stop())
    await yard.clock.advance(60)
    await stopping
    assert asyncio.all_tasks() == {asyncio.current_task()}


def every_minute(**schedule: Any) -> CompiledFlow:
    return a_flow(triggers=(a_timer("* * * * *", **schedule),))


# ── Firing ───────────────────────────────────────────────────────────────────────────────────


async def test_a_timer_fires_at_its_time_and_never_before(belfry: Belfry, yard: Yard) -> None:
    await belfry.start("one", every_minute())
    await yard.clock.advance(29)
    assert belfry.ticks() == []
    await yard.clock.advance(1 + 120)
    assert belfry.ticks() == [60, 120, 180]


async def test_a_tick_is_an_event_that_says_what_it_is(belfry: Belfry, yard: Yard) -> None:
    await belfry.start("one", every_minute())
    await yard.clock.advance(30)
    (envelope,) = yard.stage.publisher.stored
    event, due_ms = envelope.event, MIDNIGHT_MS + MINUTE_MS
    assert event.id == envelope.message_id == tick_id("orders", 1, due_ms)
    assert (event.event_type, event.source, event.timestamp) == ("timer.orders.1", "timer", due_ms)
    assert event.payload == {"scheduled_ms": due_ms, "flow": "orders", "cron": "* * * * *"}
    assert yard.observer.of(TimerFired) == [
        TimerFired("demo", "orders", "timer.orders.1", due_ms, 0, is_duplicate=False)
    ]


async def test_every_timer_of_every_flow_is_followed(belfry: Belfry, yard: Yard) -> None:
    orders = a_flow(
        triggers=(
            a_trigger(), a_timer("*/2 * * * *", number=2), a_timer("*/3 * * * *", number=3),
        )
    )  # fmt: skip
    daily = a_flow(name="daily", triggers=(a_timer("1 0 * * *", "daily"),))
    await belfry.start("one", orders, daily)
    await yard.clock.advance(360)
    assert belfry.ticks("timer.orders.2") == [120, 240, 360]
    assert belfry.ticks("timer.orders.3") == [180, 360]
    assert belfry.ticks("timer.daily.1") == [60]


async def test_a_time_that_never_comes_is_waited_for_by_nobody(belfry: Belfry, yard: Yard) -> None:
    await belfry.start("one", a_flow(triggers=(a_timer("0 0 30 2 *"),)))
    await yard.clock.advance(3600)
    assert yard.clock.sleepers == 0
    assert yard.stage.publisher.stored == []


async def test_a_zone_decides_when_a_day_begins(belfry: Belfry, yard: Yard) -> None:
    flow = a_flow(triggers=(a_timer("0 3 * * *", timezone="Europe/Riga"),))
    await belfry.start("one", flow)
    await yard.clock.advance(2 * 3600)
    assert belfry.ticks() == [3600]


# ── Several schedulers, pauses, outages ──────────────────────────────────────────────────────


async def test_two_schedulers_make_one_event_per_tick(belfry: Belfry, yard: Yard) -> None:
    await belfry.start("one", every_minute())
    await belfry.start("two", every_minute())
    await yard.clock.advance(300)
    assert belfry.ticks() == [60, 120, 180, 240, 300]
    fired = [seen.is_duplicate for seen in yard.observer.of(TimerFired)]
    assert sorted(fired) == [False] * 5 + [True] * 5


@pytest.mark.parametrize("misfire", ["skip", "last", "all"])
async def test_a_scheduler_that_stood_still_repeats_no_tick_of_the_others(
    belfry: Belfry, yard: Yard, misfire: str
) -> None:
    paused = PausableClock(yard.clock)
    await belfry.start("one", every_minute(misfire=misfire))
    await belfry.start("two", every_minute(misfire=misfire), clock=paused)
    await yard.clock.advance(45)
    paused.going.clear()
    await yard.clock.advance(300)
    paused.going.set()
    await yard.clock.advance(120)
    assert belfry.ticks() == [60, 120, 180, 240, 300, 360, 420, 480]
    # It asked what had been fired meanwhile, and did not even try again.
    assert all(seen.late_ms <= ON_TIME_SECONDS * 1000 for seen in yard.observer.of(TimerFired))


@pytest.mark.parametrize(
    ("misfire", "expected"),
    [("skip", [60, 420]), ("last", [60, 360, 420]), ("all", [60, 120, 180, 240, 300, 360, 420])],
)
async def test_ticks_missed_by_all_are_judged_by_the_trigger(
    belfry: Belfry, yard: Yard, misfire: str, expected: list[int]
) -> None:
    paused = PausableClock(yard.clock)
    await belfry.start("one", every_minute(misfire=misfire), clock=paused)
    await yard.clock.advance(45)
    paused.going.clear()
    await yard.clock.advance(300)
    paused.going.set()
    await yard.clock.advance(60)
    assert belfry.ticks() == expected


async def test_a_wall_clock_that_is_set_is_noticed_within_a_nap(belfry: Belfry, yard: Yard) -> None:
    await belfry.start("one", a_flow(triggers=(a_timer("0 6 * * *"),)))
    await yard.clock.advance(1)
    yard.clock._epoch_ms += 6 * HOUR_MS - 40_000
    await yard.clock.advance(NAP_SECONDS_MAX)
    assert belfry.ticks() == [6 * 3600]


async def test_a_restarted_scheduler_goes_on_from_the_last_stored_tick(
    belfry: Belfry, yard: Yard
) -> None:
    await belfry.start("one", every_minute(misfire="all"))
    await yard.clock.advance(30)
    removing = asyncio.ensure_future(belfry.root.remove("one"))
    await yard.clock.advance(180)
    await removing
    await belfry.start("two", every_minute(misfire="all"))
    await yard.clock.advance(1)
    assert belfry.ticks() == [60, 120, 180, 240]


async def test_a_timer_that_never_fired_has_missed_nothing(belfry: Belfry, yard: Yard) -> None:
    await belfry.start("one", a_flow(triggers=(a_timer("0 0 * * *", misfire="all"),)))
    await yard.clock.advance(1)
    assert belfry.ticks() == []


async def test_a_bus_that_is_away_delays_ticks_and_loses_none(belfry: Belfry, yard: Yard) -> None:
    yard.ticks.is_available = False
    await belfry.start("one", every_minute())
    await yard.clock.advance(10)
    yard.ticks.is_available = True
    await yard.clock.advance(15)
    yard.stage.publisher.is_available = False
    await yard.clock.advance(30)
    assert belfry.ticks() == []
    yard.stage.publisher.is_available = True
    await yard.clock.advance(2)
    assert belfry.ticks() == [60]
    (fired,) = yard.observer.of(TimerFired)
    assert 25_000 <= fired.late_ms <= 27_000


async def test_ticks_that_an_outage_held_up_follow(belfry: Belfry, yard: Yard) -> None:
    await belfry.start("one", every_minute(misfire="all"))
    await yard.clock.advance(1)
    yard.stage.publisher.is_available = False
    await yard.clock.advance(180)
    yard.stage.publisher.is_available = True
    await yard.clock.advance(60)
    assert belfry.ticks() == [60, 120, 180, 240]


async def test_it_takes_no_message(yard: Yard) -> None:
    ports = SchedulerPorts(yard.stage.publisher, yard.ticks, yard.pauses, yard.observer, yard.clock)
    await SchedulerActor("demo", [a_flow()], ports).receive(None)  # type: ignore[arg-type]


# ── Jitter ───────────────────────────────────────────────────────────────────────────────────


async def test_jitter_puts_ticks_off_and_leaves_their_names(belfry: Belfry, yard: Yard) -> None:
    await belfry.start("one", every_minute(jitter_ms=50_000))
    await belfry.start("two", every_minute(jitter_ms=50_000))
    await yard.clock.advance(565)
    assert belfry.ticks() == list(range(60, 600, 60))
    stored = yard.stage.publisher.stored
    waits_ms = [kept.event.timestamp - kept.event.payload["scheduled_ms"] for kept in stored]
    assert all(0 <= wait < 50_000 for wait in waits_ms)
    assert len(set(waits_ms)) > len(waits_ms) // 2
    assert [kept.event.id for kept in stored] == [
        tick_id("orders", 1, MIDNIGHT_MS + 1000 * tick) for tick in belfry.ticks()
    ]
    assert all(seen.late_ms == 0 for seen in yard.observer.of(TimerFired))


@pytest.mark.parametrize("misfire", ["skip", "last", "all"])
async def test_jitter_longer_than_the_window_makes_no_misfire(
    belfry: Belfry, yard: Yard, misfire: str
) -> None:
    flow = a_flow(triggers=(a_timer("0 * * * *", misfire=misfire, jitter_ms=3_590_000),))
    await belfry.start("one", flow)
    await yard.clock.advance(5 * 3600)
    assert belfry.ticks() == [3600, 7200, 10_800, 14_400]


# ── Pauses ───────────────────────────────────────────────────────────────────────────────────


async def say(yard: Yard, *, is_paused: bool) -> None:
    pause = TimerPause(is_paused, yard.clock.now_ms())
    await yard.pauses.write("demo", "timer.orders.1", pause)


@pytest.mark.parametrize("misfire", ["skip", "last", "all"])
async def test_a_paused_timer_fires_nothing_and_counts_from_its_resumption(
    belfry: Belfry, yard: Yard, misfire: str
) -> None:
    await belfry.start("one", every_minute(misfire=misfire))
    await yard.clock.advance(35)
    await say(yard, is_paused=True)
    await yard.clock.advance(600)
    assert belfry.ticks() == [60]
    await say(yard, is_paused=False)
    await yard.clock.advance(120)
    assert belfry.ticks() == [60, 720, 780]


async def test_a_pause_is_only_of_its_own_timer(belfry: Belfry, yard: Yard) -> None:
    flow = a_flow(triggers=(a_timer("* * * * *"), a_timer("* * * * *", number=2)))
    await say(yard, is_paused=True)
    await belfry.start("one", flow)
    await yard.clock.advance(60)
    assert belfry.ticks() == []
    assert belfry.ticks("timer.orders.2") == [60]


@pytest.mark.parametrize("jitter_ms", [0, 45_000])
async def test_a_scheduler_that_slept_over_a_pause_does_not_make_up_for_it(
    belfry: Belfry, yard: Yard, jitter_ms: int
) -> None:
    paused = PausableClock(yard.clock)
    flow = every_minute(misfire="all", jitter_ms=jitter_ms)
    await belfry.start("one", flow, clock=paused)
    await yard.clock.advance(85)
    assert belfry.ticks() == [60]
    paused.going.clear()
    await say(yard, is_paused=True)
    await yard.clock.advance(300)
    await say(yard, is_paused=False)
    await yard.clock.advance(135)
    paused.going.set()
    await yard.clock.advance(45)
    assert belfry.ticks() == [60, 420, 480, 540]


async def test_a_pause_outlives_the_scheduler(belfry: Belfry, yard: Yard) -> None:
    await belfry.start("one", every_minute(misfire="all"))
    await yard.clock.advance(31)
    await say(yard, is_paused=True)
    removing = asyncio.ensure_future(belfry.root.remove("one"))
    await yard.clock.advance(200)
    await removing
    await belfry.start("two", every_minute(misfire="all"))
    await yard.clock.advance(200)
    assert belfry.ticks() == [60]


async def test_a_bus_that_does_not_tell_of_pauses_delays_ticks(belfry: Belfry, yard: Yard) -> None:
    await belfry.start("one", every_minute())
    yard.pauses.is_available = False
    await yard.clock.advance(45)
    assert belfry.ticks() == []
    yard.pauses.is_available = True
    await yard.clock.advance(1)
    assert belfry.ticks() == [60]

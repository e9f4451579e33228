"""The watchdog sees a loop that stands still, while it does, and shows places only."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import pytest

from app.observability import loop_watchdog as module
from app.observability.loop_watchdog import (
    LoopResumed,
    LoopStalled,
    LoopStuck,
    LoopWatchdog,
    ProcessPaused,
)
from app.observability.metrics import Metrics

STALL = 0.1
STUCK = 0.4


@dataclass
class TimedObserver:
    """Keeps observations with the time and the thread they came in."""

    heard: list[tuple[float, int, object]] = field(default_factory=list)

    def observe(self, observation: object) -> None:
        self.heard.append((time.monotonic(), threading.get_ident(), observation))

    def of(self, kind: type) -> list[object]:
        return [told for _, _, told in self.heard if isinstance(told, kind)]


@dataclass
class Kennel:
    """A running watchdog with short times."""

    metrics: Metrics
    observer: TimedObserver
    dog: LoopWatchdog

    def value(self, name: str) -> float:
        return self.metrics.registry.get_sample_value(name) or 0.0

    async def wait(self, is_so: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not is_so():
                await asyncio.sleep(0.02)


@pytest.fixture
async def kennel() -> AsyncIterator[Kennel]:
    metrics, observer = Metrics(), TimedObserver()
    dog = LoopWatchdog(
        metrics, observer, stall_seconds=STALL, stuck_seconds=STUCK, stack_every_seconds=0
    )
    dog.start()
    await asyncio.sleep(0.15)
    yield Kennel(metrics, observer, dog)
    dog.stop()


def block(seconds: float, payload: str = "hunter2") -> str:
    time.sleep(seconds)
    return payload


async def test_loop_that_turns_is_measured_and_not_told_of(kennel: Kennel) -> None:
    await kennel.wait(lambda: kennel.value("greentic_event_loop_lag_seconds_count") >= 3)
    assert kennel.dog.reasons() == []


def compute(seconds: float, payload: str = "hunter2") -> str:
    ends_at = time.monotonic() + seconds
    while time.monotonic() < ends_at:
        pass
    return payload


@pytest.mark.parametrize("blocking", [block, compute], ids=["waits", "computes"])
async def test_stall_is_told_while_it_lasts_with_its_place_and_no_values(
    kennel: Kennel, blocking: Callable[[float], str]
) -> None:
    began = time.monotonic()
    blocking(STALL + 0.45)
    ended = time.monotonic()
    await kennel.wait(lambda: bool(kennel.observer.of(LoopResumed)))
    at, thread, stalled = next(
        heard
        for heard in kennel.observer.heard
        if isinstance(heard[2], LoopStalled) and heard[2].stack[0].endswith(blocking.__name__)
    )
    assert began < at < ended, "a line that comes after the stall helps nobody who is in one"
    assert thread != threading.get_ident()
    assert isinstance(stalled, LoopStalled)
    assert stalled.stack[0].startswith("app/observability/test_loop_watchdog.py:")
    assert "hunter2" not in str(stalled.stack)
    assert len(stalled.stack) <= module.FRAMES_MAX
    assert kennel.value("greentic_event_loop_stalls_total") >= 1


async def test_stuck_loop_makes_the_process_unready_and_heals_by_itself(kennel: Kennel) -> None:
    was_stuck: list[bool] = []
    looker = threading.Timer(STUCK + 0.35, lambda: was_stuck.append(kennel.dog.is_stuck))
    looker.start()
    block(STUCK + 0.6)
    assert kennel.dog.reasons() == ["the event loop stands still"]
    await kennel.wait(lambda: not kennel.dog.is_stuck)
    looker.join()
    assert was_stuck == [True]
    assert kennel.dog.reasons() == []
    [told] = kennel.observer.of(LoopStuck)
    assert isinstance(told, LoopStuck)
    assert told.stalled_seconds >= STUCK
    assert told.stack[0].endswith(" block")


async def test_stacks_are_rate_limited_and_the_untold_are_counted(kennel: Kennel) -> None:
    kennel.dog._stack_every_seconds = 3600
    kennel.dog._told_at = time.monotonic()
    for _ in range(2):
        block(STALL + 0.3)
        await asyncio.sleep(0.25)
    assert kennel.observer.of(LoopStalled) == []
    assert kennel.value("greentic_event_loop_stalls_total") >= 2
    kennel.dog._stack_every_seconds = 0
    block(STALL + 0.3)
    await kennel.wait(lambda: bool(kennel.observer.of(LoopStalled)))
    told = kennel.observer.of(LoopStalled)[0]
    assert isinstance(told, LoopStalled)
    assert told.untold >= 2


async def test_pause_of_the_whole_process_is_no_stall(
    kennel: Kennel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread finds that it was away itself, and that nothing computed meanwhile."""
    jump = 0.0

    class Time:
        @staticmethod
        def monotonic() -> float:
            return time.monotonic() + jump

        process_time = staticmethod(time.process_time)

    monkeypatch.setattr(module, "time", Time)
    await asyncio.sleep(0.2)
    jump = 40.0
    await kennel.wait(lambda: bool(kennel.observer.of(ProcessPaused)))
    [told] = kennel.observer.of(ProcessPaused)
    assert isinstance(told, ProcessPaused)
    assert told.paused_seconds == pytest.approx(40, abs=1)
    assert not kennel.dog.is_stuck
    assert kennel.observer.of(LoopStuck) == []


async def test_long_call_that_computes_without_letting_go_is_a_stall(
    kennel: Kennel, monkeypatch: pytest.MonkeyPatch
) -> None:
    jump = 0.0

    class Time:
        @staticmethod
        def monotonic() -> float:
            return time.monotonic() + jump

        @staticmethod
        def process_time() -> float:
            return time.process_time() + jump

    monkeypatch.setattr(module, "time", Time)
    await asyncio.sleep(0.2)
    jump = 3.0
    block(0.5)  # or the loop might beat before the thread looks
    await kennel.wait(lambda: bool(kennel.observer.of(LoopStuck)))
    assert kennel.observer.of(ProcessPaused) == []


async def test_watchdog_that_is_stopped_leaves_no_thread(kennel: Kennel) -> None:
    kennel.dog.stop()
    assert not any(thread.name == "loop-watchdog" for thread in threading.enumerate())
    kennel.dog.stop()


def test_watchdog_that_never_started_can_be_stopped() -> None:
    LoopWatchdog(Metrics(), TimedObserver()).stop()

"""Time that moves by hand."""

import asyncio

import pytest

from actors.testing.clock import EPOCH_MS_DEFAULT, VirtualClock


async def test_sleepers_wake_in_the_order_of_their_deadlines() -> None:
    clock = VirtualClock()
    woken: list[tuple[str, float]] = []

    async def sleep(name: str, seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append((name, clock.monotonic()))

    tasks = [asyncio.ensure_future(sleep(n, s)) for n, s in (("b", 2), ("a", 1), ("c", 9))]
    await clock.advance(5)
    assert woken == [("a", 1), ("b", 2)]
    assert clock.sleepers == 1
    assert clock.monotonic() == 5
    assert clock.now_ms() == EPOCH_MS_DEFAULT + 5000
    await clock.advance(4)
    await asyncio.gather(*tasks)


async def test_a_sleeper_that_sleeps_again_is_woken_on_the_way() -> None:
    clock = VirtualClock()
    ticks: list[float] = []

    async def tick() -> None:
        for _ in range(3):
            await clock.sleep(1)
            ticks.append(clock.monotonic())

    ticking = asyncio.ensure_future(tick())
    await clock.advance(10)
    await ticking
    assert ticks == [1, 2, 3]


async def test_a_cancelled_sleeper_is_forgotten() -> None:
    clock = VirtualClock(epoch_ms=0)
    sleeping = asyncio.ensure_future(clock.sleep(1))
    await clock.settle()
    sleeping.cancel()
    await clock.settle()
    assert clock.sleepers == 0
    await clock.advance(2)
    assert clock.now_ms() == 2000


async def test_no_time_is_no_wait_and_time_does_not_go_back() -> None:
    clock = VirtualClock()
    await clock.sleep(0)
    await clock.sleep(-1)
    with pytest.raises(ValueError, match="back"):
        await clock.advance(-1)

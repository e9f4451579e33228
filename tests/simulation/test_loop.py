"""The loop under simulations: deaths are deaths, frozen time is lost, and chance decides alike."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from tests.simulation.loop import Process, SimulatedLoop, chance_of


def a_loop(seed: object = 0) -> SimulatedLoop:
    return SimulatedLoop(chance_of(seed))  # type: ignore[abstract]  # as in simulations


async def ticking(seen: list[float], *, ends: list[str] | None = None) -> None:
    loop = asyncio.get_running_loop()
    try:
        while True:
            await asyncio.sleep(1)
            seen.append(loop.time())
    finally:
        if ends is not None:
            ends.append("cleaned up")


def run(loop: SimulatedLoop, work: Coroutine[Any, Any, None]) -> None:
    loop.run(work)


def test_time_jumps_to_the_next_timer() -> None:
    loop = a_loop()

    async def work() -> None:
        await asyncio.sleep(86_400)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5):
                await asyncio.Event().wait()

    run(loop, work())
    assert loop.time() == 86_405


def test_nothing_happens_after_a_death() -> None:
    loop, process = a_loop(), Process("worker")
    seen: list[float] = []
    ends: list[str] = []

    async def work() -> None:
        loop.start(process, ticking(seen, ends=ends))
        await asyncio.sleep(2.5)
        loop.kill(process)
        await asyncio.sleep(10)
        assert ends == []

    run(loop, work())
    assert seen == [1.0, 2.0]


def test_a_frozen_process_goes_on_late() -> None:
    loop, process = a_loop(), Process("worker")
    seen: list[float] = []

    async def work() -> None:
        loop.start(process, ticking(seen))
        await asyncio.sleep(1.5)
        process.is_frozen = True
        await asyncio.sleep(40)
        process.is_frozen = False
        await asyncio.sleep(2)

    run(loop, work())
    assert seen == [1.0, 41.5, 42.5, 43.5]


def test_a_call_from_outside_belongs_to_the_process_it_comes_in_at() -> None:
    loop, process = a_loop(), Process("worker")
    seen: list[str] = []

    async def work() -> None:
        loop.call_later_in(process, 1, seen.append, "never")
        loop.call_later_in(loop.world, 1, seen.append, "here")
        loop.start(process, asyncio.sleep(0))
        loop.kill(process)
        await asyncio.sleep(2)

    run(loop, work())
    assert seen == ["here"]


def orders(seed: int) -> str:
    loop, seen = a_loop(seed), []

    async def work() -> None:
        for name in "abcdef":
            loop.start(Process(name), say(name))
        await asyncio.sleep(1)

    async def say(name: str) -> None:
        for _ in range(3):
            await asyncio.sleep(0)
            seen.append(name)

    run(loop, work())
    return "".join(seen)


def test_processes_take_turns_by_chance_alone() -> None:
    assert len({orders(seed) for seed in range(20)}) > 10
    assert orders(7) == orders(7)


def test_errors_that_nobody_catches_are_complained_of() -> None:
    loop = a_loop()

    def fail() -> None:
        raise ValueError("nobody looks")

    async def work() -> None:
        asyncio.get_running_loop().call_soon(fail)
        await asyncio.sleep(1)

    run(loop, work())
    assert len(loop.complaints) == 1
    assert "nobody looks" in loop.complaints[0]


def test_a_world_in_which_nothing_will_ever_happen_is_an_error() -> None:
    async def work() -> None:
        await asyncio.Event().wait()

    with pytest.raises(RuntimeError, match="nothing will ever happen"):
        run(a_loop(), work())

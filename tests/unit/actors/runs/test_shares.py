"""Fair shares of the event loop: slices, turns, accounts."""

import asyncio
from collections import Counter

import pytest

from actors.runs.shares import (
    ALONE_AFTER_SECONDS,
    QUANTUM_ALONE_SECONDS,
    QUANTUM_SECONDS,
    WEIGHT_MAX,
    WEIGHT_MIN,
    FairShare,
    FairShares,
)
from actors.testing.clock import VirtualClock

STEP_SECONDS = QUANTUM_SECONDS / 5


class Loop:
    """Work that takes time of a clock which only work moves."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.shares = FairShares(self.clock, cpu=self.clock.monotonic)
        self.had: Counter[str] = Counter()
        self.log: list[str] = []

    def work(self, tenant: str) -> None:
        self.clock._now_seconds += STEP_SECONDS
        self.had[tenant] += 1
        self.log.append(tenant)

    async def flood(self, tenant: str, steps: int) -> None:
        """Work like an executor with a full mailbox."""
        share = self.shares.of(tenant)
        await share.wait_turn()
        for _ in range(steps):
            if not share.has_slice:
                await share.wait_turn()
            self.work(tenant)
            share.spend(STEP_SECONDS)

    async def charged(self, tenant: str, steps: int) -> None:
        for _ in range(steps):
            self.work(tenant)
            await asyncio.sleep(0)


@pytest.fixture
def loop() -> Loop:
    return Loop()


async def _until(loop: Loop, steps: int) -> None:
    while loop.had.total() < steps:
        await asyncio.sleep(0)


async def test_two_that_always_have_work_get_the_same(loop: Loop) -> None:
    tasks = [asyncio.create_task(loop.flood(name, 10_000)) for name in ("a", "b")]
    await _until(loop, 1000)
    for task in tasks:
        task.cancel()
    assert abs(loop.had["a"] - loop.had["b"]) <= 2 * QUANTUM_ALONE_SECONDS / STEP_SECONDS


async def test_many_tasks_of_a_tenant_get_no_more_than_one(loop: Loop) -> None:
    tasks = [asyncio.create_task(loop.flood("many", 10_000)) for _ in range(20)]
    tasks.append(asyncio.create_task(loop.flood("one", 10_000)))
    await _until(loop, 2000)
    for task in tasks:
        task.cancel()
    assert loop.had["one"] > 0.45 * loop.had.total()


async def test_weights_decide(loop: Loop) -> None:
    loop.shares.of("gold").weight = 4.0
    tasks = [asyncio.create_task(loop.flood(name, 10_000)) for name in ("gold", "plain")]
    await _until(loop, 3000)
    for task in tasks:
        task.cancel()
    assert 3.0 < loop.had["gold"] / loop.had["plain"] < 5.0


async def test_one_with_little_to_do_waits_for_one_slice_at_most(loop: Loop) -> None:
    floods = [asyncio.create_task(loop.flood(f"flood-{n}", 10_000)) for n in range(10)]
    guest = loop.shares.of("guest")
    await guest.wait_turn()
    await _until(loop, 500)
    waits = []
    for _ in range(20):
        await asyncio.sleep(0)
        before = loop.had.total()
        await guest.wait_turn()
        waits.append(loop.had.total() - before)
        guest.spend(STEP_SECONDS)
        for _ in range(4):  # the stages of an event: each one waits for the loop
            await asyncio.sleep(0)
    for task in floods:
        task.cancel()
    assert max(waits) <= 2 * QUANTUM_SECONDS / STEP_SECONDS
    assert sum(waits) <= 5 * QUANTUM_SECONDS / STEP_SECONDS


async def test_one_slice_at_most_is_let_go_in_a_turn_of_the_loop(loop: Loop) -> None:
    floods = [asyncio.create_task(loop.flood(f"flood-{n}", 10_000)) for n in range(10)]
    await _until(loop, 1000)
    for _ in range(50):
        before = loop.had.total()
        await asyncio.sleep(0)
        assert loop.had.total() - before <= QUANTUM_SECONDS / STEP_SECONDS + 1
    for task in floods:
        task.cancel()


async def test_alone_slices_are_long(loop: Loop) -> None:
    share = loop.shares.of("alone")
    assert share.portion(100, 10) == 100
    task = asyncio.create_task(loop.flood("alone", 10_000))
    await asyncio.sleep(0)
    assert loop.had["alone"] == pytest.approx(QUANTUM_ALONE_SECONDS / STEP_SECONDS, abs=2)
    await loop.shares.of("other").wait_turn()
    assert share.portion(100, 10) == 10
    task.cancel()
    loop.clock._now_seconds += 2 * ALONE_AFTER_SECONDS
    assert share.portion(100, 10) == 100


async def test_one_that_works_now_and_then_need_not_yield(loop: Loop) -> None:
    share = loop.shares.of("steady")
    for _ in range(100):
        turn = share.wait_turn()
        with pytest.raises(StopIteration):  # it did not wait
            turn.send(None)
        share.spend(STEP_SECONDS)
        loop.clock._now_seconds += 10 * QUANTUM_ALONE_SECONDS


async def test_charged_work_is_measured_and_waits_for_its_turn(loop: Loop) -> None:
    share = loop.shares.of("a")
    tasks = [asyncio.create_task(share.charge(lambda: loop.charged("a", 5000))) for _ in range(9)]
    tasks.append(asyncio.create_task(loop.flood("b", 5000)))
    await _until(loop, 2000)
    for task in tasks:
        task.cancel()
    assert 0.4 < loop.had["b"] / loop.had.total() < 0.6


async def test_charged_work_gives_its_value_and_its_error(loop: Loop) -> None:
    share = loop.shares.of("a")

    async def gives() -> int:
        await asyncio.sleep(0)
        return 7

    async def fails() -> int:
        await asyncio.sleep(0)
        raise KeyError("no")

    assert await share.charge(gives) == 7
    with pytest.raises(KeyError):
        await share.charge(fails)


async def _exhaust(share: FairShare) -> None:
    await share.wait_turn()
    while share.has_slice:
        share.spend(QUANTUM_SECONDS)


@pytest.mark.parametrize("is_used_up", [False, True])
async def test_charged_work_hears_its_cancellation(loop: Loop, is_used_up: bool) -> None:
    share = loop.shares.of("a")
    heard: list[str] = []

    async def waits() -> None:
        try:
            await asyncio.sleep(0)
            if is_used_up:
                await _exhaust(share)
                await asyncio.sleep(0)
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            heard.append("cancelled")
            raise

    task = asyncio.create_task(share.charge(waits))
    for _ in range(5):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert heard == ["cancelled"]


async def test_who_was_cancelled_while_it_waited_takes_no_turn(loop: Loop) -> None:
    share = loop.shares.of("a")
    await _exhaust(share)
    gone, stays = (asyncio.create_task(share.wait_turn()) for _ in range(2))
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.wait_for(stays, 5)


async def test_time_that_the_machine_took_is_not_the_tenants() -> None:
    clock, cpu = VirtualClock(), VirtualClock()
    share = FairShares(clock, cpu=cpu.monotonic).of("a")
    await share.wait_turn()
    cpu._now_seconds += QUANTUM_SECONDS / 10
    share.spend(1.0)
    assert share.has_slice
    cpu._now_seconds += 1.0
    share.spend(1.0)
    assert not share.has_slice


def test_weights_are_bounded() -> None:
    shares = FairShares(VirtualClock())
    share = shares.of("a")
    share.weight = 1e9
    assert share.weight == WEIGHT_MAX
    share.weight = 0.0
    assert share.weight == WEIGHT_MIN
    assert shares.of("a") is share
    shares.forget("b")
    assert shares.of("a") is share
    shares.forget("a")
    assert shares.of("a") is not share

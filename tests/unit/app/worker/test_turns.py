"""Turns, shared fairly. In: askers of several tenants. Out: who gets a turn when."""

import asyncio
import random

import pytest

from actors.errors import TransientError
from app.worker.turns import FairTurns


class Asker:
    """Takes a turn and holds it until told to give it back."""

    def __init__(self, turns: FairTurns, tenant: str, log: list[str]) -> None:
        self.tenant = tenant
        self._turns = turns
        self._log = log
        self._end = asyncio.Event()
        self.holds = False
        self.task = asyncio.create_task(self._hold())

    async def _hold(self) -> None:
        await self._turns.take(self.tenant)
        self._log.append(self.tenant)
        self.holds = True
        try:
            await self._end.wait()
        finally:
            self.holds = False
            self._turns.give_back(self.tenant)

    async def end(self) -> None:
        self._end.set()
        await self.task


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.mark.parametrize(("turns", "held"), [(1, 1), (2, 1), (3, 1), (4, 2), (9, 4)])
async def test_a_tenant_holds_at_most_half_of_the_turns(turns: int, held: int) -> None:
    log: list[str] = []
    fair = FairTurns(turns, 100)
    askers = [Asker(fair, "greedy", log) for _ in range(turns + 3)]
    await settle()
    assert log == ["greedy"] * held
    other = Asker(fair, "modest", log)
    await settle()
    assert ("modest" in log) == (turns > 1)
    await asyncio.gather(*(asker.end() for asker in (*askers, other)))
    assert log.count("greedy") == turns + 3
    assert fair.waiting == 0


async def test_tenants_that_wait_are_served_one_after_the_other() -> None:
    log: list[str] = []
    fair = FairTurns(1, 100)
    askers = [Asker(fair, tenant, log) for tenant in ("a", "a", "a", "a", "b", "b", "c")]
    for count in range(1, len(askers) + 1):
        await settle()
        assert len(log) == count
        (holder,) = (asker for asker in askers if asker.holds)
        await holder.end()
    assert "".join(log) == "aabcaba"


async def test_a_cancelled_asker_takes_no_turn() -> None:
    log: list[str] = []
    fair = FairTurns(1, 100)
    first, second, third = (Asker(fair, "a", log) for _ in range(3))
    await settle()
    second.task.cancel()
    await settle()
    await first.end()
    await settle()
    assert len(log) == 2
    await third.end()


async def test_a_turn_that_is_granted_to_a_cancelled_asker_goes_on() -> None:
    log: list[str] = []
    fair = FairTurns(1, 100)
    first, second, third = (Asker(fair, "a", log) for _ in range(3))
    await settle()
    first._end.set()
    await asyncio.sleep(0)  # gives the turn back: it is granted to the second, which has not run
    second.task.cancel()
    await settle()
    assert len(log) == 2
    await third.end()
    await first.end()


async def test_too_many_that_wait_are_refused() -> None:
    log: list[str] = []
    fair = FairTurns(1, 2)
    askers = [Asker(fair, "a", log) for _ in range(3)]
    await settle()
    with pytest.raises(TransientError) as caught:
        await fair.take("b")
    assert caught.value.reason == "script.busy"
    for asker in askers:
        await asker.end()
    await fair.take("b")


@pytest.mark.parametrize("seed", range(20))
async def test_whatever_happens_no_turn_is_lost(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - no secret
    log: list[str] = []
    turns = chance.randint(1, 5)
    fair = FairTurns(turns, 1_000)
    askers = [Asker(fair, chance.choice("abc"), log) for _ in range(60)]
    for asker in chance.sample(askers, len(askers)):
        if chance.random() < 0.5:
            asker.task.cancel()
        else:
            asker._end.set()
        if chance.random() < 0.5:
            await asyncio.sleep(0)
    await asyncio.wait([asker.task for asker in askers], timeout=5)
    assert all(asker.task.done() for asker in askers)
    assert fair.waiting == 0
    for number in range(turns):  # all of them are to be had again, by tenants of their own
        await asyncio.wait_for(fair.take(f"t{number}"), 1)

"""Shared places. In: tenants that come and go. Out: who holds a place, and who waits."""

import asyncio
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.outbound.lanes import Lanes


async def settle() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


class Crowd:
    """Takes places for tenants and knows who got one."""

    def __init__(self, places: int) -> None:
        self.lanes = Lanes(places)
        self.held: Counter[str] = Counter()
        self.waiting: list[tuple[str, asyncio.Task[None]]] = []

    async def come(self, tenant: str, count: int = 1) -> None:
        for _ in range(count):
            task = asyncio.create_task(self._take(tenant))
            self.waiting.append((tenant, task))
            await settle()
        self._forget_ended()

    async def leave(self, tenant: str, count: int = 1) -> None:
        for _ in range(count):
            self.held[tenant] -= 1
            self.lanes.give_back(tenant)
            await settle()
        self._forget_ended()

    async def end(self) -> None:
        for _, task in self.waiting:
            task.cancel()
        await asyncio.gather(*(task for _, task in self.waiting), return_exceptions=True)
        self._forget_ended()

    def _forget_ended(self) -> None:
        self.waiting = [(tenant, task) for tenant, task in self.waiting if not task.done()]

    async def _take(self, tenant: str) -> None:
        await self.lanes.take(tenant)
        self.held[tenant] += 1


@pytest.mark.parametrize(("tenants", "each"), [(1, 50), (2, 33), (3, 25), (9, 10)])
async def test_tenants_share_and_leave_something(tenants: int, each: int) -> None:
    crowd = Crowd(100)
    for _ in range(60):
        for number in range(tenants):
            await crowd.come(f"t{number}")
    assert set(crowd.held.values()) <= {each, each + 1}
    await crowd.come("new")
    assert crowd.held["new"] == 1
    await crowd.end()


async def test_who_waits_gets_what_is_given_back_one_tenant_after_the_other() -> None:
    crowd = Crowd(4)
    await crowd.come("a", 2)
    await crowd.come("b")
    await crowd.come("a", 2)
    await crowd.come("b", 2)
    assert crowd.held == {"a": 2, "b": 1}
    await crowd.leave("a", 2)
    assert crowd.held == {"a": 1, "b": 2}
    await crowd.end()


async def test_a_wait_that_is_given_up_takes_no_place() -> None:
    crowd = Crowd(2)
    await crowd.come("a", 3)
    assert len(crowd.waiting) == 2
    await crowd.end()
    await crowd.leave("a")
    await crowd.come("a")
    assert crowd.held == {"a": 1}


async def test_a_place_that_comes_as_the_wait_is_given_up_goes_back() -> None:
    lanes = Lanes(1)
    await lanes.take("a")
    waiting = asyncio.create_task(lanes.take("b"))
    await settle()
    lanes.give_back("a")
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    async with asyncio.timeout(1):
        await lanes.take("c")


async def test_a_failed_call_gives_its_place_back() -> None:
    lanes = Lanes(1)
    for _ in range(3):
        with pytest.raises(KeyError):
            async with lanes.enter("a"):
                raise KeyError


Step = tuple[str, str]
STEPS = st.lists(st.tuples(st.sampled_from(["come", "leave", "quit"]), st.sampled_from("abc")))


@given(places=st.integers(1, 6), steps=STEPS)
def test_places_are_neither_lost_nor_made(places: int, steps: list[Step]) -> None:
    asyncio.run(_walk(places, steps))


async def _walk(places: int, steps: list[Step]) -> None:
    crowd = Crowd(places)
    for verb, tenant in steps:
        if verb == "come":
            await crowd.come(tenant)
        elif verb == "leave" and crowd.held[tenant]:
            await crowd.leave(tenant)
        elif verb == "quit" and crowd.waiting:
            crowd.waiting[0][1].cancel()
            await settle()
            crowd.waiting.pop(0)
        held = sum(crowd.held.values())
        assert held <= places
        free = places - held
        assert all(crowd.held[tenant] >= free for tenant, _ in crowd.waiting)
    await crowd.end()
    for tenant, count in crowd.held.items():
        await crowd.leave(tenant, count)
    await crowd.come("last", places)
    assert crowd.held["last"] == (places + 1) // 2
    await crowd.end()

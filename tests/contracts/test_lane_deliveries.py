"""The LaneDeliveries port means the same in memory and on a real consumer."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass

import pytest

from actors.outcomes import Settlement
from actors.ports import Delivery, LaneDeliveries
from actors.testing.deliveries import MemoryEventStream
from actors.testing.lanes import MemoryLane
from app.bus import pinned, pulls
from app.bus.lane_deliveries import JetStreamLaneDeliveries
from app.system import SystemClock
from tests.support.lane_rig import a_continuation, a_lane

PATIENCE_SECONDS = 10.0


@dataclass
class Scene:
    """A lane that two workers pull from, and ways to put something into it."""

    one: LaneDeliveries
    two: LaneDeliveries
    add: Callable[[int], Awaitable[None]]
    unpin: Callable[[], Awaitable[None]]
    wait_lost: Callable[[LaneDeliveries], Awaitable[None]]


async def memory_scene(*, is_exclusive: bool) -> AsyncIterator[Scene]:
    lane = MemoryLane(MemoryEventStream(SystemClock()), is_exclusive=is_exclusive)

    async def add(number: int) -> None:
        continuation = a_continuation(number)
        lane.stream.add(continuation.event, continuation=continuation)

    async def unpin() -> None:
        lane.unpin()

    async def wait_lost(_: LaneDeliveries) -> None:
        """It is known at once."""

    yield Scene(lane.open(), lane.open(), add, unpin, wait_lost)


async def nats_scene(
    request: pytest.FixtureRequest, env: str, *, is_exclusive: bool
) -> AsyncIterator[Scene]:
    endpoint = request.getfixturevalue("nats_server")
    async with a_lane(endpoint, env, is_exclusive=is_exclusive) as rig:
        first, second = await rig.worker(), await rig.worker()

        async def add(number: int) -> None:
            await second.store([number])

        async def wait_lost(lane: LaneDeliveries) -> None:
            assert isinstance(lane, JetStreamLaneDeliveries)
            async with asyncio.timeout(PATIENCE_SECONDS):
                while not lane.is_lost:
                    await asyncio.sleep(0.02)

        yield Scene(first.lane(), second.lane(), add, second.unpin, wait_lost)


@pytest.fixture(params=["memory", "nats"])
async def scene(
    request: pytest.FixtureRequest, fresh_env: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Scene]:
    monkeypatch.setattr(pulls, "UPKEEP_SECONDS", 0.05)
    monkeypatch.setattr(pinned, "RENEW_SECONDS", 0.2)
    scenes = (
        memory_scene(is_exclusive=True)
        if request.param == "memory"
        else nats_scene(request, fresh_env, is_exclusive=True)
    )
    async for scene in scenes:
        yield scene


@pytest.fixture(params=["memory", "nats"])
async def shared(request: pytest.FixtureRequest, fresh_env: str) -> AsyncIterator[Scene]:
    scenes = (
        memory_scene(is_exclusive=False)
        if request.param == "memory"
        else nats_scene(request, fresh_env, is_exclusive=False)
    )
    async for scene in scenes:
        yield scene


async def pull(lane: LaneDeliveries, messages_max: int = 8) -> list[Delivery]:
    async with asyncio.timeout(PATIENCE_SECONDS):
        return list(await lane.pull(messages_max))


async def pull_all(lane: LaneDeliveries, count: int) -> list[Delivery]:
    taken: list[Delivery] = []
    while len(taken) < count:
        taken += await pull(lane)
    return taken


def numbers(deliveries: Sequence[Delivery]) -> list[int]:
    return [delivery.event.payload["n"] for delivery in deliveries]


async def wait_outstanding(lane: LaneDeliveries, sequences: list[int]) -> None:
    """An acknowledgement is on its way when it is said."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while list(await lane.outstanding()) != sequences:
            await asyncio.sleep(0.02)


async def test_deliveries_come_in_order_with_their_continuations(scene: Scene) -> None:
    for number in range(5):
        await scene.add(number)
    taken = await pull_all(scene.one, 5)
    assert [delivery.continuation for delivery in taken] == [a_continuation(n) for n in range(5)]
    sequences = [delivery.sequence for delivery in taken]
    assert sequences == sorted(set(sequences))
    assert {delivery.num_delivered for delivery in taken} == {1}


async def test_one_worker_has_an_exclusive_lane(scene: Scene) -> None:
    await scene.add(0)
    await pull(scene.one)
    waiting = asyncio.ensure_future(scene.two.pull(8))
    await asyncio.sleep(0.05)
    for number in (1, 2, 3):
        await scene.add(number)
    assert numbers(await pull_all(scene.one, 3)) == [1, 2, 3]
    assert not waiting.done()
    assert scene.one.term > 0
    assert scene.two.term == 0
    await scene.two.close()
    assert list(await waiting) == []


async def test_both_workers_share_a_shared_lane(shared: Scene) -> None:
    waiting = [asyncio.ensure_future(lane.pull(1)) for lane in (shared.one, shared.two)]
    await asyncio.sleep(0.05)
    await shared.add(0)
    await shared.add(1)
    async with asyncio.timeout(PATIENCE_SECONDS):
        taken = [list(await pulled) for pulled in waiting]
    assert sorted(number for batch in taken for number in numbers(batch)) == [0, 1]
    assert (shared.one.term, shared.two.term) == (0, 0)


async def test_outstanding_is_what_was_handed_out_and_is_unsettled(scene: Scene) -> None:
    assert list(await scene.two.outstanding()) == []
    for number in range(4):
        await scene.add(number)
    taken: list[Delivery] = []
    while len(taken) < 4:
        taken += await pull(scene.one, 4 - len(taken))
    sequences = [delivery.sequence for delivery in taken]
    assert list(await scene.two.outstanding()) == sequences
    taken[1].settle(Settlement.ACK)
    taken[2].settle(Settlement.TERM)
    await wait_outstanding(scene.two, [sequences[0], sequences[3]])
    taken[0].settle(Settlement.NAK)
    taken[3].settle(Settlement.LEAVE)
    await asyncio.sleep(0.1)
    assert list(await scene.two.outstanding()) == [sequences[0], sequences[3]]
    [again] = await pull(scene.one)
    assert (again.sequence, again.num_delivered) == (sequences[0], 2)


async def test_closed_workers_lane_and_deliveries_go_to_the_other(scene: Scene) -> None:
    for number in range(4):
        await scene.add(number)
    taken = await pull_all(scene.one, 4)
    waiting = asyncio.ensure_future(scene.two.pull(8))
    await asyncio.sleep(0.05)
    await scene.one.close()
    for delivery in taken[1:]:
        delivery.settle(Settlement.NAK)
    taken[0].settle(Settlement.ACK)
    async with asyncio.timeout(PATIENCE_SECONDS):
        got = list(await waiting)
    while len(got) < 3:
        got += await pull(scene.two)
    assert sorted(numbers(got)) == [1, 2, 3]
    assert scene.two.term > 0
    assert list(await scene.one.pull(1)) == []


async def test_what_another_worker_may_have_is_acked_and_never_called_back(scene: Scene) -> None:
    for number in range(2):
        await scene.add(number)
    old = await pull_all(scene.one, 2)
    waiting = asyncio.ensure_future(scene.two.pull(8))
    await asyncio.sleep(0.05)
    await scene.unpin()
    await scene.add(2)
    async with asyncio.timeout(PATIENCE_SECONDS):
        new = list(await waiting)
    assert numbers(new) == [2]
    await scene.wait_lost(scene.one)
    old[0].settle(Settlement.NAK)
    old[1].settle(Settlement.ACK)
    await wait_outstanding(scene.two, [old[0].sequence, new[0].sequence])
    more = asyncio.ensure_future(scene.two.pull(8))
    await asyncio.sleep(0.1)
    assert not more.done(), "it comes when its ack wait is over"
    await scene.two.close()
    assert list(await more) == []


async def test_worker_that_gets_the_lane_again_has_another_term(scene: Scene) -> None:
    await scene.add(0)
    await pull(scene.one)
    before = scene.one.term
    waiting = asyncio.ensure_future(scene.one.pull(8))
    await asyncio.sleep(0.05)
    await scene.unpin()
    await scene.add(1)
    async with asyncio.timeout(PATIENCE_SECONDS):
        assert numbers(list(await waiting)) == [1]
    assert scene.one.term > before

"""Private lanes on a real server: one worker at a time, and what happens when it changes."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from actors.outcomes import Settlement
from app.bus import pinned, pulls
from app.bus.server_folder import Endpoint
from app.control import names
from app.control.limits import StreamLimits
from tests.support.lane_rig import (
    LANE,
    TENANT,
    LaneRig,
    a_continuation,
    a_lane,
    numbers,
    pull,
    pull_all,
    settle,
)
from tests.support.nats_server import KillableServer

TTL_SECONDS = 2


@pytest.fixture
async def rig(
    nats_server: Endpoint, fresh_env: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[LaneRig]:
    """A lane whose pin is short, and renewed as much more often."""
    hasten(monkeypatch)
    async with a_lane(nats_server, fresh_env, pin_ttl_seconds=TTL_SECONDS) as rig:
        yield rig


def hasten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulls, "PINNED_EXPIRES_SECONDS", 1)
    monkeypatch.setattr(pulls, "UPKEEP_SECONDS", 0.1)
    monkeypatch.setattr(pinned, "RENEW_SECONDS", 1.2)
    monkeypatch.setattr(pinned, "PIN_TTL_SECONDS", TTL_SECONDS)


async def test_only_one_worker_gets_deliveries_and_in_order(rig: LaneRig) -> None:
    one, two = await rig.worker(), await rig.worker()
    first, second = one.lane(), two.lane()
    idle = asyncio.ensure_future(second.pull(100))
    waiting = asyncio.ensure_future(first.pull(100))
    await asyncio.sleep(0.1)
    await one.store(range(30))
    done, _ = await asyncio.wait([idle, waiting], return_when=asyncio.FIRST_COMPLETED, timeout=5)
    [begun] = done
    winner, loser, still = (first, second, idle) if begun is waiting else (second, first, waiting)
    taken = list(begun.result())
    while len(taken) < 30:
        taken += await pull(winner)
    assert numbers(taken) == list(range(30))
    assert [one.sequence for one in taken] == sorted({one.sequence for one in taken})
    assert (winner.term, loser.term) == (1, 0)
    assert taken[0].continuation == a_continuation(0)
    assert not still.done()
    settle(taken)
    await loser.close()
    assert await still == ()


async def test_idle_worker_keeps_its_lane_whether_it_pulls_or_holds(rig: LaneRig) -> None:
    one, two = await rig.worker(), await rig.worker()
    first, second = one.lane(), two.lane()
    await one.store([0])
    held = await pull(first)
    idle = asyncio.ensure_future(second.pull(100))
    pin = await one.pinned_id()
    assert pin
    await asyncio.sleep(1.7 * TTL_SECONDS)  # it holds one delivery and asks for nothing
    assert await one.pinned_id() == pin
    waiting = asyncio.ensure_future(first.pull(100))
    await asyncio.sleep(1.7 * TTL_SECONDS)  # it waits, and nothing comes
    assert await one.pinned_id() == pin
    await two.store([1])
    assert numbers(list(await waiting)) == [1]
    assert (first.term, second.term, idle.done()) == (1, 0, False)
    settle(held)
    await second.close()
    await idle


async def test_full_worker_keeps_its_lane(
    nats_server: Endpoint, fresh_env: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hasten(monkeypatch)
    limits = StreamLimits(lane_ack_pending_max=4)
    async with a_lane(nats_server, fresh_env, limits=limits, pin_ttl_seconds=TTL_SECONDS) as rig:
        one, two = await rig.worker(), await rig.worker()
        first, second = one.lane(), two.lane()
        await one.store(range(8))
        held = await pull_all(first, 4)
        idle = asyncio.ensure_future(second.pull(100))
        pin = await one.pinned_id()
        await asyncio.sleep(1.7 * TTL_SECONDS)
        assert await one.pinned_id() == pin
        settle(held)
        assert numbers(await pull_all(first, 4)) == [4, 5, 6, 7]
        assert not idle.done()
        await second.close()
        await idle


async def test_killed_workers_lane_goes_to_the_other(
    rig: LaneRig, record_property: pytest.FixtureRequest
) -> None:
    one, two = await rig.worker(), await rig.worker()
    first, second = one.lane(), two.lane()
    await two.store(range(3))
    held = await pull_all(first, 3)
    waiting = asyncio.ensure_future(second.pull(100))
    await asyncio.sleep(0.1)
    killed_at = time.monotonic()
    await one.die()
    await asyncio.sleep(0.1)  # what the server still sent to the dead one comes after its ack wait
    await two.store([3, 4])
    taken = list(await asyncio.wait_for(waiting, 10))
    takeover = time.monotonic() - killed_at
    record_property("takeover_seconds", takeover)  # type: ignore[operator]
    assert takeover <= TTL_SECONDS + 1
    while len(taken) < 2:
        taken += await pull(second)
    assert numbers(taken) == [3, 4]
    assert second.term == 1
    outstanding = await second.outstanding()
    assert outstanding == sorted(one.sequence for one in [*held, *taken])


async def test_dead_workers_deliveries_come_after_their_ack_wait_in_order(
    nats_server: Endpoint, fresh_env: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hasten(monkeypatch)
    limits = StreamLimits(ack_wait_seconds=3)
    async with a_lane(nats_server, fresh_env, limits=limits, pin_ttl_seconds=TTL_SECONDS) as rig:
        one, two = await rig.worker(), await rig.worker()
        first, second = one.lane(), two.lane()
        await two.store(range(10))
        held = await pull_all(first, 10)
        await one.die()
        taken = await pull_all(second, 10)
        assert numbers(taken) == list(range(10))
        assert [one.sequence for one in taken] == [one.sequence for one in held]
        assert {one.num_delivered for one in taken} == {2}
        settle(taken)


async def test_closed_lane_is_free_at_once_and_gives_back_what_it_holds(rig: LaneRig) -> None:
    one, two = await rig.worker(), await rig.worker()
    first, second = one.lane(), two.lane()
    await two.store(range(5))
    held = await pull_all(first, 5)
    waiting = asyncio.ensure_future(second.pull(100))
    await asyncio.sleep(0.1)
    closed_at = time.monotonic()
    await first.close()
    settle(held[:2], Settlement.ACK)
    settle(held[2:], Settlement.NAK)
    taken = list(await asyncio.wait_for(waiting, 5))
    while len(taken) < 3:
        taken += await pull(second)
    assert time.monotonic() - closed_at < 1
    assert sorted(numbers(taken)) == [2, 3, 4]
    settle(taken)
    assert await second.outstanding() == []


async def test_lost_pin_is_noticed_and_old_deliveries_are_only_acked(rig: LaneRig) -> None:
    one, two = await rig.worker(), await rig.worker()
    first, second = one.lane(), two.lane()
    await two.store(range(4))
    held = await pull_all(first, 4)
    waiting = asyncio.ensure_future(second.pull(100))
    await asyncio.sleep(0.1)
    first._pull.requested_at = float("inf")  # as long as it does not ask, it cannot know
    await two.unpin()
    await two.store([4])
    taken = list(await asyncio.wait_for(waiting, 5))
    assert (numbers(taken), second.term) == ([4], 1)
    first._pull.requested_at = float("-inf")
    more = asyncio.ensure_future(first.pull(100))
    async with asyncio.timeout(5):
        while first._pin is None or first._pin.id is not None:
            await asyncio.sleep(0.05)
    settle(held[:2], Settlement.NAK)
    settle(held[2:], Settlement.ACK)
    await asyncio.sleep(0.3)
    assert await second.outstanding() == [held[0].sequence, held[1].sequence, taken[0].sequence]
    assert (await two.info())["num_redelivered"] == 0, "a nak was said"
    assert not more.done()
    await first.close()
    await more


async def test_pin_that_comes_back_is_another_term(rig: LaneRig) -> None:
    one = await rig.worker()
    lane = one.lane()
    await one.store([0])
    [old] = await pull(lane)
    waiting = asyncio.ensure_future(lane.pull(100))
    await asyncio.sleep(0.1)
    await one.unpin()
    await one.store([1])
    [new] = list(await asyncio.wait_for(waiting, 5))
    assert (old.term, new.term, lane.term) == (1, 2, 2)
    assert numbers([new]) == [1]


async def test_worker_that_stands_still_loses_its_lane(rig: LaneRig) -> None:
    one, two = await rig.worker(), await rig.worker()
    first, second = one.lane(), two.lane()
    await two.store([0])
    [held] = await pull(first)
    assert one.hub._upkeep is not None
    one.hub._upkeep.cancel()  # as far as the server can tell, the process is stopped
    waiting = asyncio.ensure_future(second.pull(100))
    await asyncio.sleep(TTL_SECONDS + 0.2)
    await two.store([1, 2])
    taken = list(await asyncio.wait_for(waiting, 5))
    while len(taken) < 2:
        taken += await pull(second)
    assert numbers(taken) == [1, 2]
    # It wakes up and goes on as if nothing had happened.
    one.hub._upkeep = asyncio.create_task(one.hub._look_after())
    more = asyncio.ensure_future(first.pull(100))
    async with asyncio.timeout(5):
        while first._pin is None or first._pin.id is not None:
            await asyncio.sleep(0.05)
    await two.store([3])
    assert numbers(await pull(second)) == [3]
    assert not more.done()
    held.settle(Settlement.ACK)
    await first.close()
    await more


async def test_server_restart_under_both_workers(
    tmp_path: Path, fresh_env: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hasten(monkeypatch)
    server = KillableServer(tmp_path / "nats")
    endpoint = await server.start()
    try:
        limits = StreamLimits(ack_wait_seconds=3)
        async with a_lane(endpoint, fresh_env, limits=limits, pin_ttl_seconds=TTL_SECONDS) as rig:
            one, two = await rig.worker(), await rig.worker()
            lanes = [one.lane(), two.lane()]
            await two.store(range(4))
            held = await pull_all(lanes[0], 4)
            settle(held[:1])
            await asyncio.sleep(0.3)  # the server writes its acknowledgements ten times a second
            waiting = [asyncio.ensure_future(lane.pull(100)) for lane in lanes]
            await server.restart()
            async with asyncio.timeout(10):
                while not (one.bus.is_connected and two.bus.is_connected):
                    await asyncio.sleep(0.02)
            await two.store([4])
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED, timeout=10)
            [begun] = done
            place = waiting.index(begun)
            lane = lanes[place]
            taken = list(begun.result())
            while len(taken) < 4:
                taken += await pull(lane)
            assert sorted(numbers(taken)) == [1, 2, 3, 4]
            assert not waiting[1 - place].done()
            assert lane.term == (2 if place == 0 else 1)
            settle(taken)
            assert await lane.outstanding() == []
            await lanes[1 - place].close()
            await waiting[1 - place]
    finally:
        await server.kill()


async def test_short_break_of_the_connection_keeps_the_term(rig: LaneRig) -> None:
    one, two = await rig.worker(), await rig.worker()
    first, second = one.lane(), two.lane()
    await two.store([0])
    held = await pull(first)
    idle = asyncio.ensure_future(second.pull(100))
    waiting = asyncio.ensure_future(first.pull(100))
    await asyncio.sleep(0.1)
    transport = one.bus.client._transport
    assert transport is not None
    transport.close()  # type: ignore[no-untyped-call]
    await asyncio.sleep(0.2)
    await two.store([1])
    assert numbers(list(await asyncio.wait_for(waiting, 5))) == [1]
    assert first.term == 1
    assert not idle.done()
    settle(held)
    await second.close()
    await idle


async def test_shared_lane_serves_both_workers(nats_server: Endpoint, fresh_env: str) -> None:
    async with a_lane(nats_server, fresh_env, is_exclusive=False) as rig:
        one, two = await rig.worker(), await rig.worker()
        lanes = [one.lane(), two.lane()]
        waiting = [asyncio.ensure_future(lane.pull(1)) for lane in lanes]
        await asyncio.sleep(0.1)
        await one.store(range(2))
        taken = [list(await asyncio.wait_for(pulled, 5)) for pulled in waiting]
        assert sorted(number for batch in taken for number in numbers(batch)) == [0, 1]
        assert all(len(batch) == 1 for batch in taken)
        assert [lane.term for lane in lanes] == [0, 0]
        settle(taken[0], Settlement.NAK)
        [again] = await pull(lanes[0], 1)
        assert again.num_delivered == 2


async def test_what_is_no_continuation_is_parked(rig: LaneRig) -> None:
    one = await rig.worker()
    subject = f"greentic.work.{rig.env}.{TENANT}.lane.{LANE}"
    await one.bus.request(subject, b"{", timeout_seconds=5)
    await one.store([1])
    lane = one.lane()
    assert numbers(await pull_all(lane, 1)) == [1]
    answer = await one.bus.request(
        f"$JS.API.STREAM.INFO.{names.dead_stream(rig.env)}", b"", timeout_seconds=5
    )
    assert b'"messages":1' in answer.data


async def test_outstanding_is_read_in_pages_and_leaves_out_what_nobody_was_handed(
    rig: LaneRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    from app.bus import lane_deliveries

    monkeypatch.setattr(lane_deliveries, "PAGE_MESSAGES_MAX", 3)
    one, two = await rig.worker(), await rig.worker()
    first, second = one.lane(), two.lane()
    assert await second.outstanding() == []
    await two.store(range(10))
    held = await pull(first, 10)
    while len(held) < 10:
        held += await pull(first, 10 - len(held))
    await two.bus.request(f"greentic.work.{rig.env}.{TENANT}.run.other", b"{}", timeout_seconds=5)
    settle(held[3:5])
    await asyncio.sleep(0.2)
    left = [one.sequence for one in [*held[:3], *held[5:]]]
    assert list(await second.outstanding()) == left
    monkeypatch.setattr(lane_deliveries, "OUTSTANDING_MAX", 5)
    assert list(await second.outstanding()) == left[:5]

"""Heartbeats on a virtual clock: when they are written, and what the process may believe."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from actors.errors import UnavailableError
from actors.testing.clock import VirtualClock
from app.fleet.heartbeat import AGAIN_SECONDS, TOGETHER_SECONDS, Heartbeat
from app.fleet.report import BEAT_SECONDS, TTL_SECONDS, read_report
from tests.support.fleets import identity, twin_bucket
from tests.support.kv_twin import TwinServer

KEY = "WORKER.one"


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def server(clock: VirtualClock) -> TwinServer:
    return TwinServer(clock)


@pytest.fixture
async def heartbeat(server: TwinServer, clock: VirtualClock) -> AsyncIterator[Heartbeat]:
    heartbeat = Heartbeat(twin_bucket(server), clock, identity("one"))
    yield heartbeat
    await heartbeat.forget()


async def stored(server: TwinServer) -> bytes | None:
    return (await twin_bucket(server).get_surely(KEY)).value


def times(server: TwinServer) -> list[float]:
    return [at for at, _ in server.writes]


async def test_it_beats_every_two_seconds(
    heartbeat: Heartbeat, server: TwinServer, clock: VirtualClock
) -> None:
    assert not heartbeat.is_alive()
    await heartbeat.start()
    assert heartbeat.is_alive()
    await clock.advance(3 * TTL_SECONDS)
    assert times(server) == [BEAT_SECONDS * n for n in range(16)]
    assert heartbeat.is_alive()
    value = await stored(server)
    assert value is not None
    assert read_report("one", value).beat == 16


async def test_acknowledgement_is_written_at_once(
    heartbeat: Heartbeat, server: TwinServer, clock: VirtualClock
) -> None:
    await heartbeat.start()
    await clock.advance(1)
    heartbeat.acknowledge(7, {"acme": "no secret"})
    await clock.settle()
    assert times(server) == [0, 1]
    said = read_report("one", await stored(server) or b"")
    assert (said.acknowledged, said.failed, said.failures) == (7, {"acme": "no secret"}, 1)
    await clock.advance(BEAT_SECONDS)
    assert times(server) == [0, 1, 3]


async def test_what_comes_fast_goes_out_together(
    heartbeat: Heartbeat, server: TwinServer, clock: VirtualClock
) -> None:
    await heartbeat.start()
    await clock.advance(1)
    for revision in range(1, 101):
        heartbeat.acknowledge(revision, {})
        await clock.advance(TOGETHER_SECONDS / 100)
    await clock.advance(TOGETHER_SECONDS)
    assert len(times(server)) == 3
    said = read_report("one", await stored(server) or b"")
    assert said.acknowledged == 100
    await clock.advance(TOGETHER_SECONDS)
    assert len(times(server)) == 3


async def test_it_never_takes_an_acknowledgement_back(
    heartbeat: Heartbeat, server: TwinServer, clock: VirtualClock
) -> None:
    await heartbeat.start()
    heartbeat.acknowledge(7, {})
    heartbeat.acknowledge(6, {"acme": "old"})
    await clock.advance(1)
    said = read_report("one", await stored(server) or b"")
    assert (said.acknowledged, dict(said.failed)) == (7, {})
    heartbeat.acknowledge(7, {"acme": "now"})
    await clock.advance(1)
    assert read_report("one", await stored(server) or b"").failed == {"acme": "now"}


async def test_hot_tenants_are_told_at_once_and_numbers_later(
    heartbeat: Heartbeat, server: TwinServer, clock: VirtualClock
) -> None:
    await heartbeat.start()
    await clock.advance(1)
    heartbeat.note(tenants=3)
    await clock.settle()
    assert times(server) == [0]
    heartbeat.note(tenants=4, hot=["b", "a"])
    await clock.settle()
    assert times(server) == [0, 1]
    said = read_report("one", await stored(server) or b"")
    assert (said.tenants, said.hot) == (4, ("a", "b"))


async def test_it_outlives_an_outage_and_knows_when_it_may_be_given_up(
    heartbeat: Heartbeat, server: TwinServer, clock: VirtualClock
) -> None:
    await heartbeat.start()
    server.is_away = True
    await clock.advance(TTL_SECONDS - 0.1)
    assert heartbeat.is_alive()
    await clock.advance(0.1)
    assert not heartbeat.is_alive()
    assert len(server.writes) == 1
    await clock.advance(5 * TTL_SECONDS)
    server.is_away = False
    await clock.advance(AGAIN_SECONDS)
    assert heartbeat.is_alive()
    assert await stored(server) is not None


async def test_frozen_process_wakes_up_as_not_alive(
    heartbeat: Heartbeat, server: TwinServer, clock: VirtualClock
) -> None:
    await heartbeat.start()
    server.is_away = True  # what it wrote on waking is not there yet
    await clock.jump(TTL_SECONDS)
    assert not heartbeat.is_alive()
    server.is_away = False
    await clock.advance(AGAIN_SECONDS)
    assert heartbeat.is_alive()


async def test_answer_that_was_long_on_its_way_counts_from_the_question(
    server: TwinServer, clock: VirtualClock
) -> None:
    gate = asyncio.Event()

    class Slow(TwinServer):
        async def request(self, *args: object, **named: object):  # type: ignore[no-untyped-def]
            answer = await server.request(*args, **named)  # type: ignore[arg-type]
            await gate.wait()
            return answer

    heartbeat = Heartbeat(twin_bucket(Slow(clock)), clock, identity("one"))
    starting = asyncio.create_task(heartbeat.start())
    await clock.settle()
    await clock.jump(TTL_SECONDS)  # frozen between the question and reading its answer
    gate.set()
    await starting
    assert not heartbeat.is_alive()
    await clock.advance(BEAT_SECONDS)
    assert heartbeat.is_alive()
    await heartbeat.forget()


async def test_hurry_beats_before_its_time(
    heartbeat: Heartbeat, server: TwinServer, clock: VirtualClock
) -> None:
    await heartbeat.start()
    await clock.advance(0.5)
    heartbeat.hurry()
    await clock.settle()
    assert times(server) == [0, 0.5]


async def test_forgotten_process_is_gone_and_writes_no_more(
    heartbeat: Heartbeat, server: TwinServer, clock: VirtualClock
) -> None:
    await heartbeat.start()
    await heartbeat.forget()
    assert await stored(server) is None
    assert not heartbeat.is_alive()
    written = len(server.writes)
    await clock.advance(TTL_SECONDS)
    assert len(server.writes) == written
    assert await twin_bucket(server).written_keys("WORKER") == []


async def test_start_tells_that_nobody_is_there(heartbeat: Heartbeat, server: TwinServer) -> None:
    server.is_away = True
    with pytest.raises(UnavailableError):
        await heartbeat.start()
    await heartbeat.forget()
    assert not heartbeat.is_alive()

"""What a fleet rests on, of the server in memory and of a real one alike."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import pytest

from actors.ports import Clock
from actors.testing.clock import VirtualClock
from app.bus.admin import JetStreamAdmin
from app.bus.wire import Received
from app.control.names import leases_bucket
from app.control.streams import bucket_spec
from app.fleet.fleet import Fleet, Hearing
from app.fleet.heartbeat import Heartbeat
from app.stores.kv import KvBucket
from app.system import SystemClock
from tests.support.bus import connected
from tests.support.fleets import identity, report
from tests.support.kv_twin import TwinServer


@dataclass
class Rig:
    """A bucket, and how time goes by there."""

    bucket: KvBucket
    hearing: Hearing
    clock: Clock
    wait: Callable[[float], Awaitable[None]]


@pytest.fixture(params=["twin", "nats"])
async def rig(request: pytest.FixtureRequest) -> AsyncIterator[Rig]:
    if request.param == "twin":
        clock = VirtualClock()
        server = TwinServer(clock)
        yield Rig(KvBucket(server, "leases-test"), server, clock, clock.advance)
        return
    endpoint = request.getfixturevalue("nats_server")
    name = leases_bucket(request.getfixturevalue("fresh_env"))
    async with connected(endpoint) as bus:
        await JetStreamAdmin(bus).ensure_stream(bucket_spec(name))
        yield Rig(KvBucket(bus, name), bus, SystemClock(), asyncio.sleep)


async def test_expired_key_is_as_if_it_had_never_been(rig: Rig) -> None:
    await rig.bucket.put("WORKER.one", b"1", ttl_seconds=1)
    assert await rig.bucket.written_keys("WORKER") == ["WORKER.one"]
    assert (await rig.bucket.get_surely("WORKER.one")).value == b"1"
    await rig.wait(1.5)
    assert await rig.bucket.written_keys("WORKER") == []
    assert (await rig.bucket.get_surely("WORKER.one")).value is None


async def test_each_write_restarts_the_life_of_its_key(rig: Rig) -> None:
    for value in (b"1", b"2", b"3"):
        await rig.bucket.put("WORKER.one", value, ttl_seconds=1)
        await rig.wait(0.6)
    assert (await rig.bucket.get_surely("WORKER.one")).value == b"3"


async def test_deleted_key_is_listed_while_it_is_remembered_and_has_no_value(rig: Rig) -> None:
    await rig.bucket.put("WORKER.one", b"1", ttl_seconds=10)
    await rig.bucket.delete("WORKER.one", remembered="1s")
    assert await rig.bucket.written_keys("WORKER") == ["WORKER.one"]
    assert (await rig.bucket.get_surely("WORKER.one")).value is None
    await rig.wait(1.5)
    assert await rig.bucket.written_keys("WORKER") == []


async def test_writes_and_deletions_are_heard_as_what_they_are(rig: Rig) -> None:
    heard: list[tuple[str, bytes, bool]] = []

    def hear(message: Received) -> None:
        is_end = "KV-Operation" in (message.headers or {})
        heard.append((message.subject.rpartition(".WORKER.")[2], message.data, is_end))

    await rig.hearing.subscribe(rig.bucket.pattern_of("WORKER"), hear)
    await rig.bucket.put("WORKER.one", b"1", ttl_seconds=10)
    await rig.bucket.put("acme.one", b"2", ttl_seconds=10)
    await rig.bucket.delete("WORKER.one")
    await rig.wait(0.2)
    assert heard == [("one", b"1", False), ("one", b"", True)]


async def test_fleet_sees_a_process_from_its_first_beat_to_its_end(rig: Rig) -> None:
    fleet = Fleet(rig.bucket, rig.clock)
    heartbeat = Heartbeat(rig.bucket, rig.clock, identity("one"))
    await fleet.start(rig.hearing)
    try:
        await heartbeat.start()
        await rig.wait(0.1)
        assert [one.id for one in fleet.live()] == ["one"]
        heartbeat.acknowledge(3, {})
        await rig.wait(0.2)
        assert fleet.live()[0].acknowledged == 3
    finally:
        await heartbeat.forget()
    await rig.wait(0.1)
    assert fleet.live() == ()
    await fleet.stop()


async def test_fleet_finds_by_looking_what_it_did_not_hear(rig: Rig) -> None:
    data = report("one").as_bytes()
    await rig.bucket.put("WORKER.one", data, ttl_seconds=1)
    fleet = Fleet(rig.bucket, rig.clock)
    await fleet.refresh()
    assert [one.id for one in fleet.live()] == ["one"]

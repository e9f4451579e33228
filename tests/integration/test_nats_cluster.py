"""On three real servers: control, publishing, journals, pulls and leases through elections."""

import asyncio
import contextlib
import json
import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest

from actors.events import Event
from actors.outcomes import Settlement
from actors.ports import Envelope, JournalEntry
from actors.subjects import build_event_subject
from actors.testing.observer import RecordingObserver
from app.bus.acked_publisher import PATIENT_SECONDS, AckedPublisher
from app.bus.admin import JetStreamAdmin
from app.bus.connection import Bus, BusSettings
from app.bus.direct import DirectReader
from app.bus.journal import JetStreamJournal
from app.bus.observations import BusConnected
from app.bus.publisher import JetStreamEventPublisher
from app.bus.pulls import SILENCE_SECONDS_MAX
from app.control import names, streams
from app.control.control import Control, TenantSubscriptions
from app.control.lease import hold_lease
from app.control.limits import StreamLimits
from app.errors import BusError
from app.identity.scopes import PUBLISH
from app.stores.api_keys import KvApiKeys
from app.stores.kv import KvBucket, KvEntry
from app.system import SystemClock
from tests.support.bus import connected
from tests.support.bus_rig import TENANT, a_rig
from tests.support.cluster import (
    PREFIX,
    ROUTES,
    NatsCluster,
    a_nats_cluster,
    cut_off,
    ip,
    sweep,
    why_not,
)

pytestmark = pytest.mark.xdist_group("nats-cluster")
LIMITS = StreamLimits(replicas=3)
ELECTION_SECONDS = 25.0


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsCluster]:
    with a_nats_cluster(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


@pytest.fixture
async def bus(cluster: NatsCluster) -> AsyncIterator[Bus]:
    async with connected(cluster.endpoint) as bus:
        yield bus


@contextlib.asynccontextmanager
async def a_bus_on_each(cluster: NatsCluster) -> AsyncIterator[list[Bus]]:
    """Give a connection to each of the nodes."""
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(connected(cluster.endpoint_of(name)))
            for name in cluster.nodes
        ]


@contextlib.asynccontextmanager
async def a_journal_on(bus: Bus, env: str) -> AsyncIterator[JetStreamJournal]:
    stream = names.journal_stream(env, 0)
    publisher = await AckedPublisher.start(bus, deadline_seconds=PATIENT_SECONDS)
    reader = await DirectReader.start(bus)
    yield JetStreamJournal(publisher, reader, env=env, stream_of=lambda _: stream)
    await reader.close()
    publisher.close()


def acme(**patterns: str) -> TenantSubscriptions:
    return TenantSubscriptions(TENANT, patterns)


def an_event(number: int) -> Event:
    return Event(f"e{number}", "order.created", "webhook", 1, {"n": number})


# ── Control ──────────────────────────────────────────────────────────────────────────────────


async def test_everything_is_kept_on_three_servers_and_made_once(bus: Bus, fresh_env: str) -> None:
    admin, control = JetStreamAdmin(bus), Control(bus, fresh_env, limits=LIMITS)
    first = await control.ensure([acme(a="order.created")])
    made = sorted(await admin.stream_names(">"))
    assert any(name.startswith("KV_") for name in made)
    assert any(name.startswith("OBJ_") for name in made)
    before = [await admin.stream_info(name) for name in made]
    assert {info.config["num_replicas"] for info in before if info} == {3}
    again = await control.ensure([acme(a="order.created")])
    assert again == first, "a trigger keeps its activation"
    after = [await admin.stream_info(name) for name in made]
    assert [info.config for info in after if info] == [info.config for info in before if info]
    consumer = await admin.consumer_info(names.events_stream(fresh_env, TENANT), "flows")
    assert consumer is not None
    assert not consumer.config.get("num_replicas"), "it goes with its stream"


async def test_env_moves_from_one_server_to_three_with_what_it_has(
    bus: Bus, fresh_env: str
) -> None:
    admin = JetStreamAdmin(bus)
    await Control(bus, fresh_env).ensure([acme(a="order.created")])
    subject = build_event_subject(fresh_env, TENANT, "order.created")
    answer = await bus.request(subject, b"{}", timeout_seconds=5)
    assert json.loads(answer.data)["seq"] == 1
    stream = names.events_stream(fresh_env, TENANT)
    info = await admin.stream_info(stream)
    assert info is not None
    assert info.config["num_replicas"] == 1, "new ones are on one unless told otherwise"
    await Control(bus, fresh_env, limits=LIMITS).ensure([acme(a="order.created")])
    await Control(bus, fresh_env).ensure([acme(a="order.created")])
    info = await admin.stream_info(stream)
    assert info is not None
    assert info.config["num_replicas"] == 3, "without a word they stay as they are"
    assert info.messages == 1


async def test_more_replicas_than_servers_are_refused_with_the_setting(
    bus: Bus, fresh_env: str
) -> None:
    control = Control(bus, fresh_env, limits=StreamLimits(replicas=5))
    with pytest.raises(BusError, match=r"on 5 servers \(nats\.replicas\)"):
        await control.ensure([acme(a="order.created")])


async def test_lease_has_one_holder_whichever_server_one_asks(
    cluster: NatsCluster, fresh_env: str
) -> None:
    inside, most = 0, 0
    bucket = names.leases_bucket(fresh_env)

    async def hold(bus: Bus, holder: str) -> None:
        nonlocal inside, most
        async with hold_lease(KvBucket(bus, bucket), "control", holder) as lease:
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0.02)
            lease.check()
            inside -= 1

    async with a_bus_on_each(cluster) as buses:
        spec = streams.bucket_spec(bucket)
        await JetStreamAdmin(buses[0]).ensure_stream(spec)
        await asyncio.gather(*(hold(bus, f"{number}") for number, bus in enumerate(buses * 4)))
    assert most == 1


async def test_value_is_read_as_it_was_just_written_whoever_reads(
    cluster: NatsCluster, fresh_env: str
) -> None:
    bucket = names.state_bucket(fresh_env)
    async with a_bus_on_each(cluster) as buses:
        spec = replace(streams.bucket_spec(bucket), replicas=3)
        await JetStreamAdmin(buses[0]).ensure_stream(spec)
        buckets = [KvBucket(bus, bucket) for bus in buses]
        for number in range(300):
            revision = await buckets[number % 3].put("a", b"%d" % number)
            for one in buckets:
                assert await one.get("a") == KvEntry(b"%d" % number, revision)


async def test_keys_that_were_just_made_or_revoked_are_known_everywhere(
    cluster: NatsCluster, fresh_env: str
) -> None:
    bucket, clock = names.api_keys_bucket(fresh_env), SystemClock()
    async with a_bus_on_each(cluster) as buses:
        spec = replace(streams.bucket_spec(bucket), replicas=3)
        await JetStreamAdmin(buses[0]).ensure_stream(spec)
        places = [KvApiKeys(KvBucket(bus, bucket), clock) for bus in buses]
        for _ in range(50):
            key, _text = await places[0].add(TENANT, "sender", [PUBLISH])
            assert [len(await place.list(TENANT)) for place in places] == [1, 1, 1]
            await places[0].revoke(TENANT, key.prefix)
            assert [len(await place.list(TENANT)) for place in places] == [0, 0, 0]


# ── Publishing and journals ──────────────────────────────────────────────────────────────────


async def test_delivery_sent_through_every_server_at_once_is_one_event(
    cluster: NatsCluster, fresh_env: str
) -> None:
    async with a_bus_on_each(cluster) as buses, a_rig(cluster.endpoint, fresh_env) as rig:
        await JetStreamAdmin(rig.bus).ensure_stream(streams.events_spec(fresh_env, TENANT, LIMITS))
        acked = [await AckedPublisher.start(bus) for bus in buses]
        publishers = [JetStreamEventPublisher(one, env=fresh_env) for one in acked]
        for number in range(100):
            sent = [
                publisher.publish(Envelope(TENANT, an_event(3 * number + which), f"m{number}"))
                for which, publisher in enumerate(publishers)
            ]
            acks = await asyncio.gather(*sent)
            assert len({(ack.event_id, ack.sequence) for ack in acks}) == 1
            assert sorted(ack.is_duplicate for ack in acks) == [False, True, True]
        for one in acked:
            one.close()
        stream = names.events_stream(fresh_env, TENANT)
        info = await JetStreamAdmin(buses[0]).stream_info(stream)
        assert info is not None
        assert info.messages == 100


async def test_journal_is_read_whole_right_after_it_was_written_elsewhere(
    cluster: NatsCluster, fresh_env: str
) -> None:
    async with a_bus_on_each(cluster) as buses, AsyncExitStack() as stack:
        await Control(buses[0], fresh_env, limits=LIMITS).ensure([acme(a="order.created")])
        journals = [await stack.enter_async_context(a_journal_on(bus, fresh_env)) for bus in buses]
        for number in range(200):
            writer, reader = journals[number % 3], journals[(number + 1) % 3]
            assert await reader.read(TENANT, f"r{number}") == []
            for step in "ab":
                entry = JournalEntry(f"{step}:1", number)
                assert await writer.write(TENANT, f"r{number}", entry, ttl_seconds=600)
            found = await reader.read(TENANT, f"r{number}")
            assert [entry.step for entry in found] == ["a:1", "b:1"]
            assert not await reader.write(TENANT, f"r{number}", found[0], ttl_seconds=600)


# ── Elections ────────────────────────────────────────────────────────────────────────────────


async def test_killed_leaders_cost_an_election_and_nothing_else(
    cluster: NatsCluster, bus: Bus, fresh_env: str
) -> None:
    # Before the rig: a stream that is on its way from one server to three bears no loss yet.
    await Control(bus, fresh_env, limits=LIMITS).ensure([acme(a=">")])
    await cluster.wait_healthy()
    async with a_rig(cluster.endpoint, fresh_env, deadline_seconds=30) as rig:
        deliveries = rig.deliveries()
        waiting = asyncio.ensure_future(deliveries.pull(10))
        await asyncio.sleep(0.5)  # the leaders hold the requests that die with them
        victims = {
            await cluster.leader_of(rig.events_stream),
            await cluster.leader_of(rig.events_stream, names.FLOWS_DURABLE),
        }
        victim = min(name for name in victims if name)
        began = time.monotonic()
        cluster.kill(victim)
        ack = await rig.publisher.publish(Envelope(TENANT, an_event(1), "m1"))
        stored_seconds = time.monotonic() - began
        async with asyncio.timeout(ELECTION_SECONDS):
            [delivery] = await waiting
        delivered_seconds = time.monotonic() - began
        cluster.spawn(victim)
        assert (delivery.event.id, ack.event_id) == ("e1", "e1")
        assert stored_seconds < PATIENT_SECONDS
        assert delivered_seconds < SILENCE_SECONDS_MAX, "the new leader is asked, not waited for"
        delivery.settle(Settlement.ACK)
        await rig.wait_settled(rig.events_stream, names.FLOWS_DURABLE)
        await deliveries.close()
    await cluster.wait_healthy()


async def test_deployment_is_applied_through_the_death_of_leaders(
    cluster: NatsCluster, bus: Bus, fresh_env: str
) -> None:
    control = Control(bus, fresh_env, limits=LIMITS)
    await control.ensure([acme(a="order.created")])
    await cluster.wait_healthy()
    tenants = [TenantSubscriptions(f"t{number}", {"a": ">"}) for number in range(6)]
    victim = await cluster.leader_of(names.bucket_stream(names.leases_bucket(fresh_env)))
    assert victim is not None
    applying = asyncio.ensure_future(control.ensure([acme(a="order.created"), *tenants]))
    await asyncio.sleep(0.1)
    cluster.kill(victim)
    try:
        await applying
    finally:
        cluster.spawn(victim)
    await cluster.wait_healthy(60)
    admin = JetStreamAdmin(bus)
    for tenant in (TENANT, *(item.tenant for item in tenants)):
        stream = names.events_stream(fresh_env, tenant)
        assert await admin.consumer_info(stream, names.FLOWS_DURABLE) is not None


async def test_server_without_a_quorum_is_left_for_another(
    cluster: NatsCluster, fresh_env: str
) -> None:
    observer = RecordingObserver()
    endpoint = cluster.endpoint
    settings = BusSettings(endpoint.url, endpoint.user, endpoint.password)
    bus = await Bus.connect(settings, observer, deadline_seconds=10)
    try:
        await Control(bus, fresh_env, limits=LIMITS).ensure([acme(a=">")])
        acked = await AckedPublisher.start(bus, deadline_seconds=40)
        publisher = JetStreamEventPublisher(acked, env=fresh_env)
        await publisher.publish(Envelope(TENANT, an_event(1), "m1"))
        url = bus.client.connected_url
        assert url is not None
        mine = cluster.server_of(url.netloc)
        assert mine is not None
        async with cut_off(cluster, mine, ROUTES):
            began = time.monotonic()
            ack = await publisher.publish(Envelope(TENANT, an_event(2), "m2"))
            seconds = time.monotonic() - began
            assert ack.sequence == 2
            assert seconds < ELECTION_SECONDS
            assert len(observer.of(BusConnected)) == 2, "it went to another server"
            url = bus.client.connected_url
            assert url is not None
            assert cluster.server_of(url.netloc) != mine
        acked.close()
    finally:
        await bus.drain_and_close(2)
    await cluster.wait_healthy(60)


@pytest.mark.skipif(why_not() is not None, reason=str(why_not()))
def test_what_killed_tests_left_behind_is_swept_and_others_are_spared() -> None:
    gone, ours = f"{PREFIX}-4194305-1-n1", f"{PREFIX}-{os.getpid()}-999-n1"
    try:
        for namespace in (gone, ours):
            ip("netns", "add", namespace)
        sweep()
        assert gone not in ip("netns", "list")
        assert ours in ip("netns", "list")
    finally:
        ip("netns", "delete", ours)

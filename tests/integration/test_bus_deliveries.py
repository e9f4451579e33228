"""Deliveries from a real server: redelivery, back-pressure, parking, schedules, duplicates."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from actors.errors import InvalidEventError
from actors.events import Event
from actors.observations import DeliveryParked
from actors.outcomes import Settlement
from actors.ports import Continuation, Envelope
from actors.subjects import work_lane_subject
from app.bus.continuations import JetStreamContinuations
from app.bus.deliveries import BusDelivery, TenantDeliveries
from app.bus.delivery import read_lane_delivery
from app.bus.observations import ConsumerUnreachable
from app.bus.pulls import ConsumerName, PulledMessage
from app.bus.results import JetStreamResults
from app.bus.server_folder import Endpoint
from app.bus.wire import build_headers
from app.control import names
from app.control.limits import StreamLimits
from app.system import SystemClock
from tests.contracts.test_bus_sinks import a_result
from tests.support.bus_rig import PATIENCE_SECONDS, TENANT, BusRig, a_rig

EVENT = Event("e1", "order.created", "webhook", 5, {"total": 1})


@pytest.fixture
async def rig(nats_server: Endpoint, fresh_env: str) -> AsyncIterator[BusRig]:
    async with a_rig(nats_server, fresh_env, limits=StreamLimits(ack_wait_seconds=1)) as rig:
        yield rig


async def store(rig: BusRig, count: int, first: int = 0) -> None:
    futures = [
        rig.publisher.publish(Envelope(TENANT, replace(EVENT, id=f"e{number}"), f"m{number}"))
        for number in range(first, first + count)
    ]
    for future in futures:
        await future


async def pull(deliveries: TenantDeliveries, messages_max: int = 8) -> list[BusDelivery]:
    async with asyncio.timeout(PATIENCE_SECONDS):
        return list(await deliveries.pull(messages_max))


async def test_unsettled_delivery_comes_back_after_its_ack_wait(rig: BusRig) -> None:
    await store(rig, 1)
    deliveries = rig.deliveries()
    [first] = await pull(deliveries)
    [again] = await pull(deliveries)
    assert (again.event, again.num_delivered) == (first.event, 2)
    first.settle(Settlement.ACK)
    await rig.wait_settled(rig.events_stream, names.FLOWS_DURABLE)


async def test_kept_alive_delivery_does_not_come_back(rig: BusRig) -> None:
    await store(rig, 1)
    deliveries = rig.deliveries()
    [delivery] = await pull(deliveries)
    waiting = asyncio.ensure_future(deliveries.pull(8))
    for _ in range(10):
        await asyncio.sleep(0.2)
        delivery.keep_alive()
    assert not waiting.done()
    delivery.settle(Settlement.ACK)
    await store(rig, 1, first=1)
    [other] = await waiting
    assert other.event.id == "e1"
    other.settle(Settlement.ACK)


async def test_server_hands_out_no_more_than_was_asked(rig: BusRig) -> None:
    await store(rig, 100)
    deliveries = rig.deliveries()
    await asyncio.sleep(0.1)
    assert await rig.ack_pending() == 0, "nobody has pulled yet"
    first = await pull(deliveries, 10)
    await asyncio.sleep(0.1)
    assert len(first) + deliveries.buffered == await rig.ack_pending() <= 10


async def test_it_knows_what_waits_behind_what_it_got(rig: BusRig) -> None:
    await store(rig, 100)
    deliveries = rig.deliveries()
    assert deliveries.waiting == 0
    first = await pull(deliveries, 10)
    await asyncio.sleep(0.1)
    assert deliveries.waiting == 100 - len(first) - deliveries.buffered
    for delivery in first:
        delivery.settle(Settlement.ACK)
    taken = len(first)
    while taken < 100:
        for delivery in await pull(deliveries, 10):
            delivery.settle(Settlement.ACK)
            taken += 1
    waiting = asyncio.ensure_future(deliveries.pull(10))
    await asyncio.sleep(0.1)
    assert deliveries.waiting == 0
    await deliveries.close()
    await waiting


async def test_closed_deliveries_come_to_another_worker_at_once(
    nats_server: Endpoint, fresh_env: str
) -> None:
    async with a_rig(nats_server, fresh_env) as rig:  # with the usual ack wait of 30 s
        await store(rig, 10)
        first = rig.deliveries()
        taken: list[BusDelivery] = []
        while len(taken) < 10:
            taken += await pull(first, 10)
        for delivery in taken:
            delivery.settle(Settlement.ACK)
        waiting = asyncio.ensure_future(first.pull(10))
        await asyncio.sleep(0.1)
        await first.close()
        assert list(await waiting) == []
        async with a_rig(nats_server, fresh_env) as other:
            await store(rig, 5, first=10)
            second = other.deliveries()
            seen: list[str] = []
            while len(seen) < 5:
                for delivery in await pull(second):
                    seen.append(delivery.event.id)
                    assert delivery.num_delivered == 1, "the closed one's requests are withdrawn"
                    delivery.settle(Settlement.ACK)
            await other.wait_settled(rig.events_stream, names.FLOWS_DURABLE)


async def test_stranger_who_publishes_nonsense_reaches_only_the_dead_letters(rig: BusRig) -> None:
    prefix = f"greentic.events.{rig.env}.{TENANT}."
    for subject, data in ((prefix + "a", b"{"), (prefix + "a.b", b'{"id":1}')):
        await rig.acked.publish(subject, data, build_headers([("Nats-Msg-Id", subject)]))
    await store(rig, 1)
    deliveries = rig.deliveries()
    [delivery] = await pull(deliveries)
    delivery.settle(Settlement.ACK)
    await rig.wait_settled(rig.events_stream, names.FLOWS_DURABLE)
    letters = [document for _, _, document in await rig.stored(names.dead_stream(rig.env))]
    assert [letter["subject"] for letter in letters] == [prefix + "a", prefix + "a.b"]
    assert {letter["reason"] for letter in letters} == {"no_event"}
    assert len(rig.observer.of(DeliveryParked)) == 2


async def test_results_never_reach_a_pull(rig: BusRig) -> None:
    results = JetStreamResults(rig.acked, env=rig.env)
    await results.publish_all([a_result(f"r{number}") for number in range(100)])
    await store(rig, 1)
    deliveries = rig.deliveries()
    [delivery] = await pull(deliveries)
    assert delivery.event.id == "e0"
    delivery.settle(Settlement.ACK)
    await rig.wait_settled(rig.events_stream, names.FLOWS_DURABLE)


async def test_later_continuation_comes_when_it_is_due(rig: BusRig) -> None:
    clock = SystemClock()
    continuations = JetStreamContinuations(rig.acked, env=rig.env, clock=clock)
    due_ms = clock.now_ms() + 700
    later = Continuation("r1", "orders", EVENT, attempt=2, due_ms=due_ms)
    await continuations.schedule(TENANT, later)
    [delivery] = await pull(rig.deliveries())
    assert clock.now_ms() >= due_ms
    assert delivery.continuation == later
    delivery.settle(Settlement.ACK)
    await rig.wait_settled(rig.work_stream, names.work_durable(TENANT))
    assert await rig.stored(rig.work_stream) == []


async def test_later_schedule_of_a_run_takes_the_earlier_ones_place(rig: BusRig) -> None:
    clock = SystemClock()
    continuations = JetStreamContinuations(rig.acked, env=rig.env, clock=clock)
    first = Continuation("r1", "orders", EVENT, due_ms=clock.now_ms() + 60_000)
    await continuations.schedule(TENANT, first, lane="orders")
    moved = replace(first, round=1, due_ms=clock.now_ms() + 300)
    await continuations.schedule(TENANT, moved)
    assert len(await rig.stored(rig.work_stream)) == 1
    [delivery] = await pull(rig.deliveries())
    assert delivery.continuation == moved
    delivery.settle(Settlement.ACK)
    await rig.wait_settled(rig.work_stream, names.work_durable(TENANT))
    assert await rig.stored(rig.work_stream) == []


async def test_continuation_of_a_lane_comes_due_on_its_subject(rig: BusRig) -> None:
    clock = SystemClock()
    continuations = JetStreamContinuations(rig.acked, env=rig.env, clock=clock)
    subject = work_lane_subject(rig.env, TENANT, "auth.login")
    info = {"durable_name": "lane", "ack_policy": "explicit", "filter_subject": subject}
    await rig.bus.request(
        f"$JS.API.CONSUMER.DURABLE.CREATE.{rig.work_stream}.lane",
        json.dumps({"stream_name": rig.work_stream, "config": info}).encode(),
        timeout_seconds=5,
    )
    messages: asyncio.Queue[PulledMessage] = asyncio.Queue()
    consumer = ConsumerName(rig.work_stream, "lane")
    pulling = rig.hub.open(consumer, on_message=messages.put_nowait, on_change=lambda: None)
    pulling.request(2)
    now = Continuation("r1", "auth/login", EVENT, reply_to="greentic.reply.i1.e1")
    later = replace(now, run_id="r2", due_ms=clock.now_ms() + 300)
    await continuations.schedule(TENANT, later, lane="auth.login")
    await continuations.schedule(TENANT, now, lane="auth.login")
    for expected in (now, later):
        async with asyncio.timeout(PATIENCE_SECONDS):
            message = await messages.get()
        with pytest.raises(InvalidEventError, match="lane"):
            read_lane_delivery(message, rig.hub, subject=subject + "s")
        delivery = read_lane_delivery(message, rig.hub, subject=subject)
        assert delivery.continuation == expected
        assert delivery.reply_to == "greentic.reply.i1.e1"
        assert delivery.may_be_repeated
        delivery.settle(Settlement.ACK)


async def test_duplicate_of_a_strangers_event_names_its_id(rig: BusRig) -> None:
    data = b'{"id":"x1","event_type":"a","source":"s","timestamp":1,"payload":null}'
    subject = f"greentic.events.{rig.env}.{TENANT}.a"
    await rig.acked.publish(subject, data, build_headers([("Nats-Msg-Id", "m1")]))
    ack = await rig.publisher.publish(Envelope(TENANT, replace(EVENT, event_type="a"), "m1"))
    assert (ack.event_id, ack.is_duplicate) == ("x1", True)


async def test_duplicate_of_what_is_gone_keeps_its_own_id(rig: BusRig) -> None:
    await rig.publisher.publish(Envelope(TENANT, EVENT, "m1"))
    await rig.bus.request(f"$JS.API.STREAM.PURGE.{rig.events_stream}", b"", timeout_seconds=5)
    ack = await rig.publisher.publish(Envelope(TENANT, replace(EVENT, id="e9"), "m1"))
    assert (ack.event_id, ack.is_duplicate) == ("e9", True)


async def test_envelope_travels_whole(rig: BusRig) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    event = replace(EVENT, metadata={"traceparent": trace})
    reply_to = "greentic.reply.i1.e1"
    await rig.publisher.publish(Envelope(TENANT, event, "m1", reply_to=reply_to, hops=2))
    [(subject, headers, _)] = await rig.stored(rig.events_stream)
    assert subject == f"greentic.events.{rig.env}.{TENANT}.order.created"
    assert headers["Nats-Msg-Id"] == "m1"
    assert headers["Greentic-Event-Id"] == "e1"
    assert headers["Content-Type"] == "application/json"
    assert headers["traceparent"] == trace
    [delivery] = await pull(rig.deliveries())
    assert (delivery.reply_to, delivery.hops) == (reply_to, 2)
    delivery.settle(Settlement.ACK)


async def test_consumer_made_after_the_first_pull_is_found(rig: BusRig) -> None:
    late = replace(rig.consumers(), events=ConsumerName(rig.events_stream, "late"), work=None)
    deliveries = TenantDeliveries(
        rig.hub, late, dead_letters=rig.dead_letters, observer=rig.observer
    )
    waiting = asyncio.ensure_future(deliveries.pull(8))
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not rig.observer.of(ConsumerUnreachable):
            await asyncio.sleep(0.02)
        config = f'{{"stream_name":"{rig.events_stream}","config":{{"durable_name":"late","ack_policy":"explicit"}}}}'
        await rig.bus.request(
            f"$JS.API.CONSUMER.DURABLE.CREATE.{rig.events_stream}.late",
            config.encode(),
            timeout_seconds=5,
        )
        await store(rig, 1)
        [delivery] = await waiting
    delivery.settle(Settlement.ACK)

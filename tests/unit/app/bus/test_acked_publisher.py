"""Publishes are acknowledged, refused, repeated or given up: each exactly once."""

import asyncio
import json
from typing import Any

import pytest

from actors.errors import UnavailableError
from app.bus.acked_publisher import AckedPublisher, PubAck, PublishRefusedError
from app.bus.storing import wait_all
from app.bus.wire import build_headers
from tests.support.scripted_bus import ScriptedBus, Sent

HEADERS = build_headers([("Nats-Msg-Id", "m1")])


async def a_publisher(bus: ScriptedBus, **limits: Any) -> AckedPublisher:
    return await AckedPublisher.start(bus.as_bus(), **({"deadline_seconds": 30.0} | limits))


def acknowledge(bus: ScriptedBus, sent: Sent, **fields: Any) -> None:
    bus.tell(sent.reply, data=json.dumps({"stream": "S", "seq": 7} | fields).encode())


def refuse(bus: ScriptedBus, sent: Sent, code: int, err_code: int) -> None:
    error = {"code": code, "err_code": err_code, "description": "no"}
    bus.tell(sent.reply, data=json.dumps({"error": error}).encode())


async def test_acknowledgement_resolves_its_own_publish() -> None:
    bus = ScriptedBus()
    publisher = await a_publisher(bus)
    one, two = (publisher.publish("a.b", data, HEADERS) for data in (b"1", b"2"))
    assert [(sent.subject, sent.data) for sent in bus.sent] == [("a.b", b"1"), ("a.b", b"2")]
    acknowledge(bus, bus.sent[1], seq=2)
    assert await two == PubAck("S", 2, duplicate=False)
    assert not one.done()
    assert publisher.in_flight == 1
    acknowledge(bus, bus.sent[0], seq=1, duplicate=True)
    assert await one == PubAck("S", 1, duplicate=True)
    publisher.close()


async def test_late_second_acknowledgement_is_ignored() -> None:
    bus = ScriptedBus()
    publisher = await a_publisher(bus)
    future = publisher.publish("a", b"", HEADERS)
    acknowledge(bus, bus.sent[0])
    acknowledge(bus, bus.sent[0], seq=9)
    assert (await future).sequence == 7


async def test_abandoned_future_is_no_error() -> None:
    bus = ScriptedBus()
    publisher = await a_publisher(bus)
    publisher.publish("a", b"", HEADERS).cancel()
    acknowledge(bus, bus.sent[0])
    assert publisher.in_flight == 0


@pytest.mark.parametrize(
    ("code", "err_code"),
    [
        pytest.param(0, 0, id="nobody-has-the-stream"),
        pytest.param(409, 10158, id="the-id-is-being-stored"),
        pytest.param(503, 10008, id="jetstream-temporarily-unavailable"),
        pytest.param(503, 10023, id="insufficient-resources"),
        pytest.param(500, 10009, id="no-leader-here"),
        pytest.param(500, 10118, id="stream-offline"),
    ],
)
async def test_publish_is_repeated_while_the_stream_has_no_leader(code: int, err_code: int) -> None:
    bus = ScriptedBus()
    publisher = await a_publisher(bus)
    future = publisher.publish("a", b"x", HEADERS)
    if code == 0:
        bus.tell(bus.sent[0].reply, headers={"Status": "503"})
    else:
        refuse(bus, bus.sent[0], code, err_code)
    again = await bus.wait_sent(2)
    assert again == bus.sent[0]
    acknowledge(bus, again)
    assert await future == PubAck("S", 7, duplicate=False, sends=2)


async def test_full_stream_is_unavailable_at_once() -> None:
    bus = ScriptedBus()
    publisher = await a_publisher(bus)
    future = publisher.publish("a", b"", HEADERS)
    refuse(bus, bus.sent[0], 503, 10077)
    with pytest.raises(UnavailableError) as failed:
        await future
    assert failed.value.retry_after_seconds is not None
    publisher.close()


async def test_refusal_for_good_carries_the_servers_code() -> None:
    bus = ScriptedBus()
    publisher = await a_publisher(bus)
    future = publisher.publish("a", b"", HEADERS)
    refuse(bus, bus.sent[0], 400, 10071)
    with pytest.raises(PublishRefusedError) as refused:
        await future
    assert refused.value.server_code == 10071
    assert len(bus.sent) == 1


async def test_unreadable_acknowledgement_is_a_refusal() -> None:
    bus = ScriptedBus()
    publisher = await a_publisher(bus)
    future = publisher.publish("a", b"", HEADERS)
    bus.tell(bus.sent[0].reply, data=b"what")
    with pytest.raises(PublishRefusedError):
        await future


async def test_strange_empty_answer_is_waited_out() -> None:
    bus = ScriptedBus()
    publisher = await a_publisher(bus)
    future = publisher.publish("a", b"", HEADERS)
    bus.tell(bus.sent[0].reply, headers={"Status": "100"})
    bus.tell(bus.sent[0].reply)
    assert not future.done()
    acknowledge(bus, bus.sent[0])
    await future


async def test_publish_without_an_answer_is_given_up_at_its_deadline() -> None:
    bus = ScriptedBus()
    publisher = await a_publisher(bus, deadline_seconds=0.0)
    with pytest.raises(UnavailableError, match="in time") as failed:
        await publisher.publish("a", b"", HEADERS)
    assert failed.value.retry_after_seconds is not None
    assert publisher.in_flight == 0


async def test_publish_during_an_outage_goes_out_afterwards() -> None:
    bus = ScriptedBus()
    publisher = await a_publisher(bus)
    bus.lose()
    future = publisher.publish("a", b"x", HEADERS)
    assert bus.sent == []
    bus.return_()
    assert len(bus.sent) == 1
    acknowledge(bus, bus.sent[0])
    assert (await future).sends == 1


async def test_unanswered_publishes_are_repeated_after_an_outage() -> None:
    bus = ScriptedBus()
    publisher = await a_publisher(bus)
    future = publisher.publish("a", b"x", HEADERS)
    bus.lose()
    bus.return_()
    assert len(bus.sent) == 2
    acknowledge(bus, bus.sent[1], duplicate=True)
    assert await future == PubAck("S", 7, duplicate=True, sends=2)


async def test_too_many_in_flight_are_refused() -> None:
    bus = ScriptedBus()
    publisher = await a_publisher(bus, in_flight_max=2)
    futures = [publisher.publish("a", b"", HEADERS) for _ in range(3)]
    with pytest.raises(UnavailableError, match="too many"):
        await futures[2]
    assert len(bus.sent) == 2
    publisher.close()
    await asyncio.wait(futures)
    assert all(isinstance(future.exception(), UnavailableError) for future in futures)


async def test_patient_publish_waits_for_room() -> None:
    bus = ScriptedBus()
    publisher = await a_publisher(bus, in_flight_max=1)
    first = publisher.publish("a", b"1", HEADERS)
    patient = asyncio.ensure_future(publisher.publish_when_room("a", b"2", HEADERS))
    await asyncio.sleep(0)
    assert len(bus.sent) == 1
    acknowledge(bus, bus.sent[0])
    await first
    second = await patient
    acknowledge(bus, bus.sent[1])
    assert (await second).sequence == 7


async def test_message_larger_than_the_server_takes_is_refused_not_sent() -> None:
    bus = ScriptedBus()
    bus.payload_bytes_max = len(HEADERS) + 10
    publisher = await a_publisher(bus)
    fits = publisher.publish("a", b"x" * 10, HEADERS)
    with pytest.raises(PublishRefusedError, match="larger"):
        await publisher.publish("a", b"x" * 11, HEADERS)
    acknowledge(bus, bus.sent[0])
    await fits


async def test_closed_publisher_fails_what_waits_and_refuses_more() -> None:
    bus = ScriptedBus()
    publisher = await a_publisher(bus, in_flight_max=1)
    waiting = publisher.publish("a", b"", HEADERS)
    patient = asyncio.ensure_future(publisher.publish_when_room("a", b"2", HEADERS))
    await asyncio.sleep(0)
    publisher.close()
    for future in (waiting, await patient, publisher.publish("a", b"", HEADERS)):
        with pytest.raises(UnavailableError):
            await future


async def test_batch_is_stored_only_when_all_of_it_is() -> None:
    bus = ScriptedBus()
    publisher = await a_publisher(bus)
    futures = [publisher.publish("a", data, HEADERS) for data in (b"1", b"2", b"3")]
    acknowledge(bus, bus.sent[0], seq=1)
    refuse(bus, bus.sent[1], 400, 10054)
    batch = asyncio.ensure_future(wait_all(futures))
    await asyncio.sleep(0)
    assert not batch.done(), "the third may still be stored: the caller must not go on"
    acknowledge(bus, bus.sent[2], seq=3)
    with pytest.raises(UnavailableError, match="refused"):
        await batch
    assert await wait_all([]) == []


async def test_what_the_cluster_said_last_is_told_at_the_deadline() -> None:
    bus = ScriptedBus()
    publisher = await a_publisher(bus, deadline_seconds=0.1)
    future = publisher.publish("a", b"x", HEADERS)
    refuse(bus, bus.sent[0], 503, 10008)
    with pytest.raises(UnavailableError, match="in time: no"):
        await future


async def test_silence_of_the_server_becomes_doubt_and_an_answer_ends_it() -> None:
    bus = ScriptedBus()
    publisher = await a_publisher(bus)
    future = publisher.publish("a", b"x", HEADERS)
    bus.tell(bus.sent[0].reply, headers={"Status": "503"})
    assert bus.doubt.is_raised
    bus.now = 9.0
    again = await bus.wait_sent(2)
    bus.tell(again.reply, headers={"Status": "503"})
    assert bus.departures == 1, "it goes to another server"
    last = await bus.wait_sent(3)
    bus.tell(last.reply, headers={"Status": "503"})
    acknowledge(bus, last)
    await future
    assert not bus.doubt.is_raised

"""The publisher's odd ends: duplicates it cannot look up, and its own repeats."""

import asyncio
import json
from typing import Any

import pytest

from actors.errors import InvalidEventError, InvalidSubjectError, UnavailableError
from actors.events import Event
from actors.ports import Envelope, PublishAck
from app.bus.acked_publisher import AckedPublisher
from app.bus.publisher import LOOKUPS_MAX, JetStreamEventPublisher
from tests.support.scripted_bus import ScriptedBus, Told

EVENT = Event("e1", "order.created", "webhook", 5, None)


class AskedBus(ScriptedBus):
    """A scripted bus that answers direct gets; None lets them wait."""

    def __init__(self, answer: Told | None) -> None:
        super().__init__()
        self.answer = answer
        self.questions: list[tuple[str, Any]] = []

    async def request(self, subject: str, data: bytes, **more: object) -> Told:
        self.questions.append((subject, json.loads(data)))
        assert more["timeout_seconds"]
        if self.answer is None:
            await asyncio.Event().wait()
        assert self.answer is not None
        return self.answer


async def a_publisher(bus: ScriptedBus) -> JetStreamEventPublisher:
    acked = await AckedPublisher.start(bus.as_bus(), deadline_seconds=30)
    return JetStreamEventPublisher(acked, env="dev")


def acknowledge(bus: ScriptedBus, number: int = 0, *, duplicate: bool = True) -> None:
    document = {"stream": "S", "seq": 3, "duplicate": duplicate}
    bus.tell(bus.sent[number].reply, data=json.dumps(document).encode())


async def publish_duplicate(bus: AskedBus) -> PublishAck:
    publisher = await a_publisher(bus)
    future = publisher.publish(Envelope("acme", EVENT, "m1"))
    acknowledge(bus)
    return await future


async def test_first_id_is_read_from_the_stored_messages_header() -> None:
    bus = AskedBus(Told("", headers={"Greentic-Event-Id": "first"}))
    assert await publish_duplicate(bus) == PublishAck("first", 3, is_duplicate=True)
    assert bus.questions == [("$JS.API.DIRECT.GET.S", {"seq": 3})]


@pytest.mark.parametrize(
    "answer",
    [
        Told("", headers={"Status": "404"}),
        Told("", data=b"nonsense"),
        Told("", data=b"[]"),
        Told("", data=b'{"id": 7}'),
    ],
)
async def test_first_id_that_cannot_be_known_is_our_own(answer: Told) -> None:
    assert await publish_duplicate(AskedBus(answer)) == PublishAck("e1", 3, is_duplicate=True)


async def test_stream_that_does_not_tell_is_unavailable() -> None:
    with pytest.raises(UnavailableError):
        await publish_duplicate(AskedBus(Told("", headers={"Status": "503"})))


async def test_duplicate_of_our_own_repeat_is_no_duplicate() -> None:
    bus = AskedBus(Told("", headers={"Greentic-Event-Id": "e1"}))
    publisher = await a_publisher(bus)
    future = publisher.publish(Envelope("acme", EVENT, "m1"))
    bus.lose()
    bus.return_()
    acknowledge(bus, 1)
    assert await future == PublishAck("e1", 3, is_duplicate=False)


async def test_too_many_duplicates_at_once_are_told_to_come_again() -> None:
    bus = AskedBus(None)
    publisher = await a_publisher(bus)
    futures = [
        publisher.publish(Envelope("acme", EVENT, f"m{number}"))
        for number in range(LOOKUPS_MAX + 1)
    ]
    for number in range(LOOKUPS_MAX + 1):
        acknowledge(bus, number)
    with pytest.raises(UnavailableError, match="duplicates"):
        await futures[-1]
    for task in list(publisher._lookups):
        task.cancel()


async def test_caller_that_left_is_no_error() -> None:
    bus = AskedBus(Told("", headers={"Greentic-Event-Id": "first"}))
    publisher = await a_publisher(bus)
    for duplicate in (False, True):
        publisher.publish(Envelope("acme", EVENT, "m1")).cancel()
        acknowledge(bus, -1, duplicate=duplicate)
    leaving = publisher.publish(Envelope("acme", EVENT, "m2"))
    acknowledge(bus, -1)
    leaving.cancel()
    await asyncio.gather(*publisher._lookups)
    assert bus.questions


async def test_event_that_cannot_be_sent_is_refused_unsent() -> None:
    bus = ScriptedBus()
    publisher = await a_publisher(bus)
    with pytest.raises(InvalidSubjectError):
        await publisher.publish(Envelope("no tenant", EVENT, "m1"))
    with pytest.raises(InvalidEventError):
        await publisher.publish(Envelope("acme", EVENT, "m1\r\nX: y"))
    assert bus.sent == []


async def test_refusal_of_the_stream_is_unavailable() -> None:
    bus = ScriptedBus()
    publisher = await a_publisher(bus)
    future = publisher.publish(Envelope("acme", EVENT, "m1"))
    document = {"error": {"code": 400, "err_code": 10054, "description": "too large"}}
    bus.tell(bus.sent[0].reply, data=json.dumps(document).encode())
    with pytest.raises(UnavailableError, match="too large"):
        await future

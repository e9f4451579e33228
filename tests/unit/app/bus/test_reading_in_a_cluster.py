"""What a replica that is a moment behind would hide is read from the leader, or read again."""

import asyncio
import base64
import json
from typing import Any

import pytest

from actors.errors import UnavailableError
from actors.ports import JournalEntry
from app.bus import journal as journal_module
from app.bus.acked_publisher import AckedPublisher
from app.bus.direct import DirectReader
from app.bus.journal import JetStreamJournal
from app.bus.publisher import read_event_id
from tests.support.scripted_bus import ScriptedBus, Sent, Told

SUBJECT = "greentic.journal.dev.acme.r1.a:1"
LEADER = "$JS.API.STREAM.MSG.GET.J"
ABSENT = {"error": {"code": 404, "err_code": 10037, "description": "no message found"}}


def stored(**message: Any) -> dict[str, Any]:
    """What a leader says of a message; data and headers as text."""
    coded = {name: base64.b64encode(message.pop(name, "").encode()).decode() for name in CODED}
    return {"message": {"subject": SUBJECT, "seq": 7} | coded | message}


CODED = ("data", "hdrs")


@pytest.fixture
def bus() -> ScriptedBus:
    bus = ScriptedBus()
    bus.lone_server = None
    return bus


async def a_journal(bus: ScriptedBus) -> JetStreamJournal:
    publisher = await AckedPublisher.start(bus.as_bus())
    reader = await DirectReader.start(bus.as_bus())
    return JetStreamJournal(publisher, reader, env="dev", stream_of=lambda _: "J")


def answer_empty(bus: ScriptedBus, asked: Sent) -> None:
    bus.tell(asked.reply, headers={"Status": "404"})


def answer_entry(bus: ScriptedBus, asked: Sent, value: int) -> None:
    place = {"Nats-Subject": SUBJECT, "Nats-Sequence": "7", "Nats-Last-Sequence": "0"}
    bus.tell(asked.reply, data=json.dumps(value).encode(), headers=place)
    bus.tell(asked.reply, headers={"Status": "204", "Nats-Last-Sequence": "7"})


async def test_run_that_the_leader_does_not_know_is_fresh(bus: ScriptedBus) -> None:
    journal = await a_journal(bus)
    bus.answers[LEADER] = ABSENT
    assert await journal.read("acme", "r1") == []
    assert bus.sent == [], "no replica need be asked"


async def test_replica_that_lacks_the_last_entry_is_read_again(bus: ScriptedBus) -> None:
    journal = await a_journal(bus)
    bus.answers[LEADER] = stored(data="1")
    reading = asyncio.create_task(journal.read("acme", "r1"))
    answer_empty(bus, await bus.wait_sent(1))
    answer_entry(bus, await bus.wait_sent(2), 1)
    assert await reading == [JournalEntry("a:1", 1)]


async def test_replica_that_stays_behind_is_unavailable(
    bus: ScriptedBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "LAG_SECONDS_MAX", 0.1)
    journal = await a_journal(bus)
    bus.answers[LEADER] = stored(data="1")
    reading = asyncio.create_task(journal.read("acme", "r1"))
    answer_empty(bus, await bus.wait_sent(1))
    with pytest.raises(UnavailableError, match="behind its leader"):
        await reading


async def test_leader_that_is_not_there_says_nothing_of_a_run(bus: ScriptedBus) -> None:
    journal = await a_journal(bus)
    with pytest.raises(UnavailableError):
        await journal.read("acme", "r1")
    bus.answers[LEADER] = {"error": {"code": 404, "err_code": 10059, "description": "no stream"}}
    with pytest.raises(UnavailableError):
        await journal.read("acme", "r1")


class Told404(ScriptedBus):
    """Replicas of this one have nothing."""

    async def request(self, subject: str, data: bytes, **options: object) -> Told:
        told = await super().request(subject, data, **options)
        if subject.startswith("$JS.API.DIRECT."):
            told.headers = {"Status": "404"}
        return told


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        pytest.param(stored(hdrs="NATS/1.0\r\nGreentic-Event-Id: e9\r\n\r\n"), "e9", id="header"),
        pytest.param(stored(data='{"id": "e8"}'), "e8", id="document"),
        pytest.param(ABSENT, None, id="gone"),
    ],
)
async def test_first_event_of_a_duplicate_is_the_leaders(said: Any, expected: str | None) -> None:
    bus = Told404()
    bus.answers = {"$JS.API.DIRECT.GET.J": {}, LEADER: said}
    assert await read_event_id(bus.as_bus(), "J", 7) is None, "one server has it or has it not"
    bus.lone_server = None
    assert await read_event_id(bus.as_bus(), "J", 7) == expected

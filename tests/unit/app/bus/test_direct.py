"""Questions to streams: complete answers, asked again when one is lost, never for ever."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from actors.errors import UnavailableError
from app.bus import direct
from app.bus.direct import Batch, DirectReader
from app.errors import BusError
from tests.support.scripted_bus import ScriptedBus


class Place:
    """A reader over a scripted bus, which the test answers."""

    def __init__(self) -> None:
        self.bus = ScriptedBus()
        self.reader: DirectReader

    async def open(self, deadline_seconds: float = 5.0) -> None:
        self.reader = await DirectReader.start(self.bus.as_bus(), deadline_seconds=deadline_seconds)

    def ask(self, **limits: int) -> "asyncio.Task[Batch]":
        return asyncio.ensure_future(self.reader.page("S", "a.*", count_max=10, **limits))

    def message(self, reply: str, sequence: int, last: int, data: bytes = b"x") -> None:
        headers = {
            "Nats-Subject": f"a.{sequence}",
            "Nats-Sequence": str(sequence),
            "Nats-Last-Sequence": str(last),
        }
        self.bus.tell(reply, data=data, headers=headers)

    def end(self, reply: str, last: int, pending: int = 0) -> None:
        headers = {"Status": "204", "Nats-Num-Pending": str(pending)}
        self.bus.tell(reply, headers=headers | {"Nats-Last-Sequence": str(last)})


@pytest.fixture
async def place(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Place]:
    monkeypatch.setattr(direct, "PAUSE_SECONDS", 0.001)
    place = Place()
    await place.open()
    yield place
    await place.reader.close()


def sequences(batch: Batch) -> list[int]:
    return [message.sequence for message in batch.messages]


async def test_answer_ends_with_its_end(place: Place) -> None:
    asking = place.ask()
    sent = await place.bus.wait_sent(1)
    assert sent.subject == "$JS.API.DIRECT.GET.S"
    assert json.loads(sent.data) == {"next_by_subj": "a.*", "seq": 1, "batch": 10}
    place.message(sent.reply, 4, 0, b"four")
    place.message(sent.reply, 7, 4)
    await asyncio.sleep(0)
    assert not asking.done()
    place.end(sent.reply, 7, pending=3)
    batch = await asking
    assert (sequences(batch), batch.pending) == ([4, 7], 3)
    assert (batch.messages[0].subject, batch.messages[0].data) == ("a.4", b"four")


async def test_nothing_is_an_answer(place: Place) -> None:
    asking = place.ask()
    sent = await place.bus.wait_sent(1)
    place.bus.tell(sent.reply, headers={"Status": "404", "Description": "No Results"})
    assert sequences(await asking) == []


async def test_strangers_status_header_ends_nothing(place: Place) -> None:
    asking = place.ask()
    sent = await place.bus.wait_sent(1)
    forged = {"Status": "404", "Nats-Sequence": "4", "Nats-Last-Sequence": "0"}
    place.bus.tell(sent.reply, headers=forged)
    place.end(sent.reply, 4)
    assert sequences(await asking) == [4]


@pytest.mark.parametrize("lost", ["middle", "last"])
async def test_answer_that_lost_a_message_is_asked_for_again(place: Place, lost: str) -> None:
    asking = place.ask()
    first = await place.bus.wait_sent(1)
    place.message(first.reply, 1, 0)
    if lost == "middle":
        place.message(first.reply, 3, 2)
    place.end(first.reply, 3)
    second = await place.bus.wait_sent(2)
    for sequence in (1, 2, 3):
        place.message(second.reply, sequence, sequence - 1)
    place.message(first.reply, 9, 0)
    place.end(second.reply, 3)
    assert sequences(await asking) == [1, 2, 3]


async def test_question_is_asked_again_after_a_reconnect(place: Place) -> None:
    asking = place.ask()
    first = await place.bus.wait_sent(1)
    place.message(first.reply, 1, 0)
    place.bus.lose()
    place.bus.return_()
    second = await place.bus.wait_sent(2)
    place.message(second.reply, 1, 0)
    place.end(second.reply, 1)
    assert sequences(await asking) == [1]


async def test_question_waits_for_the_connection(place: Place) -> None:
    place.bus.lose()
    asking = place.ask()
    await asyncio.sleep(0.01)
    assert place.bus.sent == []
    place.bus.return_()
    sent = await place.bus.wait_sent(1)
    place.end(sent.reply, 0)
    assert sequences(await asking) == []


async def test_silence_in_the_middle_is_asked_again(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(direct, "SILENCE_SECONDS_MAX", 0.02)
    asking = place.ask()
    first = await place.bus.wait_sent(1)
    place.message(first.reply, 1, 0)
    second = await place.bus.wait_sent(2)
    place.end(second.reply, 0)
    assert sequences(await asking) == []


async def test_nobody_there_is_unavailable_at_the_deadline() -> None:
    place = Place()
    await place.open(deadline_seconds=0.05)
    asking = place.ask()
    sent = await place.bus.wait_sent(1)
    place.bus.tell(sent.reply, headers={"Status": "503"})
    with pytest.raises(UnavailableError) as failed:
        await asking
    assert failed.value.retry_after_seconds is not None


async def test_refusal_is_an_error_that_says_why(place: Place) -> None:
    asking = place.ask()
    sent = await place.bus.wait_sent(1)
    place.bus.tell(sent.reply, headers={"Status": "408", "Description": "Bad Request"})
    with pytest.raises(BusError, match="408 Bad Request"):
        await asking


async def test_answer_over_its_bytes_is_refused_while_it_comes(place: Place) -> None:
    asking = place.ask(bytes_max=5)
    sent = await place.bus.wait_sent(1)
    place.message(sent.reply, 1, 0, b"xxx")
    place.message(sent.reply, 2, 1, b"xxx")
    place.message(sent.reply, 3, 2, b"xxx")
    with pytest.raises(BusError, match="over 5 bytes"):
        await asking


async def test_close_ends_questions_and_refuses_more(place: Place) -> None:
    asking = place.ask()
    await place.bus.wait_sent(1)
    await place.reader.close()
    for ended in (asking, place.ask()):
        with pytest.raises(UnavailableError):
            await ended


async def test_cancelled_question_leaves_nothing_behind(place: Place) -> None:
    asking = place.ask()
    sent = await place.bus.wait_sent(1)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    place.message(sent.reply, 1, 0)
    place.end(sent.reply, 1)
    reader: Any = place.reader
    assert reader._questions == {}


async def test_few_questions_are_under_way_at_once(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(place.reader, "_room", asyncio.Semaphore(2))
    asking = [place.ask() for _ in range(5)]
    await place.bus.wait_sent(2)
    await asyncio.sleep(0)
    assert len(place.bus.sent) == 2
    for number in range(1, 6):
        sent = await place.bus.wait_sent(number)
        place.end(sent.reply, 0)
    assert [sequences(batch) for batch in await asyncio.gather(*asking)] == [[]] * 5


async def test_more_subjects_than_the_server_counts_are_none(place: Place) -> None:
    asking = asyncio.ensure_future(place.reader.last_of_each("S", "a.*"))
    sent = await place.bus.wait_sent(1)
    place.bus.tell(sent.reply, headers={"Status": "413"})
    assert await asking is None


async def test_cut_answer_is_continued_up_to_where_it_began(place: Place) -> None:
    asking = asyncio.ensure_future(place.reader.last_of_each("S", "a.*"))
    first = await place.bus.wait_sent(1)
    place.message(first.reply, 4, 0)
    end = {"Status": "204", "Nats-Num-Pending": "1", "Nats-Last-Sequence": "4"}
    place.bus.tell(first.reply, headers=end | {"Nats-UpTo-Sequence": "9"})
    second = await place.bus.wait_sent(2)
    assert json.loads(second.data) == {"multi_last": ["a.*"], "seq": 5, "up_to_seq": 9}
    place.message(second.reply, 8, 0)
    place.end(second.reply, 8)
    found = await asking
    assert found is not None
    assert [message.sequence for message in found] == [4, 8]

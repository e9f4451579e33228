"""A message is new only if it was stored after our connection was made, and nobody can know less."""

from typing import Any

import pytest

from actors.testing.clock import VirtualClock
from actors.testing.observer import RecordingObserver
from app.bus.ack_subject import AckSubject
from app.bus.novelty import LOOK_AGAIN_SECONDS, Novelty
from app.bus.pulls import PulledMessage, PullHub
from tests.support.scripted_bus import ScriptedBus

INFO = "$JS.API.STREAM.INFO.EV"


def stream_info(last_sequence: Any, **cluster: str) -> dict[str, Any]:
    return {"state": {"last_seq": last_sequence}, "cluster": {"leader": "scripted"} | cluster}


class Place:
    """A stream's novelty over a scripted bus."""

    def __init__(self) -> None:
        self.bus, self.clock = ScriptedBus(), VirtualClock()
        self.bus.answers[INFO] = stream_info(10)
        hub = PullHub(self.bus.as_bus(), self.clock, RecordingObserver())
        self.novelty = Novelty(hub, "EV")

    def message(self, sequence: int, num_delivered: int = 1) -> PulledMessage:
        ack = AckSubject("EV", "flows", num_delivered, sequence)
        return PulledMessage("s", "r", b"", None, ack, 0.0, self.bus.session)

    async def news(self, *sequences: int) -> list[bool]:
        await self.novelty.look()
        return [self.novelty.is_new(self.message(sequence)) for sequence in sequences]


async def test_what_was_stored_after_we_connected_is_new() -> None:
    assert await Place().news(9, 10, 11, 12) == [False, False, True, True]


async def test_second_delivery_is_not_new() -> None:
    place = Place()
    await place.novelty.look()
    assert not place.novelty.is_new(place.message(11, num_delivered=2))


async def test_stream_is_asked_once_for_each_connection() -> None:
    place = Place()
    for _ in range(5):
        await place.news()
    assert place.bus.asked == [INFO]
    place.bus.lose()
    place.bus.return_()
    place.bus.answers[INFO] = stream_info(20)
    assert await place.news(15, 21) == [False, True]
    assert place.bus.asked == [INFO] * 2


async def test_message_of_a_lost_connection_is_not_new() -> None:
    place = Place()
    await place.novelty.look()
    message = place.message(11)
    assert place.novelty.is_new(message)
    place.bus.lose()
    assert not place.novelty.is_new(message)
    place.bus.return_()
    await place.novelty.look()
    assert not place.novelty.is_new(message), "though its sequence is above the last one's"


async def test_before_it_has_looked_nothing_is_new() -> None:
    place = Place()
    assert not place.novelty.is_new(place.message(11))


async def test_in_a_cluster_nothing_is_new_and_nobody_is_asked() -> None:
    place = Place()
    place.bus.lone_server = None
    assert await place.news(11) == [False]
    assert place.bus.asked == []


@pytest.mark.parametrize(
    "document",
    [
        stream_info(10, leader="another"),
        stream_info(10, name="a-cluster"),
        {"state": {"last_seq": 10}},
        {"error": {"code": 503}},
        [],
        stream_info("x"),
        stream_info(None),
    ],
    ids=["leaf", "cluster", "no-leader", "error", "list", "no-number", "null"],
)
async def test_stream_that_is_not_our_servers_own_has_nothing_new(document: Any) -> None:
    place = Place()
    place.bus.answers[INFO] = document
    assert await place.news(11) == [False]


async def test_unanswered_question_is_asked_again_after_a_while() -> None:
    place = Place()
    answer = place.bus.answers.pop(INFO)
    assert await place.news(11) == [False]
    place.bus.answers[INFO] = answer
    assert await place.news(11) == [False]
    assert place.bus.asked == [INFO]
    await place.clock.advance(LOOK_AGAIN_SECONDS)
    assert await place.news(11) == [True]


async def test_answer_of_an_earlier_connection_counts_for_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    place = Place()

    async def lose_and_answer(subject: str, data: bytes, **options: Any) -> Any:
        answer = await ScriptedBus.request(place.bus, subject, data, **options)
        place.bus.lose()
        place.bus.return_()
        return answer

    monkeypatch.setattr(place.bus, "request", lose_and_answer)
    assert await place.news(11) == [False]

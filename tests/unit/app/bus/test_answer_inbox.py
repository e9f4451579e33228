"""Answers reach the webhook that waits for them, and nobody else."""

import asyncio

import pytest

from actors.outcomes import Answer, Ended
from app.bus.answers import MESSAGES_MAX, AnswerInbox, encode_answer
from tests.support.scripted_bus import ScriptedBus

ENDED = Ended("r1", "completed")


async def an_inbox(bus: ScriptedBus) -> AnswerInbox:
    return await AnswerInbox.start(bus.as_bus(), "i1")


async def test_answer_goes_to_its_own_waiter() -> None:
    bus = ScriptedBus()
    inbox = await an_inbox(bus)
    assert [interest.subject for interest in bus.interests] == ["greentic.reply.i1.*"]
    with inbox.open("e1") as one, inbox.open("e2") as two:
        bus.tell(two.reply_to, data=encode_answer(Answer(200, {}, 2)))
        bus.tell(one.reply_to, data=encode_answer(ENDED))
        assert await one.next_message(10) == ENDED
        assert await two.next_message(10) == Answer(200, {}, 2)
        assert inbox.waiting == 2
    assert inbox.waiting == 0


async def test_waiter_gives_nothing_once_its_time_is_over() -> None:
    inbox = await an_inbox(ScriptedBus())
    with inbox.open("e1") as waiter:
        assert await waiter.next_message(0) is None


async def test_waiter_waits_for_what_comes() -> None:
    bus = ScriptedBus()
    inbox = await an_inbox(bus)
    with inbox.open("e1") as waiter:
        waiting = asyncio.ensure_future(waiter.next_message(10))
        await asyncio.sleep(0)
        bus.tell(waiter.reply_to, data=encode_answer(ENDED))
        assert await waiting == ENDED


async def test_answers_for_nobody_and_nonsense_are_nothing() -> None:
    bus = ScriptedBus()
    inbox = await an_inbox(bus)
    with inbox.open("e1") as waiter:
        bus.tell("greentic.reply.i1.e9", data=encode_answer(ENDED))
        bus.tell(waiter.reply_to, data=b"nonsense")
        assert await waiter.next_message(0) is None


async def test_flood_of_answers_is_cut_off() -> None:
    bus = ScriptedBus()
    inbox = await an_inbox(bus)
    with inbox.open("e1") as waiter:
        for number in range(MESSAGES_MAX + 10):
            bus.tell(waiter.reply_to, data=encode_answer(Answer(200, {}, number)))
        read = [await waiter.next_message(10) for _ in range(MESSAGES_MAX)]
        assert read[-1] == Answer(200, {}, MESSAGES_MAX - 1)
        assert await waiter.next_message(0) is None


async def test_later_waiter_of_the_same_event_takes_over() -> None:
    bus = ScriptedBus()
    inbox = await an_inbox(bus)
    with inbox.open("e1"), inbox.open("e1") as second:
        bus.tell(second.reply_to, data=encode_answer(ENDED))
        assert await second.next_message(10) == ENDED
    assert inbox.waiting == 0


@pytest.mark.parametrize("event_id", ["", "*", "a.b", "a b", "x" * 129])
async def test_event_id_that_makes_no_reply_subject_is_refused(event_id: str) -> None:
    inbox = await an_inbox(ScriptedBus())
    with pytest.raises(ValueError, match="reply subject"), inbox.open(event_id):
        pass


async def test_closed_inbox_hears_nothing() -> None:
    bus = ScriptedBus()
    inbox = await an_inbox(bus)
    await inbox.close()
    assert bus.interests == []


async def test_nobody_who_knows_instance_and_event_id_can_answer() -> None:
    bus = ScriptedBus()
    inbox = await an_inbox(bus)
    with inbox.open("e1") as waiter, inbox.open("e1") as other:
        assert waiter.reply_to != other.reply_to
        bus.tell("greentic.reply.i1.e1", data=encode_answer(ENDED))
        bus.tell(f"greentic.reply.i1.e1-{'0' * 32}", data=encode_answer(ENDED))
        assert await waiter.next_message(0.01) is None
        bus.tell(waiter.reply_to, data=encode_answer(ENDED))
        assert await waiter.next_message(0.01) == ENDED

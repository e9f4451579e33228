"""Bounded, in order, and honest about being closed."""

import asyncio

import pytest

from actors.errors import ActorStoppedError, MailboxFullError
from actors.kernel.mailbox import Mailbox
from actors.testing.clock import VirtualClock


async def settle() -> None:
    await VirtualClock().settle()


async def test_messages_come_out_in_the_order_they_went_in() -> None:
    mailbox: Mailbox[int] = Mailbox(8)
    for number in range(5):
        await mailbox.put(number)
    assert await mailbox.get_many(3) == [0, 1, 2]
    assert await mailbox.get_many(99) == [3, 4]


async def test_a_full_mailbox_makes_senders_wait_in_turn() -> None:
    mailbox: Mailbox[int] = Mailbox(1)
    await mailbox.put(0)
    senders = [asyncio.ensure_future(mailbox.put(number)) for number in (1, 2, 3)]
    await settle()
    assert not any(sender.done() for sender in senders)
    assert list(mailbox.waiting()) == [0, 1, 2, 3]
    taken = []
    for _ in range(4):
        taken.append(mailbox.take_one_nowait())
        await settle()
    assert taken == [0, 1, 2, 3]
    assert all(sender.done() for sender in senders)


async def test_nobody_overtakes_a_sender_who_waits() -> None:
    mailbox: Mailbox[str] = Mailbox(1)
    await mailbox.put("first")
    waiting = asyncio.ensure_future(mailbox.put("second"))
    await settle()
    assert mailbox.take_nowait(9) == ["first"]
    with pytest.raises(MailboxFullError):
        mailbox.put_nowait("third")
    await waiting
    assert mailbox.take_nowait(9) == ["second"]


async def test_put_nowait_refuses_at_capacity() -> None:
    mailbox: Mailbox[int] = Mailbox(2)
    mailbox.put_nowait(1)
    mailbox.put_nowait(2)
    with pytest.raises(MailboxFullError):
        mailbox.put_nowait(3)
    assert (mailbox.depth, mailbox.capacity) == (2, 2)


async def test_a_cancelled_wait_withdraws_the_message() -> None:
    mailbox: Mailbox[str] = Mailbox(1)
    mailbox.put_nowait("kept")
    waiting = asyncio.ensure_future(mailbox.put("withdrawn"))
    await settle()
    waiting.cancel()
    await settle()
    assert mailbox.take_nowait(9) == ["kept"]
    assert mailbox.depth == 0


async def test_a_wait_cancelled_as_room_appears_still_delivers() -> None:
    mailbox: Mailbox[str] = Mailbox(1)
    mailbox.put_nowait("first")
    waiting = asyncio.ensure_future(mailbox.put("second"))
    await settle()
    mailbox.take_one_nowait()
    waiting.cancel()
    await settle()
    assert waiting.cancelled()
    assert mailbox.take_nowait(9) == ["second"]


async def test_a_sender_cancelled_but_not_yet_awake_is_passed_over() -> None:
    mailbox: Mailbox[str] = Mailbox(1)
    mailbox.put_nowait("first")
    gone = asyncio.ensure_future(mailbox.put("gone"))
    stays = asyncio.ensure_future(mailbox.put("stays"))
    await settle()
    gone.cancel()
    mailbox.take_one_nowait()
    await settle()
    assert stays.done()
    assert mailbox.take_nowait(9) == ["stays"]


async def test_the_reader_waits_for_the_first_message() -> None:
    mailbox: Mailbox[int] = Mailbox()
    reading = asyncio.ensure_future(mailbox.get_many(10))
    await settle()
    assert not reading.done()
    mailbox.put_nowait(1)
    mailbox.put_nowait(2)
    assert await reading == [1, 2]


async def test_a_cancelled_reader_makes_room_for_the_next() -> None:
    mailbox: Mailbox[int] = Mailbox()
    reading = asyncio.ensure_future(mailbox.get_many(10))
    await settle()
    reading.cancel()
    await settle()
    mailbox.put_nowait(1)
    assert await mailbox.get_many(10) == [1]


async def test_a_second_reader_is_refused() -> None:
    mailbox: Mailbox[int] = Mailbox()
    reading = asyncio.ensure_future(mailbox.get_many(10))
    await settle()
    with pytest.raises(RuntimeError):
        await mailbox.get_many(10)
    mailbox.close()
    assert await reading == []


async def test_a_closed_mailbox_refuses_but_can_be_drained() -> None:
    mailbox: Mailbox[int] = Mailbox()
    mailbox.put_nowait(1)
    mailbox.close()
    assert mailbox.is_closed
    with pytest.raises(ActorStoppedError):
        await mailbox.put(2)
    with pytest.raises(ActorStoppedError):
        mailbox.put_nowait(2)
    assert await mailbox.get_many(10) == [1]
    assert await mailbox.get_many(10) == []


async def test_closing_tells_those_who_wait() -> None:
    mailbox: Mailbox[int] = Mailbox(1)
    mailbox.put_nowait(1)
    told = asyncio.ensure_future(mailbox.put(2))
    gone = asyncio.ensure_future(mailbox.put(3))
    await settle()
    gone.cancel()
    mailbox.close()
    await settle()
    assert gone.cancelled()
    with pytest.raises(ActorStoppedError):
        await told
    assert mailbox.take_nowait(9) == [1]


async def test_a_reopened_mailbox_takes_messages() -> None:
    mailbox: Mailbox[int] = Mailbox()
    mailbox.close()
    mailbox.reopen()
    await mailbox.put(1)
    assert await mailbox.get_many(1) == [1]


async def test_closing_and_reopening_before_the_reader_wakes_leaves_it_waiting() -> None:
    mailbox: Mailbox[int] = Mailbox()
    reading = asyncio.ensure_future(mailbox.get_many(1))
    await settle()
    mailbox.close()
    mailbox.close()
    mailbox.reopen()
    await settle()
    assert not reading.done()
    mailbox.put_nowait(1)
    assert await reading == [1]


def test_a_mailbox_without_room_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        Mailbox(0)

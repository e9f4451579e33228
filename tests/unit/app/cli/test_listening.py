"""What waits to be shown is bounded, in messages and in bytes, and what is let go is counted."""

import asyncio

from app.bus.client import DirectMessage
from app.cli.listening import Pending


def a_message(number: int, size: int = 1) -> DirectMessage:
    return DirectMessage(f"a.{number}", "", b"x" * size, None)


async def test_messages_are_given_in_the_order_in_which_they_came() -> None:
    pending = Pending()
    for number in range(5):
        pending.put(a_message(number))
    subjects = [message.subject for message in await pending.take(3)]
    assert [*subjects, *(each.subject for each in await pending.take(3))] == [
        f"a.{number}" for number in range(5)
    ]


async def test_too_many_are_let_go_and_counted() -> None:
    pending = Pending(messages_max=2)
    for number in range(5):
        pending.put(a_message(number))
    assert [message.subject for message in await pending.take(9)] == ["a.0", "a.1"]
    assert pending.lost == 3
    pending.put(a_message(9))
    assert [message.subject for message in await pending.take(9)] == ["a.9"]


async def test_too_large_ones_are_let_go_and_room_comes_back() -> None:
    pending = Pending(bytes_max=10)
    for size in (6, 6, 4):
        pending.put(a_message(size, size))
    assert [len(message.data) for message in await pending.take(9)] == [6, 4]
    assert pending.lost == 1
    pending.put(a_message(0, 10))
    assert len(await pending.take(9)) == 1


async def test_it_waits_until_there_is_something() -> None:
    pending = Pending()
    taking = asyncio.create_task(pending.take(1))
    await asyncio.sleep(0)
    assert not taking.done()
    pending.put(a_message(1))
    assert [message.subject for message in await taking] == ["a.1"]

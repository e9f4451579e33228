"""tell and ask, from the sender's side."""

import asyncio

import pytest

from actors.errors import ActorStoppedError, AskTimeoutError, MailboxFullError
from actors.kernel.mailbox import Mailbox
from actors.kernel.ref import ActorRef, Reply
from actors.testing.clock import VirtualClock
from tests.support.kernel_tree import ask_count


def a_ref(clock: VirtualClock, capacity: int = 2) -> ActorRef[object]:
    return ActorRef("root/a", mailbox=Mailbox(capacity), clock=clock)


async def test_a_ref_shows_its_name_and_depth() -> None:
    ref = a_ref(VirtualClock())
    await ref.tell(1)
    ref.tell_nowait(2)
    with pytest.raises(MailboxFullError):
        ref.tell_nowait(3)
    assert (ref.name, ref.depth, repr(ref)) == ("root/a", 2, "<ActorRef root/a>")


async def test_an_ask_gets_its_answer() -> None:
    clock = VirtualClock()
    ref = a_ref(clock)
    asking = ask_count(ref)
    await clock.settle()
    reply = ref.mailbox.take_one_nowait()
    assert isinstance(reply, Reply)
    assert reply.is_wanted
    reply.answer(7)
    assert await asking == 7
    reply.answer(8)
    reply.fail(ValueError())
    assert not reply.is_wanted


async def test_an_ask_raises_what_the_actor_fails_it_with() -> None:
    clock = VirtualClock()
    ref = a_ref(clock)
    asking = ask_count(ref)
    await clock.settle()
    reply = ref.mailbox.take_one_nowait()
    assert isinstance(reply, Reply)
    reply.fail(TimeoutError("mine"))
    with pytest.raises(TimeoutError, match="mine"):
        await asking


async def test_an_ask_gives_up_after_its_time() -> None:
    clock = VirtualClock()
    ref = a_ref(clock)
    asking = ask_count(ref, timeout_seconds=3)
    await clock.advance(2.9)
    assert not asking.done()
    await clock.advance(0.1)
    with pytest.raises(AskTimeoutError):
        await asking


async def test_waiting_for_room_counts_as_asking_and_leaves_no_message() -> None:
    clock = VirtualClock()
    ref = a_ref(clock, capacity=1)
    ref.tell_nowait("in the way")
    asking = ask_count(ref, timeout_seconds=3)
    await clock.advance(3)
    with pytest.raises(AskTimeoutError):
        await asking
    assert ref.mailbox.take_nowait(9) == ["in the way"]


async def test_a_closing_actor_answers_pending_asks() -> None:
    clock = VirtualClock()
    ref = a_ref(clock)
    taken, waiting = ask_count(ref), ask_count(ref)
    await clock.settle()
    ref.mailbox.take_one_nowait()
    ref.close()
    for asking in (taken, waiting):
        with pytest.raises(ActorStoppedError):
            await asking
    with pytest.raises(ActorStoppedError):
        await ask_count(ref)
    assert ref.is_stopped


async def test_a_crash_answers_only_the_asks_that_were_taken() -> None:
    clock = VirtualClock()
    ref = a_ref(clock, capacity=1)
    ref.fail_taken_asks()
    taken, inside, outside = ask_count(ref), ask_count(ref), ask_count(ref)
    await clock.settle()
    ref.mailbox.take_one_nowait()
    ref.fail_taken_asks()
    with pytest.raises(ActorStoppedError):
        await taken
    await clock.settle()
    assert not inside.done()
    assert not outside.done()
    ref.close()
    await asyncio.gather(inside, outside, return_exceptions=True)


async def test_a_cancelled_ask_withdraws() -> None:
    clock = VirtualClock()
    ref = a_ref(clock, capacity=1)
    ref.tell_nowait("in the way")
    asking = ask_count(ref)
    await clock.settle()
    asking.cancel()
    await clock.settle()
    assert asking.cancelled()
    assert list(ref.mailbox.waiting()) == ["in the way"]

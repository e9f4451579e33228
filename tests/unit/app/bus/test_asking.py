"""Asking over the client library: what a cancellation that comes with the answer comes to."""

import asyncio
import contextlib
from typing import Any, cast

import pytest
from nats.aio.client import Client

from actors.errors import UnavailableError
from app.bus.asking import Question, ask

QUESTION = Question("$JS.API.INFO", b"", 5.0, None)


class Answering:
    """A client that answers when it is told, and waits as the library does."""

    def __init__(self) -> None:
        self.future: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def request(self, *_: Any, **__: Any) -> str:
        """Wait for the answer."""
        return await asyncio.wait_for(self.future, 5)


def asked(client: Answering) -> "asyncio.Task[Any]":
    return asyncio.create_task(ask(cast("Client", client), QUESTION, lambda _: False))


async def test_answer_is_given() -> None:
    client = Answering()
    task = asked(client)
    await asyncio.sleep(0)
    client.future.set_result("answer")
    assert await task == "answer"


async def test_cancellation_that_comes_with_the_answer_is_not_lost() -> None:
    client = Answering()
    task = asked(client)
    await asyncio.sleep(0)
    client.future.set_result("answer")
    task.cancel()
    await asyncio.wait([task], timeout=1)
    assert task.cancelled()


async def test_deadline_that_comes_with_the_answer_is_not_lost() -> None:
    client = Answering()

    async def in_time() -> Any:
        async with asyncio.timeout(0.01):
            asyncio.get_running_loop().call_later(0.009, client.future.set_result, "answer")
            return await ask(cast("Client", client), QUESTION, lambda _: False)

    # Whichever comes first, and both at once: it ends in one of two ways, and soon.
    with contextlib.suppress(TimeoutError):
        assert await in_time() == "answer"
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_earlier_cancellations_that_were_dealt_with_do_not_count() -> None:
    client = Answering()

    async def goes_on() -> Any:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            client.future.set_result("answer")
        return await ask(cast("Client", client), QUESTION, lambda _: False)

    task = asyncio.create_task(goes_on())
    await asyncio.sleep(0)
    task.cancel()
    assert await task == "answer"


async def test_silence_is_unavailable() -> None:
    client = Answering()
    client.future.set_exception(TimeoutError())
    with pytest.raises(UnavailableError):
        await asked(client)

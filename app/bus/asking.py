"""Asking over the client library: one question, one answer.

In: a question and the time it has. Out: its answer. Refuses with UnavailableError when nobody is
there, or no answer came in time. In a cluster nobody may be there for a moment, while a leader is
elected or interest in a new stream spreads: then it is asked again within the time.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import nats.errors
from nats.aio.client import Client

from actors.errors import UnavailableError
from app.bus.wire import Received

PAUSE_FIRST_SECONDS: Final = 0.05
PAUSE_SECONDS_MAX: Final = 0.5


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, and for how long."""

    subject: str
    data: bytes
    seconds: float
    headers: dict[str, str] | None


async def ask(client: Client, question: Question, is_worth_it: Callable[[], bool]) -> Received:
    """Ask; ``is_worth_it`` is told each time that nobody was there and decides to ask again."""
    loop = asyncio.get_running_loop()
    give_up_at, pause = loop.time() + question.seconds, PAUSE_FIRST_SECONDS
    with as_unavailable():
        while True:
            try:
                answer: Received = await client.request(
                    question.subject,
                    question.data,
                    timeout=give_up_at - loop.time(),
                    headers=question.headers,
                )
            except nats.errors.NoRespondersError:
                if not is_worth_it() or loop.time() + pause >= give_up_at:
                    raise
                await asyncio.sleep(pause)
                pause = min(2 * pause, PAUSE_SECONDS_MAX)
            else:
                return answer


@contextlib.contextmanager
def as_unavailable() -> Iterator[None]:
    """Turn what the library raises into our own error."""
    try:
        yield
    except (nats.errors.Error, OSError, TimeoutError) as error:
        text = str(error) or type(error).__name__
        raise UnavailableError(f"NATS does not answer: {text}") from error

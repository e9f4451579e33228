"""Asking over the client library: one question, one answer.

In: a question and the time it has. Out: its answer. Refuses with UnavailableError when nobody is
there, or no answer came in time. In a cluster nobody may be there for a moment, while a leader is
elected or interest in a new stream spreads: then it is asked again within the time. So it is with
JetStream's administration anywhere: while a server reads its accounts anew that is not there, for
0.2 s where there are a thousand (measured).

A cancellation is never lost: the library's waiting drops one that comes in the same turn of the
loop as the answer (`asyncio.wait_for` of Python 3.11), and whoever ends a task would wait for ever.
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

_API: Final = "$JS.API."
_DIRECT: Final = "$JS.API.DIRECT."
"""Answered by streams themselves: nobody there means that there is no such stream."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, and for how long."""

    subject: str
    data: bytes
    seconds: float
    headers: dict[str, str] | None

    @property
    def is_administration(self) -> bool:
        """Whether the server itself answers for JetStream."""
        return self.subject.startswith(_API) and not self.subject.startswith(_DIRECT)


async def ask(
    client: Client, question: Question, is_worth_it: Callable[[Question], bool]
) -> Received:
    """Ask; ``is_worth_it`` is told each time that nobody was there and decides to ask again."""
    loop, cancellations = asyncio.get_running_loop(), _cancellations()
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
                if not is_worth_it(question) or loop.time() + pause >= give_up_at:
                    raise
                await asyncio.sleep(pause)
                pause = min(2 * pause, PAUSE_SECONDS_MAX)
            else:
                if _cancellations() > cancellations:
                    raise asyncio.CancelledError
                return answer


def _cancellations() -> int:
    """Count how often whoever runs this was told to end."""
    task = asyncio.current_task()
    return 0 if task is None else task.cancelling()


@contextlib.contextmanager
def as_unavailable() -> Iterator[None]:
    """Turn what the library raises into our own error."""
    try:
        yield
    except (nats.errors.Error, OSError, TimeoutError) as error:
        text = str(error) or type(error).__name__
        raise UnavailableError(f"NATS does not answer: {text}") from error

"""Waiting for the flows' answer to one webhook (SPEC 9).

In: the inbox of the event and how many flows could answer. Out: the first answer, or why there is
none. Refuses to wait past the deadline, or for a client that has gone.
"""

import asyncio
from dataclasses import dataclass
from enum import Enum
from typing import Any

from actors.outcomes import Answer, Ended
from actors.ports import Clock
from app.http.asgi import ClientGoneError, Receive
from app.http.doors import AnswerWaiter

_FAILED = "failed"


class NoAnswer(Enum):
    """Why nobody answered, and it is nobody's fault."""

    DEADLINE = "deadline"
    ALL_ENDED = "all_ended"


@dataclass(frozen=True, slots=True)
class FlowFailed:
    """Every flow that could have answered has ended, and this run of them failed."""

    run_id: str


Reply = Answer | FlowFailed | NoAnswer


async def wait_reply(
    waiter: AnswerWaiter, receive: Receive, *, flows: int, timeout_seconds: float, clock: Clock
) -> Reply:
    """Wait for the first answer of ``flows`` flows; ClientGoneError when nobody waits any more."""
    collecting = asyncio.ensure_future(_collect(waiter, flows, timeout_seconds, clock))
    leaving = asyncio.ensure_future(_wait_gone(receive))
    try:
        await asyncio.wait({collecting, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if collecting.done():
            return collecting.result()
        raise ClientGoneError
    finally:
        await _end(collecting)
        await _end(leaving)


async def _collect(waiter: AnswerWaiter, flows: int, timeout_seconds: float, clock: Clock) -> Reply:
    """Read the inbox until it decides. Ends are counted by run: one may be told twice."""
    deadline = clock.monotonic() + timeout_seconds
    ended: dict[str, str] = {}
    while len(ended) < flows:
        left = deadline - clock.monotonic()
        message = await waiter.next_message(left) if left > 0 else None
        match message:
            case Answer():
                return message
            case Ended(run_id, status):
                ended[run_id] = status
            case None:
                return NoAnswer.DEADLINE
    failed = next((run_id for run_id, status in ended.items() if status == _FAILED), None)
    return NoAnswer.ALL_ENDED if failed is None else FlowFailed(failed)


async def _wait_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _end(task: "asyncio.Future[Any]") -> None:
    if not task.done():
        task.cancel()
        await asyncio.wait({task})

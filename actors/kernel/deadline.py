"""Waiting with a limit, on the injected clock.

In: a task and how long to wait for it. Out: whether it is done. It never cancels the task and
never waits past the limit, so code that swallows its cancellation cannot hold up its owner.
"""

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

from actors.ports import Clock

T = TypeVar("T")


async def wait_done_within(clock: Clock, seconds: float, task: asyncio.Future[T]) -> bool:
    """Wait at most ``seconds`` for the task; it keeps running when False comes back."""
    timer = asyncio.ensure_future(clock.sleep(seconds))
    try:
        await asyncio.wait((task, timer), return_when=asyncio.FIRST_COMPLETED)
    finally:
        timer.cancel()
    return task.done()


def start_quietly(work: Coroutine[Any, Any, T], *, name: str) -> asyncio.Task[T]:
    """Start a task whose error, should nobody be left to read it, is not reported twice."""
    task = asyncio.get_running_loop().create_task(work, name=name)
    task.add_done_callback(_retrieve)
    return task


async def cancel_and_wait(tasks: Iterable[asyncio.Task[None] | None]) -> None:
    """Cancel operations and wait for them: they run no foreign code, so they end at once."""
    running = {task for task in tasks if task is not None and not task.done()}
    for task in running:
        task.cancel()
    if running:
        await asyncio.wait(running)


def _retrieve(task: asyncio.Task[T]) -> None:
    if not task.cancelled():
        task.exception()

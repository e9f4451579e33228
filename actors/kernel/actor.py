"""What an actor is to the one who writes it: a handful of hooks around `receive`.

In: messages, one at a time, never two at once. Out: whatever the actor does. An exception in
`on_start`, `receive` or a background task crashes the actor; its supervisor decides what follows,
and a fresh actor, built anew, takes the next message.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Coroutine
from typing import Any, ClassVar, Generic, Protocol, TypeVar

M = TypeVar("M")

BATCH_MAX_DEFAULT = 64
"""Messages `receive_many` gets at most, unless the actor says otherwise."""


class ActorHost(Protocol):
    """What the service around an actor does for it."""

    def finish(self) -> None:
        """End the actor after the message in hand."""
        ...

    def add_task(self, work: Coroutine[Any, Any, None]) -> "asyncio.Future[None]":
        """Run work beside the actor."""
        ...

    @property
    def tasks_running(self) -> int:
        """Count such work that is not over."""
        ...

    async def wait_tasks(self) -> None:
        """Wait until no such work is left."""
        ...


class Actor(ABC, Generic[M]):
    """State that only its own messages touch. Subclass it and write `receive`."""

    batch_max: ClassVar[int] = BATCH_MAX_DEFAULT
    _host: ActorHost | None = None

    @abstractmethod
    async def receive(self, message: M) -> None:
        """Handle one message."""

    async def receive_many(self, messages: list[M]) -> None:
        """Handle all messages that waited, at most ``batch_max``.

        Override it where work is cheaper in batches. A crash then loses the whole batch; without
        it only the one message in hand.
        """
        for message in messages:
            await self.receive(message)

    async def on_start(self) -> None:
        """Get ready. No message comes before it returns; raising counts as a crash."""

    async def on_drain(self) -> None:
        """Finish what was begun: the mailbox is closed and empty, a stop follows."""

    async def on_stop(self) -> None:
        """Release what `on_start` took; runs once per started actor, also after a crash."""

    @property
    def is_idle(self) -> bool:
        """Whether it may go for a while, asked between messages where its spec has idle time.

        Unless it knows better, with no work beside; `on_stop` runs, and a fresh actor takes the
        next message.
        """
        return not self.tasks_running

    # ── What an actor may do to itself ────────────────────────────────────────────────────────

    def attach(self, host: ActorHost) -> None:
        """Join the actor with its service (the kernel's call, once, before `on_start`)."""
        self._host = host

    def finish(self) -> None:
        """End normally after the message in hand; a permanent child is then restarted."""
        self._require_host().finish()

    def add_task(self, work: Coroutine[Any, Any, None]) -> "asyncio.Future[None]":
        """Run ``work`` beside the actor: its error crashes the actor, a stop cancels it."""
        return self._require_host().add_task(work)

    @property
    def tasks_running(self) -> int:
        """Count the tasks of `add_task` that have not ended."""
        return self._require_host().tasks_running

    async def wait_tasks(self) -> None:
        """Wait until every task of `add_task` has ended; what `on_drain` often wants."""
        await self._require_host().wait_tasks()

    def _require_host(self) -> ActorHost:
        if self._host is None:
            raise RuntimeError(f"{type(self).__name__} was not started by a supervisor")
        return self._host

"""The address of an actor: what senders hold, and what survives a restart of the actor.

In: messages (`tell`, `tell_nowait`, `ask`). Out: answers. The mailbox lives here and not in the
actor, so a restart loses no message that waits; only the message in the actor's hands at the moment
of a crash is lost to it (a delivery comes back by redelivery). It refuses messages once the actor
is stopped or set aside.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from actors.errors import ActorStoppedError, AskTimeoutError
from actors.kernel.deadline import start_quietly, wait_done_within
from actors.kernel.mailbox import Mailbox
from actors.ports import Clock

M = TypeVar("M")
T = TypeVar("T")


class Reply(Generic[T]):
    """The way back for one `ask`; it takes one answer, and ignores any that comes too late."""

    __slots__ = ("_future",)

    def __init__(self) -> None:
        self._future: asyncio.Future[T] = asyncio.get_running_loop().create_future()

    @property
    def is_wanted(self) -> bool:
        """Whether the asker still waits."""
        return not self._future.done()

    def answer(self, value: T) -> None:
        """Give the answer."""
        if not self._future.done():
            self._future.set_result(value)

    def fail(self, error: Exception) -> None:
        """Make the `ask` raise ``error``."""
        if not self._future.done():
            self._future.set_exception(error)

    async def wait(self) -> T:
        """Wait for the answer (the asker's side)."""
        return await self._future


class ActorRef(Generic[M]):
    """A stable address. ``name`` is the actor's path in its tree: ``root/tenant/flow``."""

    __slots__ = ("_asks", "_clock", "mailbox", "name")

    def __init__(self, name: str, *, mailbox: Mailbox[M], clock: Clock) -> None:
        self.name = name
        self.mailbox = mailbox
        self._clock = clock
        self._asks: dict[Reply[Any], M] = {}

    def __repr__(self) -> str:
        return f"<ActorRef {self.name}>"

    @property
    def depth(self) -> int:
        """Messages that wait for the actor."""
        return self.mailbox.depth

    @property
    def is_stopped(self) -> bool:
        """Whether messages are refused: stopped, draining, or set aside for a while."""
        return self.mailbox.is_closed

    async def tell(self, message: M) -> None:
        """Hand over a message, waiting while the mailbox is full; ActorStoppedError."""
        await self.mailbox.put(message)

    def tell_nowait(self, message: M) -> None:
        """Hand over a message now: MailboxFullError when there is no room; ActorStoppedError."""
        self.mailbox.put_nowait(message)

    async def ask(self, build_message: Callable[[Reply[T]], M], *, timeout_seconds: float) -> T:
        """Send a message that carries a Reply and wait for its answer.

        The time for finding room counts. Raises AskTimeoutError after ``timeout_seconds``,
        ActorStoppedError when the actor stops, or crashes with the message in its hands, and
        whatever the actor answers with `Reply.fail`.
        """
        reply: Reply[T] = Reply()
        message = build_message(reply)
        self._asks[reply] = message
        exchange = start_quietly(self._exchange(message, reply), name=f"ask {self.name}")
        try:
            if not await wait_done_within(self._clock, timeout_seconds, exchange):
                raise AskTimeoutError(f"{self.name} did not answer in {timeout_seconds} s")
            return exchange.result()
        finally:
            exchange.cancel()
            del self._asks[reply]

    async def _exchange(self, message: M, reply: Reply[T]) -> T:
        await self.mailbox.put(message)
        return await reply.wait()

    @property
    def has_asks(self) -> bool:
        """Whether somebody waits for an answer."""
        return bool(self._asks)

    # ── For the supervisor ────────────────────────────────────────────────────────────────────

    def fail_taken_asks(self) -> None:
        """Answer the asks whose message is no longer in the mailbox: their actor is gone."""
        if self._asks:
            waiting = {id(message) for message in self.mailbox.waiting()}
            self._fail_asks(lambda message: id(message) not in waiting)

    def suspend(self) -> None:
        """Refuse messages for a while; those inside stay, all askers are told."""
        self.mailbox.close()
        self._fail_asks(lambda _: True)

    def resume(self) -> None:
        """Take messages again."""
        self.mailbox.reopen()

    def close(self) -> None:
        """Refuse messages for ever and answer every pending ask."""
        self.suspend()

    def _fail_asks(self, is_lost: Callable[[M], bool]) -> None:
        for reply, message in self._asks.items():
            if is_lost(message):
                reply.fail(ActorStoppedError(f"{self.name} stopped before it answered"))

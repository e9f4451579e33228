"""A bounded mailbox: many senders, one reader, messages in the order they arrived.

In: messages, by `put` (waits for room) or `put_nowait`. Out: messages, one or many at a time. It
refuses messages when it is full (`put_nowait`) or closed; what is inside when it closes can still
be taken.

No task and no `asyncio.wait` per message: a full mailbox costs its senders one future each, an
empty one costs its reader one future, and everything else is a deque (measured: mode's own
``Service.wait`` per message is 30 times slower).
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from actors.errors import ActorStoppedError, MailboxFullError

M = TypeVar("M")

CAPACITY_DEFAULT = 64
"""Messages a mailbox holds unless its spec says otherwise (SPEC 13)."""


class Mailbox(Generic[M]):
    """Holds at most ``capacity`` messages between senders and one reader."""

    __slots__ = ("_capacity", "_is_closed", "_messages", "_reader", "_senders", "on_arrival")

    def __init__(self, capacity: int = CAPACITY_DEFAULT) -> None:
        if capacity < 1:
            raise ValueError(f"a mailbox holds at least one message, not {capacity}")
        self._capacity = capacity
        self._messages: deque[M] = deque()
        self._senders: dict[asyncio.Future[None], M] = {}
        self._reader: asyncio.Future[bool] | None = None
        self._is_closed = False
        self.on_arrival: Callable[[], None] | None = None
        """Called for every message while there is nobody to read it; None: somebody reads."""

    @property
    def capacity(self) -> int:
        """Messages it holds at most."""
        return self._capacity

    @property
    def depth(self) -> int:
        """Messages inside, senders that wait for room not counted."""
        return len(self._messages)

    @property
    def is_closed(self) -> bool:
        """Whether further messages are refused."""
        return self._is_closed

    async def put(self, message: M) -> None:
        """Add a message, waiting for room behind those who waited first.

        Cancelling the wait withdraws the message, unless room was found in the same moment.
        Raises ActorStoppedError when the mailbox is closed, also while waiting.
        """
        if self._is_closed:
            raise ActorStoppedError("the mailbox is closed")
        if len(self._messages) < self._capacity:
            self._append(message)
            return
        turn = asyncio.get_running_loop().create_future()
        self._senders[turn] = message
        try:
            await turn
        except asyncio.CancelledError:
            self._senders.pop(turn, None)
            raise

    def put_nowait(self, message: M) -> None:
        """Add a message or raise MailboxFullError; ActorStoppedError when closed."""
        if self._is_closed:
            raise ActorStoppedError("the mailbox is closed")
        if len(self._messages) >= self._capacity:
            raise MailboxFullError(f"the mailbox holds {self._capacity} messages already")
        self._append(message)

    async def wait_message(self) -> bool:
        """Wait until a message is inside. False: it is closed and empty, none will come.

        False also for a reader that was dismissed; messages may be inside then.
        """
        while not self._messages:
            if self._is_closed:
                return False
            if self._reader is not None:
                raise RuntimeError("a mailbox has one reader")
            self._reader = asyncio.get_running_loop().create_future()
            try:
                if not await self._reader:
                    return False
            finally:
                self._reader = None
        return True

    @property
    def has_idle_reader(self) -> bool:
        """Whether its reader waits, and nothing is there for it."""
        return self._reader is not None and not self._reader.done()

    def dismiss_reader(self) -> None:
        """Tell the reader that waits to read no more; the messages are for another one."""
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(False)

    async def get_many(self, messages_max: int) -> list[M]:
        """Wait for a message, then take all that are inside, at most ``messages_max``.

        The list is empty only when the mailbox is closed and drained.
        """
        await self.wait_message()
        return self.take_nowait(messages_max)

    def take_nowait(self, messages_max: int) -> list[M]:
        """Take what is inside, at most ``messages_max``; nothing when it is empty."""
        messages = self._messages
        if messages_max >= len(messages):
            taken = list(messages)
            messages.clear()
        else:
            taken = [messages.popleft() for _ in range(messages_max)]
        self._admit_senders()
        return taken

    def take_one_nowait(self) -> M:
        """Take the oldest message; IndexError when it is empty."""
        message = self._messages.popleft()
        if self._senders:
            self._admit_senders()
        return message

    def waiting(self) -> Iterator[M]:
        """Every message not yet taken, those of waiting senders last."""
        yield from self._messages
        yield from self._senders.values()

    def close(self) -> None:
        """Refuse further messages; whoever waits for room gets ActorStoppedError."""
        self._is_closed = True
        senders, self._senders = self._senders, {}
        for turn in senders:
            if not turn.done():
                turn.set_exception(ActorStoppedError("the mailbox closed while waiting for room"))
        self._wake_reader()

    def reopen(self) -> None:
        """Take messages again (its actor comes back from quarantine)."""
        self._is_closed = False

    def _append(self, message: M) -> None:
        self._messages.append(message)
        if self._reader is not None:
            self._wake_reader()
        if self.on_arrival is not None:
            self.on_arrival()

    def _wake_reader(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(True)

    def _admit_senders(self) -> None:
        # Room is handed over in the order it was asked for: the message moves in here, so nobody
        # who arrives before its sender wakes can overtake it.
        while self._senders and len(self._messages) < self._capacity:
            turn = next(iter(self._senders))
            message = self._senders.pop(turn)
            if not turn.done():
                self._messages.append(message)
                turn.set_result(None)

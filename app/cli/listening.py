"""Listens to subjects on the bus until enough was seen, and never more than it can show.

In: subjects, what makes lines of a message. Out: how many lines were printed. It only listens:
nothing is acknowledged, no consumer is made. What comes faster than it can be shown is let go, and
what happens while the connection is lost is not heard: both are told.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from rich.text import Text

from app.bus.connection import BusSettings
from app.bus.wire import Received
from app.cli.connecting import connected
from app.cli.output import print_json, say, warn

PENDING_MAX: Final = 10_000
PENDING_BYTES_MAX: Final = 64 * 1024 * 1024
"""Of what waits to be shown."""
AT_ONCE: Final = 100
"""Shown in one go: a terminal may be slow, and takes them in a thread of its own."""
TOLD_EVERY_SECONDS: Final = 1.0

Lines = Callable[[Received], Iterator[Text | dict[str, Any]]]
"""Gives the lines of one message, as they are wanted: a text, or what becomes JSON."""


@dataclass(frozen=True, slots=True)
class Enough:
    """When to end: after so many shown, after so many seconds; 0: never."""

    count: int = 0
    seconds: float = 0


class Pending:
    """Messages that wait to be shown."""

    def __init__(self, messages_max: int = PENDING_MAX, bytes_max: int = PENDING_BYTES_MAX) -> None:
        self._messages_max = messages_max
        self._bytes_max = bytes_max
        self._waiting: deque[Received] = deque()
        self._bytes = 0
        self._filled = asyncio.Event()
        self.lost = 0
        """Messages that there was no room for."""

    def put(self, message: Received) -> None:
        """Keep a message, if there is room; the newest are let go."""
        size = len(message.data)
        if len(self._waiting) >= self._messages_max or self._bytes + size > self._bytes_max:
            self.lost += 1
            return
        self._waiting.append(message)
        self._bytes += size
        self._filled.set()

    async def take(self, at_most: int) -> list[Received]:
        """Wait for messages, and give them in the order in which they came."""
        while not self._waiting:
            self._filled.clear()
            await self._filled.wait()
        taken = [self._waiting.popleft() for _ in range(min(at_most, len(self._waiting)))]
        self._bytes -= sum(len(message.data) for message in taken)
        return taken


class _Losses:
    """Tells what was not shown, at most once a second."""

    def __init__(self, pending: Pending) -> None:
        self._pending = pending
        self._told = 0
        self._told_at = 0.0
        self._is_away = False

    def came_back(self) -> None:
        """Take note that the connection was lost for a while."""
        self._is_away = True

    def tell(self, *, is_last: bool = False) -> None:
        """Say what has been lost since the last time."""
        if self._is_away:
            self._is_away = False
            warn("the connection was lost; what happened meanwhile is not shown", style="yellow")
        lost = self._pending.lost - self._told
        now = time.monotonic()
        if lost and (is_last or now - self._told_at >= TOLD_EVERY_SECONDS):
            self._told, self._told_at = self._pending.lost, now
            warn(f"{lost} came faster than they could be shown, and were let go", style="yellow")


@dataclass(slots=True)
class _Printer:
    """Prints lines up to a number of them. It works in a thread, and is asked beside it."""

    lines_of: Lines
    count_max: int
    count: int = 0

    @property
    def is_done(self) -> bool:
        return bool(self.count_max) and self.count >= self.count_max

    def print_all(self, messages: Sequence[Received]) -> None:
        for message in messages:
            for line in self.lines_of(message):
                if isinstance(line, dict):
                    print_json(line, indent=None)
                else:
                    say(line)
                self.count += 1
                if self.is_done:
                    return


async def listen(
    settings: BusSettings, subjects: Sequence[str], lines_of: Lines, enough: Enough
) -> int:
    """Print lines until there is enough; give how many they were. UnavailableError."""
    pending = Pending()
    losses = _Losses(pending)
    printer = _Printer(lines_of, enough.count)
    async with connected(settings) as bus:
        bus.on_reconnect(losses.came_back)
        for subject in subjects:
            await bus.subscribe(subject, pending.put)
        await bus.flush(2.0)
        warn(f"listening to {', '.join(subjects)}", style="dim")
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(enough.seconds or None):
                    while not printer.is_done:
                        messages = await pending.take(AT_ONCE)
                        await asyncio.to_thread(printer.print_all, messages)
                        losses.tell()
        finally:
            losses.tell(is_last=True)
    return printer.count

"""A message of run records, counted into windows.

In: a message of a shard, and the windows there are. Out: the windows it changes. Refuses nothing:
a window that nobody can read is told of and begun anew.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog

from app.history.metering.records import CountedRun, runs_of
from app.history.metering.repeats import ShardMemory
from app.history.metering.windows import UsageWindow, WindowPlace, decode_window, place_of

_log = structlog.get_logger("app.metering")


@dataclass(frozen=True, slots=True)
class ShardMessage:
    """A message of run records and its place."""

    shard: int
    sequence: int
    subject: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Counted:
    """What became of a message's records."""

    added: int
    repeated: int


class Windows(Protocol):
    """Where windows are kept, as bytes."""

    async def get(self, place: WindowPlace) -> bytes | None:
        """Give a window's value, if there is one. UnavailableError."""
        ...

    def put(self, place: WindowPlace, value: bytes) -> None:
        """Keep a window's value."""
        ...


class ShardFold:
    """Counts the messages of one shard, in the order stored."""

    def __init__(
        self, memory: ShardMemory, windows: Windows, is_gone: Callable[[str], bool]
    ) -> None:
        self._memory = memory
        self._windows = windows
        self._is_gone = is_gone

    async def count(self, message: ShardMessage) -> Counted:
        """Count one message. UnavailableError: it is not done.

        Nothing is counted for a tenant that is gone: its windows were erased. What a message that
        comes again had changed is kept once more: it comes because something failed, and that may
        have been the keeping.
        """
        await self._memory.prepare(message.sequence)
        there = list(runs_of(message.subject, message.data))
        runs = self._memory.take(message.sequence, there)
        added = 0
        for place, mine in _by_window(runs).items():
            if self._is_gone(place.tenant):
                continue
            window = _window(place, await self._windows.get(place))
            if window.apply(mine, message.shard, message.sequence):
                added += len(mine)
            self._windows.put(place, window.encode())
        return Counted(added, len(there) - len(runs))


def _window(place: WindowPlace, stored: bytes | None) -> UsageWindow:
    if not stored:
        return UsageWindow.empty()
    try:
        return decode_window(stored)
    except ValueError as error:
        # Nobody but us writes there; what was broken by hand is not worth standing still.
        _log.error("usage.unreadable", window=place.as_key(), reason=str(error))
        return UsageWindow.empty()


def _by_window(runs: Sequence[CountedRun]) -> dict[WindowPlace, list[CountedRun]]:
    found: dict[WindowPlace, list[CountedRun]] = {}
    for run in runs:
        found.setdefault(place_of(run), []).append(run)
    return found

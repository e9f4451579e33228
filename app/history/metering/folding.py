"""A message of run records, counted into windows.

In: a message of a shard, and the windows there are. Out: the windows it changes. Refuses nothing
but what cannot be read where windows are kept (ValueError).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from app.history.metering.records import CountedRun, runs_of
from app.history.metering.repeats import ShardMemory
from app.history.metering.windows import UsageWindow, WindowPlace, decode_window, place_of


@dataclass(frozen=True, slots=True)
class ShardMessage:
    """A message of run records and its place."""

    shard: int
    sequence: int
    subject: str
    data: bytes


class Windows(Protocol):
    """Where windows are kept, as bytes."""

    def get(self, place: WindowPlace) -> bytes | None:
        """Give a window's value, if there is one."""
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

    async def count(self, message: ShardMessage) -> int:
        """Count one message; gives how many runs it added. UnavailableError: nothing is counted.

        Nothing is counted for a tenant that is gone: its windows were erased.
        """
        await self._memory.prepare(message.sequence)
        runs = self._memory.take(message.sequence, list(runs_of(message.subject, message.data)))
        added = 0
        for place, mine in _by_window(runs).items():
            if self._is_gone(place.tenant):
                continue
            stored = self._windows.get(place)
            window = UsageWindow() if stored is None else decode_window(stored)
            if window.apply(mine, message.shard, message.sequence):
                self._windows.put(place, window.encode())
                added += len(mine)
        return added


def _by_window(runs: Sequence[CountedRun]) -> dict[WindowPlace, list[CountedRun]]:
    found: dict[WindowPlace, list[CountedRun]] = {}
    for run in runs:
        found.setdefault(place_of(run), []).append(run)
    return found

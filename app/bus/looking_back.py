"""Walking a stream in either direction, page by page, for people who look at it.

In: a stream, a pattern, a place to begin at. Out: messages in order, in steps of bounded size; the
server is asked for no more than is taken. Refuses nothing of its own; UnavailableError when nobody
answers.

The server reads forward only. To read backward a window of sequences is asked for: it cannot hold
more messages than it has sequences, so one question brings all of it. Where it brings little the
next one is wider (other tenants' messages lie between), where it is cut off it is narrower.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Final

from app.bus.direct import Batch, DirectReader, StoredMessage

STEP_MESSAGES: Final = 200
STEP_BYTES: Final = 4 * 1024 * 1024
"""After so many the server ends an answer; one message has a megabyte at most."""
WINDOW_MAX: Final = 1 << 40


@dataclass(frozen=True, slots=True)
class StreamWalk:
    """Messages of one pattern in one stream. Cheap: make one for each question."""

    reader: DirectReader
    stream: str
    pattern: str

    async def newest_first(self, before: int) -> AsyncIterator[Sequence[StoredMessage]]:
        """Give the messages before a place, the newest first, in steps."""
        end, window = before, STEP_MESSAGES
        while end > 1:
            start = max(1, end - window)
            # One more than fits: where it lies beyond the window, nothing of the window is missing.
            batch = await self._step(start, min(window, STEP_MESSAGES) + 1)
            found = [each for each in batch.messages if each.sequence < end]
            if _is_cut(batch, found, end) and window > 1:
                window //= 2
                continue
            if found:
                yield found[::-1]
            end = start
            if len(found) < window // 2:
                window = min(window * 4, WINDOW_MAX)

    async def oldest_first(self, after: int) -> AsyncIterator[Sequence[StoredMessage]]:
        """Give the messages after a place, the oldest first, in steps; new ones come too."""
        while True:
            batch = await self._step(after + 1, STEP_MESSAGES)
            if not batch.messages:
                return
            yield batch.messages
            after = batch.messages[-1].sequence

    async def at(self, sequence: int) -> StoredMessage | None:
        """Give the message of that very place, if it is one of the pattern."""
        batch = await self.reader.page(
            self.stream, self.pattern, from_sequence=sequence, count_max=1
        )
        return next((each for each in batch.messages if each.sequence == sequence), None)

    async def place_of_time(self, time_ms: int) -> int | None:
        """Give the place of the first message stored at that time or later; None: there is none."""
        first = await self.reader.first_since(self.stream, self.pattern, time_ms)
        return None if first is None else first.sequence

    async def _step(self, start: int, count: int) -> Batch:
        return await self.reader.step(
            self.stream, self.pattern, from_sequence=start, count_max=count, bytes_cut=STEP_BYTES
        )


def _is_cut(batch: Batch, found: Sequence[StoredMessage], end: int) -> bool:
    """Tell whether messages may be missing between the last one found and the window's end."""
    if not batch.pending or len(found) < len(batch.messages):
        return False
    return not found or found[-1].sequence < end - 1

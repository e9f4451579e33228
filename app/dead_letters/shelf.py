"""Where one tenant's dead letters stand: read in either direction, by letter, by event.

In: a tenant; a place in the stream. Out: letters, in the order asked for. Refuses names that are no
tokens (InvalidSubjectError); UnavailableError when nobody answers. Every question carries the
tenant's own subjects, so no place and no id leads to another tenant's letters.
"""

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Final

from actors.errors import UnavailableError
from actors.subjects import (
    dead_letters_before,
    dead_letters_named,
    dead_letters_of,
    dead_letters_of_event,
)
from app.bus.direct import DirectReader, StoredMessage
from app.dead_letters.letters import SEQUENCE_MARK, KeptLetter, keep

EVENT_LETTERS_MAX: Final = 1000
"""Letters of one event that are looked at: one for each flow, as a rule."""
PAGE_BYTES_MAX: Final = 96 * 1024 * 1024
"""The server itself ends an answer after 64 MiB (measured)."""
BYTES_KEPT_MAX: Final = 64 * 1024 * 1024
"""Of letters read backwards; those before them come with the next question."""
BEFORE_LETTERS_MAX: Final = 10_000
"""Letters of earlier versions that are looked through for one."""
PLACE_DIGITS_MAX: Final = 18
ATTEMPTS_MAX: Final = 5


class LetterShelf:
    """The letters of one tenant. Cheap: make one for each question."""

    def __init__(self, reader: DirectReader, stream: str, env: str, tenant: str) -> None:
        self._reader = reader
        self._stream = stream
        self._env = env
        self._tenant = tenant
        self._patterns = (dead_letters_before(env, tenant), dead_letters_of(env, tenant))

    async def forward(self, after: int, count: int) -> Sequence[KeptLetter]:
        """Give the next letters after a place, the oldest first; at most ``count``."""
        return self._kept(await self._next(self._patterns, after + 1, count))

    async def backward(self, before: int, count: int) -> Sequence[KeptLetter]:
        """Give the last letters before a place, the newest first; at most ``count``.

        The server reads forward only, but says how many more there are: so the place from which
        ``count`` remain is found by halving, from the end on, where asking is cheap. Letters that
        arrive meanwhile make it a place too late; then it is looked for again.
        """
        highest = before - 1
        for _ in range(ATTEMPTS_MAX):
            beyond = await self.count_from(before)
            lowest = await self._find_place(highest, count, beyond)
            found = await self._between(lowest, highest, count)
            if found or lowest == 1:
                return found[::-1]
        raise UnavailableError("letters arrive faster than they can be listed")

    async def count_from(self, sequence: int) -> int:
        """Count the letters from a place on."""
        asked = [
            self._reader.page(self._stream, each, from_sequence=sequence, count_max=1)
            for each in self._patterns
        ]
        return sum(len(page.messages) + page.pending for page in await asyncio.gather(*asked))

    async def find(self, letter_id: str) -> KeptLetter | None:
        """Give one letter by its id, or by its place as ``@SEQUENCE``; None: it has no such."""
        if letter_id.startswith(SEQUENCE_MARK):
            return await self._at(letter_id[len(SEQUENCE_MARK) :])
        pattern = dead_letters_named(self._env, self._tenant, letter_id)
        named = self._kept(await self._reader.last_of_each(self._stream, pattern) or ())
        found = next((kept for kept in named if kept.id == letter_id), None)
        if found is not None:
            return found
        return next((kept for kept in await self._of_before() if kept.id == letter_id), None)

    async def of_event(self, event_id: str) -> Sequence[KeptLetter]:
        """Give the letters of one event, the oldest first; at most `EVENT_LETTERS_MAX`.

        One question, whose price does not depend on how many letters there are. What earlier
        versions kept is not found by it: see `of_event_before`.
        """
        pattern = dead_letters_of_event(self._env, self._tenant, event_id)
        messages = await self._reader.last_of_each(self._stream, pattern)
        if messages is None:
            messages = await self._next((pattern,), 1, EVENT_LETTERS_MAX)
        return [kept for kept in self._kept(messages) if _event_id_of(kept) == event_id]

    async def of_event_before(self, event_id: str) -> Sequence[KeptLetter]:
        """Give what earlier versions kept of one event."""
        return [kept for kept in await self._of_before() if _event_id_of(kept) == event_id]

    # ── Questions ────────────────────────────────────────────────────────────────────────────

    async def _find_place(self, highest: int, count: int, beyond: int) -> int:
        """Give the highest place with ``count`` letters from it to ``highest``; else the first."""
        span, lowest = count, max(1, highest - count + 1)
        while lowest > 1 and await self.count_from(lowest) - beyond < count:
            span *= 2
            lowest = max(1, highest - span + 1)
        last = max(lowest, highest - span // 2)
        while lowest < last:
            middle = (lowest + last + 1) // 2
            if await self.count_from(middle) - beyond >= count:
                lowest = middle
            else:
                last = middle - 1
        return lowest

    async def _between(self, lowest: int, highest: int, count: int) -> list[KeptLetter]:
        """Give the letters from place to place; where they are large, the last of them."""
        found: deque[StoredMessage] = deque()
        taken, bytes_kept = 0, 0
        while lowest <= highest and taken < count:
            messages = await self._next(self._patterns, lowest, count - taken)
            if not messages:
                break
            # Fewer than asked for, where they are large: the server ends an answer early.
            taken += len(messages)
            lowest = messages[-1].sequence + 1
            found.extend(each for each in messages if each.sequence <= highest)
            bytes_kept += sum(len(each.data) for each in messages)
            while bytes_kept > BYTES_KEPT_MAX and len(found) > 1:
                bytes_kept -= len(found.popleft().data)
        return self._kept(found)

    async def _next(
        self, patterns: Sequence[str], from_sequence: int, count: int
    ) -> list[StoredMessage]:
        """Give the next messages of all patterns, in the stream's order."""
        asked = [
            self._reader.page(
                self._stream,
                each,
                from_sequence=from_sequence,
                count_max=count,
                bytes_max=PAGE_BYTES_MAX,
            )
            for each in patterns
        ]
        pages = await asyncio.gather(*asked)
        # Past the end of a page that has more to come, another's messages would come too early.
        ends = [page.messages[-1].sequence for page in pages if page.pending and page.messages]
        messages = [each for page in pages for each in page.messages]
        messages = [each for each in messages if not ends or each.sequence <= min(ends)]
        return sorted(messages, key=lambda each: each.sequence)[:count]

    async def _at(self, place: str) -> KeptLetter | None:
        if not (place.isascii() and place.isdigit() and len(place) <= PLACE_DIGITS_MAX):
            return None
        messages = await self._next(self._patterns, max(1, int(place)), 1)
        return next((each for each in self._kept(messages) if each.sequence == int(place)), None)

    async def _of_before(self) -> list[KeptLetter]:
        messages = await self._next(self._patterns[:1], 1, BEFORE_LETTERS_MAX)
        return self._kept(messages)

    def _kept(self, messages: Iterable[StoredMessage]) -> list[KeptLetter]:
        return [keep(self._tenant, message) for message in messages]


def _event_id_of(kept: KeptLetter) -> str | None:
    return None if kept.decoded is None else kept.decoded.event_id

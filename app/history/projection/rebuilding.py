"""Building the history anew from the streams.

In: an open store, the streams of run records. Out: the rows that the projection would have written
of them, and a report. ConflictError: the history has runs that the streams no longer have, and
would lose them.

It reads the streams itself and moves no consumer, so a projection that writes meanwhile goes on:
what it is given before the store was emptied is read here, and what comes after, it writes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from actors.ports import Clock
from app.bus.admin import JetStreamAdmin
from app.bus.direct import DirectReader
from app.bus.looking_back import StreamWalk
from app.errors import ConflictError
from app.history.projection.lag import ALL, LagReader, stored_ms
from app.history.projection.reading import MessagePlace, read_message, shard_of
from app.history.store.facts import HistoryFacts
from app.history.store.rows import RunRow

ROWS_AT_ONCE: Final = 2000
EARLY_MS: Final = 60_000
"""A record is stored once its run has ended, up to some seconds later."""


class RebuiltStore(Protocol):
    """As much of `HistoryStore` as rebuilding needs."""

    async def write(self, rows: Sequence[RunRow]) -> int:
        """See `HistoryStore.write`."""
        ...

    async def facts(self) -> HistoryFacts:
        """See `HistoryStore.facts`."""
        ...

    async def reset(self) -> None:
        """See `HistoryStore.reset`."""
        ...


@dataclass(slots=True)
class Progress:
    """How far a rebuilding is. ``messages_max`` is an estimate: what the streams had at first."""

    messages: int = 0
    messages_max: int = 0
    records: int = 0
    runs: int = 0
    malformed: int = 0
    erased: int = 0
    """Records of deleted tenants."""
    seconds: float = 0.0

    def as_mapping(self) -> dict[str, Any]:
        """Give its document."""
        return {
            "messages": self.messages,
            "records": self.records,
            "runs": self.runs,
            "malformed": self.malformed,
            "erased": self.erased,
            "seconds": round(self.seconds, 3),
        }


class Rebuilding:
    """One rebuilding of one history."""

    def __init__(
        self,
        store: RebuiltStore,
        reader: DirectReader,
        env: str,
        is_erased: Callable[[str], bool],
        clock: Clock,
    ) -> None:
        self._store = store
        self._reader = reader
        self._admin = JetStreamAdmin(reader.bus)
        self._streams = LagReader(reader, env, clock)
        self._is_erased = is_erased
        self._clock = clock
        self._rows: list[RunRow] = []
        self.progress = Progress()

    async def run(self, tell: Callable[[Progress], None], *, drops_older: bool = False) -> Progress:
        """Empty the store and fill it again; ``tell`` hears of the progress now and then."""
        began = self._clock.monotonic()
        streams = await self._streams.streams()
        if not drops_older:
            await self._check_older(streams)
        await self._store.reset()
        ends = {stream: await self._end_of(stream) for stream in streams}
        for stream, end in ends.items():
            await self._read(stream, end, tell)
        await self._flush()
        self.progress.seconds = self._clock.monotonic() - began
        return self.progress

    async def _check_older(self, streams: Sequence[str]) -> None:
        """Refuse to lose what the streams no longer have."""
        facts = await self._store.facts()
        if facts.oldest_ms is None:
            return
        firsts = [await self._first_ms(stream) for stream in streams]
        known = [first for first in firsts if first is not None]
        if not known or facts.oldest_ms < min(known) - EARLY_MS:
            raise ConflictError(
                "the history has runs that are older than what the streams still have:"
                " built anew, it would lose them"
            )

    async def _first_ms(self, stream: str) -> int | None:
        batch = await self._reader.page(stream, ALL, count_max=1)
        return stored_ms(batch.messages[0]) if batch.messages else None

    async def _end_of(self, stream: str) -> int:
        info = await self._admin.stream_info(stream)
        if info is None:
            return 0
        self.progress.messages_max += info.messages
        return info.last_sequence

    async def _read(self, stream: str, end: int, tell: Callable[[Progress], None]) -> None:
        shard = shard_of(stream) or 0
        async for messages in StreamWalk(self._reader, stream, ALL).oldest_first(0):
            for message in messages:
                if message.sequence > end:
                    return
                self._take(message.data, MessagePlace(message.subject, shard, message.sequence))
                if len(self._rows) >= ROWS_AT_ONCE:
                    await self._flush()
            tell(self.progress)

    def _take(self, data: bytes, place: MessagePlace) -> None:
        found, progress = read_message(data, place), self.progress
        kept = [row for row in found.rows if not self._is_erased(row.tenant)]
        progress.messages += 1
        progress.records += len(found.rows)
        progress.erased += len(found.rows) - len(kept)
        progress.malformed += found.malformed
        self._rows += kept

    async def _flush(self) -> None:
        rows, self._rows = self._rows, []
        if rows:
            self.progress.runs += await self._store.write(rows)

"""Records that were stored twice: each run counts once.

In: the runs of a shard, in the order stored. Out: whether a run's record was there before. Refuses
nothing.

After a crash a worker may store a record once more. A record is a repeat if its run is among the
`runs_max` records of the shard before it: of two records the first one counts. That depends on
the stream alone, not on who was killed when: the memory is filled from the stream before the first
message is counted (`ShardMemory.prepare`). A repeat that comes later than that counts again.
"""

from collections import deque
from collections.abc import AsyncIterator, Sequence
from hashlib import blake2b
from typing import Final, Protocol

from app.bus.direct import StoredMessage
from app.history.metering.records import CountedRun, runs_of

RUNS_REMEMBERED: Final = 200_000
"""About 40 MB once they are all there."""


class Pages(Protocol):
    """The messages of a shard; `app.bus.looking_back.StreamWalk` reads them off the server."""

    def newest_first(self, before: int) -> AsyncIterator[Sequence[StoredMessage]]:
        """Give the messages before a sequence, the newest first, in steps."""
        ...

    def oldest_first(self, after: int) -> AsyncIterator[Sequence[StoredMessage]]:
        """Give the messages after a sequence, the oldest first, in steps."""
        ...


class RecentRuns:
    """The runs of the latest records of a shard."""

    def __init__(self, runs_max: int) -> None:
        self._runs_max = runs_max
        self._order: deque[bytes] = deque()
        self._last: dict[bytes, int] = {}
        """The number of a run's last record."""
        self._taken = 0

    def __len__(self) -> int:
        return len(self._order)

    def take(self, name: bytes) -> bool:
        """Remember a run's record by its `name_of`; False: it is a repeat."""
        before = self._last.get(name, 0)
        self._taken += 1
        self._last[name] = self._taken
        self._order.append(name)
        if len(self._order) > self._runs_max:
            self._forget_one()
        return not before

    def clear(self) -> None:
        """Forget all."""
        self._order.clear()
        self._last.clear()

    def _forget_one(self) -> None:
        name = self._order.popleft()
        # What was repeated since is remembered by its later record.
        if self._last[name] <= self._taken - self._runs_max:
            del self._last[name]


class ShardMemory:
    """What was stored lately in one shard, and up to which message."""

    def __init__(self, pages: Pages, runs_max: int = RUNS_REMEMBERED) -> None:
        self._pages = pages
        self._runs_max = runs_max
        self._recent = RecentRuns(runs_max)
        self._at: int | None = None

    async def prepare(self, sequence: int) -> None:
        """Know what was stored before a message; then `take` it. UnavailableError.

        Messages that others counted meanwhile are caught up with. One that comes again is judged by
        what was before it, so all is read anew: that is rare, after a failure or a new lease.
        """
        at = self._at
        if at is not None and sequence == at + 1:
            return
        self._at = None
        if at is not None and sequence > at:
            await self._catch_up(at, sequence)
        else:
            await self._fill(sequence)
        self._at = sequence - 1

    def take(self, sequence: int, runs: Sequence[CountedRun]) -> list[CountedRun]:
        """Give those of a message's runs that are no repeats."""
        self._at = sequence
        return [run for run in runs if self._recent.take(name_of(run))]

    async def _catch_up(self, after: int, before: int) -> None:
        async for messages in self._pages.oldest_first(after):
            for message in messages:
                if message.sequence >= before:
                    return
                self._remember(message)

    async def _fill(self, before: int) -> None:
        self._recent.clear()
        newest_first: list[bytes] = []
        async for messages in self._pages.newest_first(before):
            for message in messages:
                newest_first += reversed(_names_in(message))
            if len(newest_first) >= self._runs_max:
                break
        for name in reversed(newest_first):
            self._recent.take(name)

    def _remember(self, message: StoredMessage) -> None:
        for name in _names_in(message):
            self._recent.take(name)


def name_of(run: CountedRun) -> bytes:
    """Tell runs apart, those of two tenants too: event ids are chosen by whoever publishes."""
    text = f"{run.tenant}\0{run.flow}\0{run.run_id}"
    return blake2b(text.encode(errors="surrogatepass"), digest_size=12).digest()


def _names_in(message: StoredMessage) -> list[bytes]:
    return [name_of(run) for run in runs_of(message.subject, message.data)]

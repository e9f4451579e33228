"""Batches: what several messages bring is written together.

In: messages that were read, each with its acknowledgement. Out: rows in the store, then the
acknowledgements. Refuses nothing: a database that does not answer is asked again until it does,
and meanwhile nothing more is taken; a row that it will not have is left out, counted and told of.

Nothing is acknowledged that is not written, so whatever ends this process in between comes again;
and what comes again makes the same rows (`HistoryStore.write`).
"""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import structlog

from actors.errors import ActorsError, UnavailableError
from app.errors import AppError
from app.history.projection.reading import ReadMessage
from app.history.store.rows import RunRow
from app.observability.history import HistoryMeter

RETRY_FIRST_SECONDS: Final = 0.1
RETRY_SECONDS_MAX: Final = 10.0
LINES_MAX: Final = 10
"""Malformed messages of one batch that are told of in the log."""
_DOUBLINGS_MAX: Final = 10

_log = structlog.get_logger("app.history")


class RowStore(Protocol):
    """As much of `HistoryStore` as writing needs."""

    async def write(self, rows: Sequence[RunRow]) -> int:
        """See `HistoryStore.write`."""
        ...


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """How much is written at once."""

    records: int = 1000
    """A batch is full once it has so many; the last message may bring some more."""
    seconds: float = 0.1
    """How long a record waits for others."""


@dataclass(frozen=True, slots=True)
class BatchPorts:
    """What writing works with."""

    store: RowStore
    meter: HistoryMeter
    is_erased: Callable[[str], bool]
    """Tells whether a tenant was deleted: its rows are not written."""
    writing: asyncio.Lock
    """Held while rows are written: whoever erases a tenant's rows holds it too."""


class Batches:
    """Collects, writes, acknowledges. `run` it beside whoever calls `put`."""

    def __init__(self, ports: BatchPorts, limits: BatchLimits) -> None:
        self._ports = ports
        self._limits = limits
        self._waiting: list[tuple[ReadMessage, Callable[[], object]]] = []
        self._records = 0
        self._changed = asyncio.Condition()
        self._jitter = random.Random()  # noqa: S311 - spreads retries, hides nothing
        self.failures = 0
        """Tries that failed since something was written last."""

    async def put(self, message: ReadMessage, ack: Callable[[], object]) -> None:
        """Take a message; returns once there is room for it. ``ack`` is called when it is kept."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._records < self._limits.records)
            self._waiting.append((message, ack))
            self._records += max(1, len(message.rows))
            self._changed.notify_all()

    async def run(self) -> None:
        """Write until cancelled; what was not written by then is not acknowledged."""
        while True:
            batch = await self._next()
            await self._write([message for message, _ in batch])
            for _, ack in batch:
                ack()

    async def _next(self) -> Sequence[tuple[ReadMessage, Callable[[], object]]]:
        async with self._changed:
            await self._changed.wait_for(lambda: self._records > 0)
            try:
                async with asyncio.timeout(self._limits.seconds):
                    await self._changed.wait_for(lambda: self._records >= self._limits.records)
            except TimeoutError:
                pass
            batch, self._waiting, self._records = self._waiting, [], 0
            self._changed.notify_all()
        return batch

    # ── Writing ──────────────────────────────────────────────────────────────────────────────

    async def _write(self, messages: Sequence[ReadMessage]) -> None:
        malformed = _tell_malformed(messages)
        rows = [row for message in messages for row in message.rows]
        ports = self._ports
        with ports.meter.write_seconds.time():
            counts = await self._write_surely(rows)
        ports.meter.count_records({**counts, "malformed": counts["malformed"] + malformed})

    async def _write_surely(self, rows: Sequence[RunRow]) -> Counter[str]:
        """Write them however long it takes, and give what became of how many."""
        while True:
            try:
                return await self._write_once(rows)
            except UnavailableError as error:
                await self._pause(error)

    async def _write_once(self, rows: Sequence[RunRow]) -> Counter[str]:
        ports, counts = self._ports, Counter[str]()
        async with ports.writing:
            kept = [row for row in rows if not ports.is_erased(row.tenant)]
            counts["erased"] = len(rows) - len(kept)
            await self._keep(kept, counts)
        if self.failures:
            _log.info("history.resumed", failures=self.failures)
            self.failures = 0
        return counts

    async def _keep(self, rows: Sequence[RunRow], counts: Counter[str]) -> None:
        """Write rows; of those that the database refuses, find the one that is to blame."""
        if not rows:
            return
        try:
            new = await self._ports.store.write(rows)
        except UnavailableError:
            raise
        except (AppError, ActorsError) as error:
            if len(rows) > 1:
                middle = len(rows) // 2
                await self._keep(rows[:middle], counts)
                await self._keep(rows[middle:], counts)
                return
            _tell_refused(rows[0], error)
            counts["malformed"] += 1
            return
        counts["written"] += new
        counts["repeated"] += len(rows) - new

    async def _pause(self, error: UnavailableError) -> None:
        self.failures += 1
        self._ports.meter.fail("database")
        if self.failures == 1:
            _log.warning("history.stalled", reason=str(error))
        seconds = RETRY_FIRST_SECONDS * 2 ** min(self.failures - 1, _DOUBLINGS_MAX)
        await asyncio.sleep(min(seconds, RETRY_SECONDS_MAX) * self._jitter.uniform(0.5, 1.0))


def _tell_malformed(messages: Sequence[ReadMessage]) -> int:
    """Name a few, and count all."""
    malformed = [message for message in messages if message.malformed]
    for message in malformed[:LINES_MAX]:
        _log.error(
            "history.malformed",
            subject=message.place.subject,
            sequence=message.place.sequence,
            records=message.malformed,
            reasons=list(message.reasons),
        )
    return sum(message.malformed for message in malformed)


def _tell_refused(row: RunRow, error: AppError | ActorsError) -> None:
    _log.error(
        "history.refused",
        tenant=row.tenant,
        run_id=row.run_id,
        shard=row.shard,
        sequence=row.sequence,
        error_code=error.code,
        reason=str(error),
    )

"""What the history lets go: runs that are too old, and all of tenants that were deleted.

In: how long runs are kept, the tenants' records. Out: nothing of either in the store. Refuses
nothing; what fails is tried again, later each time.
"""

import asyncio
from typing import Final, Protocol

import structlog

from actors.errors import ActorsError
from actors.ports import Clock
from app.errors import AppError
from app.observability.history import HistoryMeter
from app.tenancy.directory import TenantDirectory
from app.tenancy.record import TenantRecord

SWEEP_SECONDS: Final = 600.0
BITE_RUNS: Final = 1000
"""What is forgotten in one transaction: others wait for no more."""
PAUSE_SECONDS: Final = 0.05
"""Between two bites, so that writing goes on."""
RETRY_FIRST_SECONDS: Final = 1.0
RETRY_SECONDS_MAX: Final = 300.0
DAY_MS: Final = 24 * 3600 * 1000
_DOUBLINGS_MAX: Final = 10

_log = structlog.get_logger("app.history")


class ForgettingStore(Protocol):
    """As much of `HistoryStore` as forgetting needs."""

    async def forget_before(self, finished_ms: int, *, at_most: int) -> int:
        """See `HistoryStore.forget_before`."""
        ...

    async def erase(self, tenant: str) -> int:
        """See `HistoryStore.erase`."""
        ...


class Retention:
    """Forgets runs that ended more than some days ago."""

    def __init__(
        self, store: ForgettingStore, keep_days: int, clock: Clock, meter: HistoryMeter
    ) -> None:
        self._store = store
        self._keep_days = keep_days
        self._clock = clock
        self._meter = meter

    async def run(self) -> None:
        """Sweep now and then until cancelled."""
        while self._keep_days:
            try:
                await self.sweep()
            except (AppError, ActorsError) as error:
                self._meter.fail("retention")
                _log.warning("history.not_swept", reason=str(error))
            await self._clock.sleep(SWEEP_SECONDS)

    async def sweep(self) -> int:
        """Forget what is too old now, and give how much it was."""
        before_ms = self._clock.now_ms() - self._keep_days * DAY_MS
        forgotten = 0
        while True:
            bite = await self._store.forget_before(before_ms, at_most=BITE_RUNS)
            self._meter.forget("old", bite)
            forgotten += bite
            if bite < BITE_RUNS:
                return forgotten
            await self._clock.sleep(PAUSE_SECONDS)


def is_deleted(directory: TenantDirectory, tenant: str) -> bool:
    """Tell whether a tenant was deleted, as far as a directory knows."""
    record = directory.records().get(tenant)
    return record is not None and record.is_deleted


class TenantRows:
    """Has the rows of deleted tenants erased, and no new ones written.

    Whoever writes rows asks `is_erased` with ``writing`` held: so nothing is written for a tenant
    once its rows were erased.
    """

    def __init__(
        self,
        store: ForgettingStore,
        directory: TenantDirectory,
        meter: HistoryMeter,
        writing: asyncio.Lock,
    ) -> None:
        self._store = store
        self._directory = directory
        self._meter = meter
        self._writing = writing
        self._pending: set[str] = set()
        self._has_news = asyncio.Event()
        self._failures = 0
        directory.on_change(self._hear)
        for tenant, record in directory.records().items():
            self._hear(tenant, record)

    def is_erased(self, tenant: str) -> bool:
        """Tell whether a tenant was deleted, as far as this process knows."""
        return is_deleted(self._directory, tenant)

    async def erase(self, tenant: str) -> int:
        """Erase a tenant's rows, and give how many there were."""
        async with self._writing:
            rows = await self._store.erase(tenant)
        self._meter.forget("tenant", rows)
        if rows:
            _log.info("history.erased", tenant=tenant, runs=rows)
        return rows

    async def run(self) -> None:
        """Erase whoever is deleted, until cancelled."""
        while True:
            await self._has_news.wait()
            self._has_news.clear()
            try:
                while self._pending:
                    tenant = min(self._pending)
                    if self.is_erased(tenant):
                        await self.erase(tenant)
                    self._pending.discard(tenant)
                self._failures = 0
            except (AppError, ActorsError) as error:
                await self._pause(error)

    async def _pause(self, error: AppError | ActorsError) -> None:
        self._failures += 1
        self._meter.fail("erasure")
        _log.warning("history.not_erased", tenants=len(self._pending), reason=str(error))
        seconds = RETRY_FIRST_SECONDS * 2 ** min(self._failures - 1, _DOUBLINGS_MAX)
        await asyncio.sleep(min(seconds, RETRY_SECONDS_MAX))
        self._has_news.set()

    def _hear(self, tenant: str, record: TenantRecord | None) -> None:
        if record is not None and record.is_deleted:
            self._pending.add(tenant)
            self._has_news.set()

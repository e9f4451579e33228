"""Sees to it that deleted tenants are erased, and stay so: one steward in each process.

In: the tenants' records, and time. Out: nothing of a deleted tenant in any store. Refuses nothing;
what fails is tried again, later each time.

A deletion is acted on as soon as it is heard of. At the start and every hour all tombstones are
looked at: for tenants that were deleted while nobody ran, and for what a worker that slept has
written since. Of several processes the one that holds the lease erases; the others find it done.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import Final

import structlog

from actors.errors import ActorsError, UnavailableError
from actors.ports import Clock
from app.control.control import holder_name
from app.control.erasing import Check, TenantStores
from app.control.lease import hold_lease
from app.erasure.eraser import TOMBSTONE_MARGIN_MS, TenantEraser
from app.errors import AppError
from app.stores.kv import KvBucket
from app.tenancy.directory import TenantDirectory
from app.tenancy.record import TenantRecord

LEASE_KEY: Final = "erasure"
"""One token: tenants' keys in that bucket have four, workers' two."""
SWEEP_SECONDS: Final = 3600.0
RETRY_FIRST_SECONDS: Final = 2.0
RETRY_SECONDS_MAX: Final = 300.0
AT_ONCE_MAX: Final = 8

_log = structlog.get_logger("app.erasure")


@dataclass(frozen=True, slots=True)
class Sweeping:
    """What a sweep looks after besides tombstones, and how often it comes."""

    collect: Callable[[], Awaitable[int]] | None = None
    """Deletes the bundles that no deployment names any more (`DeploymentStore.collect`)."""
    seconds: float = SWEEP_SECONDS


class EraseSteward:
    """One for each process. Use `start`, then `stop`; the directory is started by its owner."""

    def __init__(
        self,
        directory: TenantDirectory,
        eraser: TenantEraser,
        stores: TenantStores,
        leases: KvBucket,
        clock: Clock,
        sweeping: Sweeping | None = None,
    ) -> None:
        self._directory = directory
        self._eraser = eraser
        self._stores = stores
        self._leases = leases
        self._clock = clock
        self._sweeping = sweeping or Sweeping()
        self._woken = asyncio.Event()
        self._next_sweep = float("-inf")
        self._failures = 0
        self._task: asyncio.Task[None] | None = None
        directory.on_change(self._hear)

    def start(self) -> None:
        """Erase what is to be erased, from now on until `stop`."""
        self._task = asyncio.create_task(self._keep_erasing(), name="erasure")

    async def stop(self) -> None:
        """Erase no more; what was begun goes on in another process, or at the next start."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None

    async def erase_pending(self) -> bool:
        """Erase whoever was deleted and is not erased; False: some could not be."""
        return await self._erase(self._tombstones(is_purged=False))

    async def sweep(self) -> bool:
        """Erase what was written for tenants that were erased, and what belongs to nobody."""
        purged = self._tombstones(is_purged=True)
        left = await self._stores.leftovers(purged)
        is_well = await self._erase(left)
        await self._stores.remove_loose_parts()
        if self._sweeping.collect is not None:
            await self._sweeping.collect()
        return is_well

    # ── Work ─────────────────────────────────────────────────────────────────────────────────

    async def _erase(self, tenants: Collection[str]) -> bool:
        if not tenants:
            return True
        limit = asyncio.Semaphore(AT_ONCE_MAX)
        async with hold_lease(self._leases, LEASE_KEY, holder_name()) as lease:

            async def erase(tenant: str) -> bool:
                async with limit:
                    return await self._is_erased(tenant, lease.check)

            return all(await asyncio.gather(*map(erase, sorted(tenants))))

    async def _is_erased(self, tenant: str, check: Check) -> bool:
        """Erase one; its trouble is not the others'."""
        try:
            check()
            await self._eraser.erase_tenant(tenant, check)
        except (AppError, ActorsError) as error:
            _log.warning("tenant.not_erased", tenant=tenant, reason=str(error))
            return False
        return True

    def _tombstones(self, *, is_purged: bool) -> list[str]:
        soon_ms = self._clock.now_ms() + TOMBSTONE_MARGIN_MS
        return [
            record.id
            for record in self._directory.records().values()
            if record.ends_ms is not None
            and record.ends_ms > soon_ms
            and (record.purged_ms is not None) == is_purged
        ]

    # ── Time ─────────────────────────────────────────────────────────────────────────────────

    async def _keep_erasing(self) -> None:
        while True:
            self._woken.clear()
            try:
                is_well = await self._round()
            except UnavailableError as error:
                # NATS is away, or another process has the lease for long.
                _log.info("erasure.put_off", reason=str(error))
                is_well = False
            except (AppError, ActorsError) as error:
                _log.warning("erasure.interrupted", reason=str(error))
                is_well = False
            self._failures = 0 if is_well else self._failures + 1
            await self._pause()

    async def _round(self) -> bool:
        is_well = await self.erase_pending()
        if self._clock.monotonic() >= self._next_sweep:
            is_well = await self.sweep() and is_well
            spread = random.uniform(0.9, 1.1)  # noqa: S311 - so that processes do not sweep at once
            self._next_sweep = self._clock.monotonic() + self._sweeping.seconds * spread
        return is_well

    async def _pause(self) -> None:
        """Wait for a deletion, the next sweep, or the next try of what failed."""
        until_sweep = max(0.0, self._next_sweep - self._clock.monotonic())
        retry = RETRY_FIRST_SECONDS * 2 ** min(self._failures - 1, 10)
        seconds = min(retry, RETRY_SECONDS_MAX) if self._failures else until_sweep
        asleep = asyncio.ensure_future(self._clock.sleep(seconds))
        woken = asyncio.ensure_future(self._woken.wait())
        try:
            await asyncio.wait((asleep, woken), return_when=asyncio.FIRST_COMPLETED)
        finally:
            asleep.cancel()
            woken.cancel()

    def _hear(self, _: str, record: TenantRecord | None) -> None:
        if record is not None and record.is_deleted and record.purged_ms is None:
            self._woken.set()

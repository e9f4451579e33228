"""Erasing one tenant: first nobody may do anything in its name, then all of its data goes.

In: a tenant whose record is a tombstone. Out: a report. Refuses (ConflictError) a tenant that is
not deleted, one whose tombstone is about to end, and one that is still written to after
`ROUNDS_MAX` rounds; UnavailableError when NATS does not answer, or the audit log takes no entries.

The order is the safety: credentials are revoked and the deployment is taken back while their
records are still there to be heard of by whoever follows them, then the workers get time to let go,
then the records go with all the rest. Whoever was cut off for longer than a follower trusts what it
knows reads everything anew (`app.stores.following`), so nobody misses what was said in between.
A last look over every store decides whether the tenant is gone; only then does the tombstone say
so. Cut short anywhere, the whole of it is done again and finds less to do.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

import structlog

from actors.ports import Clock
from app.accounts.logins import KvBusLogins
from app.audit.entry import OURSELVES
from app.audit.log import AuditLog, Change
from app.control.erasing import Check, Inventory, TenantStores
from app.erasure.report import ErasureReport
from app.errors import ConflictError, NotFoundError
from app.stores.api_keys import KvApiKeys
from app.stores.following import STALE_SECONDS_MAX
from app.stores.kv import KvBucket
from app.tenancy.store import StoredTenant, TenantStore

RELEASE_SECONDS: Final = 60.0
"""How long workers may take to let go of a tenant; past it they have lost their consumers."""
SETTLE_SECONDS: Final = STALE_SECONDS_MAX + 5.0
"""From the revocations until their records go: longer than anybody goes by what it knew."""
ROUNDS_MAX: Final = 3
TOMBSTONE_MARGIN_MS: Final = 3600 * 1000
"""A tombstone so close to its end is left: the tenant may be made anew any moment."""

_log = structlog.get_logger("app.erasure")


async def _nothing() -> None:
    """Stand for what is not there to be waited for."""


@dataclass(frozen=True, slots=True)
class Hands:
    """What others do in an erasure."""

    released: Callable[[str], Awaitable[None]]
    """Returns once every live worker has let go of the tenant; TimeoutError: some have not. It is
    cancelled when it takes longer than ``release_seconds``."""
    enforce: Callable[[], Awaitable[None]] = _nothing
    """Returns once revoked logins are refused by the servers (`AccountsSteward.refresh`): their
    records may only go then."""
    settle_seconds: float = SETTLE_SECONDS
    release_seconds: float = RELEASE_SECONDS


@dataclass(frozen=True, slots=True)
class Credentials:
    """Where what is followed lies: it is taken back before it is erased."""

    logins: KvBusLogins
    api_keys: KvApiKeys
    deployments: KvBucket


class TenantEraser:
    """Erases tenants of one env. Who calls it holds the lease of erasures."""

    def __init__(
        self,
        stores: TenantStores,
        tenants: TenantStore,
        credentials: Credentials,
        hands: Hands,
        audit: AuditLog,
        clock: Clock,
    ) -> None:
        self._stores = stores
        self._tenants = tenants
        self._credentials = credentials
        self._hands = hands
        self._audit = audit
        self._clock = clock

    async def erase_tenant(self, tenant: str, check: Check) -> ErasureReport | None:
        """Erase a deleted tenant. None: that was done already, and nothing has come since.

        ``check`` raises ConflictError once somebody else may be at it.
        """
        stored = await self._tombstone(tenant)
        if stored.record.purged_ms is not None and (await self.inventory(tenant)).is_empty:
            return None
        began = self._clock.monotonic()
        before = {"deleted_ms": stored.record.deleted_ms, "purged_ms": stored.record.purged_ms}
        change = Change("tenant.erase", tenant, tenant, before, {"erased": True})
        async with self._audit.change(OURSELVES, change):
            logins, keys = await self._take_back(tenant)
            is_released = await self._let_go(tenant)
            check()
            erased, rounds = await self._purge(tenant, check)
            seconds = self._clock.monotonic() - began
            report = ErasureReport(tenant, erased, logins, keys, is_released, rounds, seconds)
            # Told before it is noted: what is noted is not looked at again.
            await self._tell(report)
            await self._note(tenant)
        _log.info("tenant.erased", tenant=tenant, erased=dict(erased))
        return report

    async def inventory(self, tenant: str) -> Inventory:
        """Count what there is of a tenant in every store."""
        return await self._stores.inventory(tenant)

    # ── Steps ────────────────────────────────────────────────────────────────────────────────

    async def _tombstone(self, tenant: str) -> StoredTenant:
        stored = await self._tenants.find(tenant)
        ends_ms = stored.record.ends_ms
        if ends_ms is None:
            raise ConflictError(f"tenant {tenant!r} is not deleted")
        if ends_ms - self._clock.now_ms() < TOMBSTONE_MARGIN_MS:
            raise ConflictError(f"the tombstone of tenant {tenant!r} is about to end")
        return stored

    async def _take_back(self, tenant: str) -> tuple[int, int]:
        """Revoke credentials and take the deployment back; gives how many logins and keys."""
        logins = await self._credentials.logins.revoke_all(tenant)
        keys = 0
        for key in await self._credentials.api_keys.list(tenant):
            with contextlib.suppress(NotFoundError):  # it was revoked meanwhile
                await self._credentials.api_keys.revoke(tenant, key.prefix)
                keys += 1
        for place in sorted(await self._credentials.deployments.keys(tenant)):
            await self._credentials.deployments.delete(place)
        await self._hands.enforce()
        return len(logins), keys

    async def _let_go(self, tenant: str) -> bool:
        """Give everybody time to hear of it and to let go; tells whether they did."""
        released = asyncio.create_task(self._released(tenant), name="release")
        try:
            await self._clock.sleep(self._hands.settle_seconds)
            return await released
        finally:
            released.cancel()

    async def _released(self, tenant: str) -> bool:
        try:
            async with asyncio.timeout(self._hands.release_seconds):
                await self._hands.released(tenant)
        except TimeoutError:
            _log.warning("tenant.not_released", tenant=tenant)
            return False
        return True

    async def _purge(self, tenant: str, check: Check) -> tuple[Mapping[str, int], int]:
        """Erase until a look over every store finds nothing; gives counts and rounds."""
        erased: Counter[str] = Counter()
        for number in range(1, ROUNDS_MAX + 1):
            await self._tombstone(tenant)
            erased.update(await self._stores.erase(tenant, check))
            left = await self._stores.inventory(tenant)
            if left.is_empty:
                return erased, number
            _log.warning("tenant.written_while_erased", tenant=tenant, left=dict(left.found))
        stores = ", ".join(sorted(left.found))
        raise ConflictError(f"tenant {tenant!r} is still written to: {stores}")

    async def _note(self, tenant: str) -> None:
        """Say in the tombstone that nothing is left; it ends when it was to end."""
        stored = await self._tombstone(tenant)
        purged = stored.record.purged(self._clock.now_ms())
        await self._tenants.put(purged, revision=stored.revision)

    async def _tell(self, report: ErasureReport) -> None:
        change = Change("tenant.erased", report.tenant, report.tenant, None, report.as_mapping())
        await self._audit.record(self._audit.entry(OURSELVES, change))

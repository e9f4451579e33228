"""Convergence: what the bucket of deployments says is what runs here, soon and for sure.

In: tenants' documents and records, as they change. Out: streams and consumers that fit, providers,
trees; and an acknowledgement up to which revision of the bucket all that is so. A tenant whose
deployment cannot be taken up goes on with what it had, and the acknowledgement says why.

Routes may change here a moment later than a consumer's filter, which all workers share: nothing is
lost by that, since a router asks `confirm` before it lets an event go that nobody wants.
"""

import asyncio
import contextlib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, Protocol

import structlog

from actors.errors import ActorsError, UnavailableError
from app.bootstrap.enforcing import Enforcer, Wanted
from app.deployments.document import DeploymentDocument, parse_document
from app.deployments.store import tenant_of
from app.errors import AppError, StoreError
from app.stores.following import BucketFollower
from app.stores.kv import KvBucket, KvChange
from app.system import SystemClock
from app.tenancy.directory import TenantDirectory
from app.tenancy.record import TenantRecord

AGAIN_SECONDS: Final = 1.0
"""Between two tries while something that is needed does not answer."""
CONFIRM_SECONDS: Final = 10.0
"""How long a router waits for the newest deployment; less than a delivery is left alone."""

_log = structlog.get_logger("app.deployments")


class Acknowledge(Protocol):
    """Where others learn what has been taken up: `app.fleet.heartbeat.Heartbeat`."""

    def acknowledge(self, revision: int, failed: Mapping[str, str]) -> None:
        """Say that all is taken up up to a revision, but for these tenants, and why not."""
        ...


@dataclass(frozen=True, slots=True)
class ConvergenceParts:
    """What convergence works with."""

    bucket: KvBucket
    """Of deployments."""
    directory: TenantDirectory
    enforcer: Enforcer
    clock: SystemClock


class Convergence:
    """Has one process run what is deployed. Use `start`, then `stop`."""

    def __init__(self, parts: ConvergenceParts) -> None:
        self._directory = parts.directory
        self._enforcer = parts.enforcer
        self._clock = parts.clock
        self._follower = BucketFollower(parts.bucket, parts.clock, self, name="deployments")
        self._documents: dict[str, DeploymentDocument] = {}
        self._failed: dict[str, AppError | ActorsError] = {}
        self._unreadable: dict[str, StoreError] = {}
        self._pending: set[str] = set()
        self._again: set[str] = set()
        """Tenants that could not be taken up for now; what is new does not wait for them."""
        self._unconfirmed: set[str] = set()
        self._known = 0
        self._converged = 0
        self._has_news = asyncio.Event()
        self._changed = asyncio.Condition()
        self._task: asyncio.Task[None] | None = None
        self._tell: Callable[[int, Mapping[str, str]], None] = lambda _revision, _failed: None

    @property
    def revision(self) -> int:
        """The revision of the bucket up to which all has been taken up."""
        return self._converged

    def failures(self) -> Mapping[str, AppError | ActorsError]:
        """Give the tenants whose deployment could not be taken up, and why."""
        return {**self._failed, **self._unreadable}

    def check(self, tenants: Iterable[str]) -> None:
        """Return if all of these could be taken up; raises what is in the way of the first."""
        failures = self.failures()
        for tenant in tenants:
            if tenant in failures:
                raise failures[tenant]

    async def start(self) -> None:
        """Take up all there is, then follow. UnavailableError, StoreError."""
        self._directory.on_change(self._note_tenant)
        await self._directory.start()
        await self._follower.start()
        await self._converge()
        self._task = asyncio.create_task(self._keep_converging(), name="convergence")

    def acknowledge_to(self, heartbeat: Acknowledge) -> None:
        """Have others hear of it from now on."""
        self._tell = heartbeat.acknowledge
        self._tell(self._converged, self._reasons())

    async def stop(self) -> None:
        """Follow no more; what runs goes on."""
        await self._follower.stop()
        await self._directory.stop()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None

    def hear(self, message: object = None) -> None:
        """Look soon: something was written in the bucket of deployments."""
        self._follower.hear(message)

    def reconsider(self, tenants: Iterable[str]) -> None:
        """Take up anew what is wanted of some tenants, whose hosts have changed."""
        self._pending.update(tenants)
        self._has_news.set()

    async def confirm(self, tenant: str) -> None:
        """Return once what a tenant had deployed before the call is in force here.

        UnavailableError: nobody can tell, or this process cannot take it up.
        """
        await self._follower.refresh()
        wanted = self._known
        try:
            async with asyncio.timeout(CONFIRM_SECONDS), self._changed:
                await self._changed.wait_for(lambda: self._converged >= wanted)
        except TimeoutError:
            raise UnavailableError("the newest deployment is still being taken up") from None
        if tenant in self._failed or tenant in self._unreadable:
            raise UnavailableError(f"the deployment of {tenant} is not taken up here")

    # ── What is wanted (`app.stores.following.Reader`) ───────────────────────────────────────

    def take(self, change: KvChange) -> None:
        """Note a document that was written, or is gone."""
        tenant = tenant_of(change.key)
        if tenant is None:
            return
        is_confirmation = tenant in self._unconfirmed
        self._unconfirmed.discard(tenant)
        try:
            value = change.entry.value
            document = None if value is None else parse_document(value)
        except StoreError as error:
            # Written by a later version of the program, maybe: what runs goes on.
            _log.error("deployment.unreadable", tenant=tenant, reason=str(error))
            self._unreadable[tenant] = error
            return
        was_unreadable = self._unreadable.pop(tenant, None) is not None
        before = self._documents.pop(tenant, None)
        if document is not None:
            self._documents[tenant] = document
        if was_unreadable or not (is_confirmation and document == before):
            self._pending.add(tenant)

    def start_over(self) -> None:
        """Note that the bucket was made anew, or could not be read for long."""
        self._unconfirmed = set(self._documents)

    def caught_up(self) -> None:
        """Note that all was read."""
        for tenant in self._unconfirmed:
            self._documents.pop(tenant, None)
            self._pending.add(tenant)
        self._unconfirmed = set()
        self._known = self._follower.revision
        if self._pending or self._known != self._converged:
            self._has_news.set()

    def _note_tenant(self, tenant: str, _: TenantRecord | None) -> None:
        self._pending.add(tenant)
        self._has_news.set()

    # ── Taking up ────────────────────────────────────────────────────────────────────────────

    async def _keep_converging(self) -> None:
        again_at = math.inf
        while True:
            if self._again:
                again_at = min(again_at, self._clock.monotonic() + AGAIN_SECONDS)
            await self._wait_news(again_at)
            if self._clock.monotonic() >= again_at:
                self._pending |= self._again
                again_at = math.inf
            await self._converge()

    async def _wait_news(self, until: float) -> None:
        """Wait for something new, but no longer than until then."""
        waits = [asyncio.ensure_future(self._has_news.wait())]
        if until < math.inf:
            waits.append(asyncio.ensure_future(self._sleep_until(until)))
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    async def _sleep_until(self, moment: float) -> Literal[True]:
        await self._clock.sleep(moment - self._clock.monotonic())
        return True

    async def _converge(self) -> None:
        """Take up all that is known to have changed."""
        self._has_news.clear()
        known, tenants, self._pending = self._known, sorted(self._pending), set()
        self._again.difference_update(tenants)
        refused = await self._enforcer.enforce(await self._wanted(tenants))
        for tenant in tenants:
            self._settle(tenant, refused.get(tenant))
        async with self._changed:
            self._converged = known
            self._changed.notify_all()
        _log.info("deployment.acknowledged", revision=known, failed=len(self.failures()))
        self._tell(known, self._reasons())

    def _reasons(self) -> Mapping[str, str]:
        return {tenant: f"{error.code}: {error}" for tenant, error in self.failures().items()}

    async def _wanted(self, tenants: Sequence[str]) -> list[Wanted]:
        """Give what is said of these tenants now."""
        wanted = [self._said(tenant) for tenant in tenants]
        if any(one.has_bundle and one.record is None for one in wanted):
            # A tenant is made before anything is deployed for it: its record was not heard of yet.
            with contextlib.suppress(UnavailableError, StoreError):
                await self._directory.refresh()
            wanted = [self._said(tenant) for tenant in tenants]
        return wanted

    def _said(self, tenant: str) -> Wanted:
        return Wanted(tenant, self._record(tenant), self._documents.get(tenant))

    def _record(self, tenant: str) -> TenantRecord | None:
        # Also while the directory is old: what was served goes on, as long as nobody says no.
        return self._directory.records().get(tenant)

    def _settle(self, tenant: str, error: AppError | ActorsError | None) -> None:
        if error is None:
            self._failed.pop(tenant, None)
            return
        self._failed[tenant] = error
        _log.error("deployment.refused", tenant=tenant, error_code=error.code, reason=str(error))
        if isinstance(error, UnavailableError):
            self._again.add(tenant)

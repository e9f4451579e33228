"""Enforcing: from what tenants should run to streams, providers and trees that run it.

In: for some tenants, their record and their document. Out: for those that could not be done, why
not. One tenant's trouble stays its own. A tenant that is not active, or has nothing deployed, runs
nothing; only what is deployed no more loses its consumers too.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import structlog

from actors.errors import ActorsError
from actors.tenants.deployment import Deployment
from actors.tenants.host import TenantHost
from app.bootstrap.past import KeptDeployments
from app.bootstrap.placing import Placing
from app.bootstrap.plans import PlanBook
from app.bootstrap.providers import Providers, ProviderSet
from app.bootstrap.shelf import BundleShelf
from app.bundle.answers import TIMER, WEBHOOK
from app.control.control import Control, TenantSubscriptions
from app.deployments.document import DeploymentDocument
from app.errors import AppError
from app.providers.provider import ProviderContext
from app.providers.webhook.options import WebhookOptions
from app.tenancy.record import TenantRecord

READS_AT_ONCE: Final = 8
TENANTS_TOGETHER: Final = 128
"""Whose streams and consumers are made at once."""
SECONDS_PER_HOUR: Final = 3600

_log = structlog.get_logger("app.deployments")

Refusals = dict[str, AppError | ActorsError]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is said of a tenant now; None: nothing."""

    tenant: str
    record: TenantRecord | None
    document: DeploymentDocument | None

    @property
    def is_served(self) -> bool:
        """Tell whether it runs anything at all."""
        return self.record is not None and self.record.is_active and self.has_bundle

    @property
    def has_bundle(self) -> bool:
        """Tell whether anything is deployed for it."""
        return self.document is not None and self.document.current.bundle is not None


async def forget_nothing(_: str) -> None:
    """Stand for a process that keeps nothing."""


@dataclass(frozen=True, slots=True)
class EnforcerParts:
    """What enforcing works with."""

    shelf: BundleShelf
    control: Control
    host: TenantHost
    kept: KeptDeployments
    providers: Providers
    plans: PlanBook
    context: ProviderContext
    """What providers may use."""
    placing: Placing
    forget: Callable[[str], Awaitable[None]] = forget_nothing
    """Erases what this process keeps of a deleted tenant beside NATS. UnavailableError."""


@dataclass(frozen=True, slots=True)
class _Plan:
    """One tenant's deployment, ready to be brought into force."""

    record: TenantRecord
    deployment: Deployment
    providers: ProviderSet
    stored_bytes: int | None

    @property
    def subscriptions(self) -> TenantSubscriptions:
        found, webhook = self.deployment, self.providers.options.get(WEBHOOK)
        first = 1 + min(found.activated.values(), default=0)
        seconds = None
        if isinstance(webhook, WebhookOptions):
            seconds = webhook.dedup_window_hours * SECONDS_PER_HOUR
        return TenantSubscriptions(
            found.tenant,
            found.patterns(),
            found.lanes(),
            first,
            seconds,
            self.stored_bytes,
        )


class Enforcer:
    """Brings deployments into force in one process."""

    def __init__(self, parts: EnforcerParts) -> None:
        self._parts = parts

    async def enforce(self, wanted: Sequence[Wanted]) -> Refusals:
        """Do it for all of them; gives those that keep what they had, and why."""
        refused: Refusals = {}
        self._parts.placing.refresh()
        await self._remove([item for item in wanted if not item.is_served], refused)
        plans = await self._plan([item for item in wanted if item.is_served], refused)
        async with asyncio.TaskGroup() as group:
            for start in range(0, len(plans), TENANTS_TOGETHER):
                # While the server makes what some need, this process takes up those before.
                part = plans[start : start + TENANTS_TOGETHER]
                leftover = await self._ensure(part, refused)
                group.create_task(self._take_up_all(part, leftover, refused))
        return refused

    async def _take_up_all(
        self, plans: Sequence[_Plan], leftover: Mapping[str, tuple[str, ...]], refused: Refusals
    ) -> None:
        for plan in plans:
            if plan.record.id not in refused:
                await self._take_up(plan, leftover.get(plan.record.id, ()), refused)

    async def _plan(self, wanted: Sequence[Wanted], refused: Refusals) -> list[_Plan]:
        limit = asyncio.Semaphore(READS_AT_ONCE)

        async def read(item: Wanted) -> _Plan | None:
            async with limit:
                try:
                    return await self._read(item)
                except (AppError, ActorsError) as error:
                    refused[item.tenant] = error
                    return None

        found = await asyncio.gather(*(read(item) for item in wanted))
        return [plan for plan in found if plan is not None]

    async def _read(self, item: Wanted) -> _Plan:
        record, document = item.record, item.document
        if record is None or document is None:
            raise AssertionError("only tenants that are served are read")
        self._parts.plans.check(record.plan)
        bundle = await self._parts.shelf.read(record, document.current)
        providers = self._parts.providers.build(bundle, record.id, self._parts.context)
        activated = {key: each.sequence for key, each in document.activated.items()}
        deployment = Deployment(
            record.id,
            bundle.revision,
            bundle.tenants[record.id].flows,
            activated,
            has_timers=TIMER in providers.options,
        )
        return _Plan(record, deployment, providers, self._parts.plans.stored_bytes(record.plan))

    async def _ensure(
        self, plans: Sequence[_Plan], refused: Refusals
    ) -> Mapping[str, tuple[str, ...]]:
        """Make streams and consumers for all at once; where that fails, for each alone."""
        if not plans:
            return {}
        try:
            return await self._parts.control.ensure([plan.subscriptions for plan in plans])
        except (AppError, ActorsError) as error:
            if len(plans) == 1:
                refused[plans[0].record.id] = error
                return {}
        leftover: dict[str, tuple[str, ...]] = {}
        for plan in plans:
            leftover |= await self._ensure([plan], refused)
        return leftover

    async def _take_up(self, plan: _Plan, leftover: Collection[str], refused: Refusals) -> None:
        parts, tenant = self._parts, plan.record.id
        try:
            await parts.kept.keep(plan.deployment)  # before a run may begin with it
            if parts.providers.put(tenant, plan.providers):
                for text in plan.providers.warnings():
                    _log.warning("provider.warned", tenant=tenant, reason=text)
            parts.plans.adopt(tenant, plan.record.plan)
            deployment = replace(plan.deployment, leftover_lanes=tuple(leftover))
            await parts.host.deploy(deployment, works=parts.placing.works_for(tenant))
        except (AppError, ActorsError) as error:
            refused[tenant] = error

    async def _remove(self, gone: Sequence[Wanted], refused: Refusals) -> None:
        await asyncio.gather(*(self._let_go(item, refused) for item in gone))
        without = [item.tenant for item in gone if not item.has_bundle]
        if not without:
            return
        try:
            await self._parts.control.remove(without)
        except (AppError, ActorsError) as error:
            refused |= dict.fromkeys(without, error)

    async def _let_go(self, item: Wanted, refused: Refusals) -> None:
        tenant = item.tenant
        is_deleted = item.record is not None and item.record.is_deleted
        if is_deleted:
            self._parts.host.cancel_all(tenant, "the tenant was deleted")
        await self._parts.host.remove(tenant)
        self._parts.providers.remove(tenant)
        self._parts.plans.forget(tenant)
        if is_deleted:
            try:
                await self._parts.forget(tenant)
            except (AppError, ActorsError) as error:
                refused[tenant] = error

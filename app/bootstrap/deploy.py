"""Deploy: from a bundle on disk to running trees, at the start and on every change.

In: a bundle's folder. Out: streams and consumers that fit it, then trees that run it. A bundle that
cannot be read changes nothing: what runs goes on running, and the problems are reported.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from actors.tenants.deployment import Deployment
from actors.tenants.host import TenantHost
from app.audit.log import AuditLog, Change
from app.bootstrap.credentials import Credentials
from app.bootstrap.past import KeptDeployments
from app.bootstrap.plans import PlanBook
from app.bootstrap.providers import Providers
from app.bundle.reading import Bundle, read_bundle
from app.bus.connection import Bus
from app.control.activations import Activations
from app.control.control import Control, TenantSubscriptions
from app.control.limits import StreamLimits
from app.control.names import deployments_bucket
from app.providers.provider import ProviderContext
from app.stores.kv import KvBucket

SECONDS_PER_HOUR: Final = 3600


@dataclass(frozen=True, slots=True)
class Deployer:
    """Brings bundles into force."""

    root: Path
    env: str
    environment: Mapping[str, str] | None
    bus: Bus
    host: TenantHost
    kept: KeptDeployments
    providers: Providers
    credentials: Credentials
    context: ProviderContext
    """What the providers may use, but for what the bundle itself says."""
    stand_ins: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, repr=False)
    """Options for what the bundle's answers leave out: `--dev` makes accounts up."""
    audit: AuditLog | None = None
    """None: deployments are written down nowhere."""
    plans: PlanBook | None = None
    """None: nobody is limited."""
    replicas: int = 0
    """On how many servers each stream is kept; 0 leaves them as they are."""

    async def read(self) -> Bundle:
        """Read the bundle off the event loop: compiling scripts takes its time.

        BundleError; SettingsError and BusError for secrets that its answers refer to.
        """
        secrets = await self.credentials.read_referenced(self.root)
        return await asyncio.to_thread(
            read_bundle,
            self.root,
            environment=self.environment,
            secrets=secrets,
            stand_ins=self.stand_ins,
        )

    async def deploy(self, bundle: Bundle) -> None:
        """Bring a bundle into force.

        The routers hold still meanwhile: the consumers' filters change first, and an event that
        they let through must not meet the old routes, which would not want it.
        """
        before = sorted({each.revision for each in self.host.deployments().values()})
        if self.plans is not None:
            self.plans.check(bundle)
            self.plans.adopt(bundle)
        self.providers.replace(bundle, self.context)
        plans = [_plan(bundle, tenant) for tenant in bundle.tenants]
        control = self._control(bundle)
        await control.ensure([])
        record = Activations(KvBucket(self.bus, deployments_bucket(self.env)))
        activated = {
            plan.tenant: await record.activate(
                plan.tenant, plan.patterns(), await control.last_sequence(plan.tenant)
            )
            for plan in plans
        }
        wanted = [
            TenantSubscriptions(
                p.tenant,
                p.patterns(),
                p.lanes(),
                1 + min(activated[p.tenant].values(), default=0),
            )
            for p in plans
        ]
        gone = self.host.deployments().keys() - bundle.tenants.keys()
        for plan in plans:
            await self.kept.keep(plan)
        leftover = await control.ensure(wanted)
        for plan in plans:
            lanes = leftover.get(plan.tenant, ())
            await self.host.deploy(
                replace(plan, activated=activated[plan.tenant], leftover_lanes=lanes)
            )
        for tenant in gone:
            await self.host.remove(tenant)
        await control.remove(gone)
        self._tell(bundle, before)

    def _tell(self, bundle: Bundle, before: list[str]) -> None:
        if self.audit is not None:
            flows = {tenant: len(each.flows) for tenant, each in bundle.tenants.items()}
            after = {"revision": bundle.revision, "flows": flows}
            revisions = {"revisions": before}
            self.audit.tell(Change("deployment.apply", None, bundle.revision, revisions, after))

    def _control(self, bundle: Bundle) -> Control:
        webhook = bundle.webhook
        limits = StreamLimits(replicas=self.replicas)
        if webhook is not None:
            window_seconds = webhook.dedup_window_hours * SECONDS_PER_HOUR
            limits = replace(limits, events_duplicate_window_seconds=window_seconds)
        return Control(self.bus, self.env, limits=limits)


def _plan(bundle: Bundle, tenant: str) -> Deployment:
    flows = bundle.tenants[tenant].flows
    return Deployment(tenant, bundle.revision, flows, has_timers=bundle.timer is not None)

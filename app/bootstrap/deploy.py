"""Deploy: from a bundle on disk to running trees, at the start and on every change.

In: a bundle's folder. Out: streams and consumers that fit it, then trees that run it. A bundle that
cannot be read changes nothing: what runs goes on running, and the problems are reported.
"""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from actors.tenants.deployment import Deployment
from actors.tenants.host import TenantHost
from app.bundle.reading import Bundle, read_bundle
from app.bus.connection import Bus
from app.control.control import Control, TenantSubscriptions
from app.control.limits import StreamLimits
from app.providers.catalog import PROVIDERS
from app.providers.provider import InboundProvider

SECONDS_PER_HOUR: Final = 3600


class Providers:
    """The enabled inbound providers of the bundle in force; replaced as a whole."""

    def __init__(self) -> None:
        self._current: dict[str, InboundProvider] = {}

    def replace(self, bundle: Bundle, env: str) -> None:
        """Build the providers anew from a bundle's options. SettingsError changes nothing."""
        self._current = {
            spec.name: spec.build(bundle.options[spec.name], env)
            for spec in PROVIDERS
            if spec.name in bundle.options
        }

    def find(self, name: str) -> InboundProvider | None:
        """Give an enabled provider by its name."""
        return self._current.get(name)

    def warnings(self) -> Iterable[str]:
        """Give what the operator should hear about the providers."""
        return [text for provider in self._current.values() for text in provider.warnings]


@dataclass(frozen=True, slots=True)
class Deployer:
    """Brings bundles into force."""

    root: Path
    env: str
    environment: Mapping[str, str] | None
    bus: Bus
    host: TenantHost
    providers: Providers

    async def read(self) -> Bundle:
        """Read the bundle off the event loop: compiling scripts takes its time. BundleError."""
        return await asyncio.to_thread(read_bundle, self.root, environment=self.environment)

    async def deploy(self, bundle: Bundle) -> None:
        """Bring a bundle into force.

        The routers hold still meanwhile: the consumers' filters change first, and an event that
        they let through must not meet the old routes, which would not want it.
        """
        self.providers.replace(bundle, self.env)
        plans = [_plan(bundle, tenant) for tenant in bundle.tenants]
        with self.host.holding():
            activated = await self._control(bundle).apply(
                [TenantSubscriptions(plan.tenant, plan.patterns()) for plan in plans]
            )
            await self.host.reconcile(
                replace(plan, activated=activated[plan.tenant]) for plan in plans
            )

    def _control(self, bundle: Bundle) -> Control:
        webhook = bundle.webhook
        if webhook is None:
            return Control(self.bus, self.env)
        window_seconds = webhook.dedup_window_hours * SECONDS_PER_HOUR
        limits = StreamLimits(events_duplicate_window_seconds=window_seconds)
        return Control(self.bus, self.env, limits=limits)


def _plan(bundle: Bundle, tenant: str) -> Deployment:
    flows = bundle.tenants[tenant].flows
    return Deployment(tenant, bundle.revision, flows, has_timers=bundle.timer is not None)

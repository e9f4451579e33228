"""What a process needs to run what is deployed, and to deploy.

In: a connection, the parts that run things. Out: a `DeploySide`: convergence, the fleet, desks. It
opens nothing that `close` does not close.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, Self

from actors.tenants.host import TenantHost
from app.audit.log import AuditLog
from app.bootstrap.convergence import Convergence, ConvergenceParts
from app.bootstrap.dividing import Dividing
from app.bootstrap.enforcing import Enforcer, EnforcerParts
from app.bootstrap.past import KeptDeployments
from app.bootstrap.placing import Placing
from app.bootstrap.plans import PlanBook
from app.bootstrap.providers import Providers
from app.bootstrap.shelf import BundleShelf, ShelfParts
from app.bootstrap.sizing import Sizing
from app.bundle.reading import Bundle
from app.bus.connection import Bus, Subscription
from app.control.control import Control
from app.control.erasing import OutsideStore
from app.control.limits import StreamLimits
from app.control.names import deployments_bucket, leases_bucket, tenants_bucket
from app.deployments.desk import DeploymentDesk
from app.deployments.opening import DeskNeeds, open_desk, open_store
from app.deployments.store import DeploymentStore
from app.erasure.eraser import Hands
from app.erasure.opening import open_eraser, open_steward, released_by
from app.erasure.steward import EraseSteward, Sweeping
from app.fleet.fleet import Fleet
from app.fleet.heartbeat import Heartbeat
from app.fleet.hot import Load
from app.fleet.placement import Placement
from app.fleet.report import WorkerIdentity
from app.providers.provider import ProviderContext
from app.stores.kv import KvBucket
from app.stores.secrets import KvSecrets
from app.system import SystemClock
from app.tenancy.desk import TenantDesk
from app.tenancy.directory import TenantDirectory
from app.tenancy.store import TenantStore


async def nothing() -> None:
    """Do nothing: others' servers keep their logins themselves."""


class LettingStore(OutsideStore, Protocol):
    """A store outside that is told when this process lets go of a deleted tenant."""

    async def forget(self, tenant: str) -> None:
        """Erase what there is of it now, if that is possible. UnavailableError."""
        ...


@dataclass(frozen=True, slots=True)
class DeployNeeds:
    """What the process brings."""

    env: str
    host: TenantHost
    kept: KeptDeployments
    providers: Providers
    plans: PlanBook
    context: ProviderContext
    secrets: KvSecrets
    audit: AuditLog
    clock: SystemClock
    identity: WorkerIdentity
    environment: Mapping[str, str] | None = field(default=None, repr=False)
    stand_ins: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, repr=False)
    workers_per_tenant: int = 0
    """How many workers host a tenant; 0: all of them."""
    loads: Callable[[], Mapping[str, Load]] = dict
    """Gives what each tenant has waiting and in hand here."""
    enforce_logins: Callable[[], Awaitable[None]] = nothing
    """Returns once the server refuses revoked logins."""
    usage_age_seconds: int = StreamLimits().usage_age_seconds
    """How long metered usage is kept."""
    replicas: int = 0
    """On how many servers each stream is kept; 0 leaves them as they are."""
    outside: Sequence[LettingStore] = ()
    """Where this process has what is tenants' beside NATS."""

    async def forget(self, tenant: str) -> None:
        """Erase what this process keeps of a deleted tenant beside NATS. UnavailableError."""
        for store in self.outside:
            await store.forget(tenant)

    def check(self, bundle: Bundle) -> None:
        """Refuse a bundle of whose options no providers can be built. SettingsError."""
        self.providers.check(bundle, self.context)


@dataclass(frozen=True, slots=True)
class DeploySide:
    """Make one with `DeploySide.open`."""

    bus: Bus
    control: Control
    directory: TenantDirectory
    convergence: Convergence
    fleet: Fleet
    heartbeat: Heartbeat
    placing: Placing
    dividing: Dividing
    sizing: Sizing
    steward: EraseSteward
    shelf: BundleShelf
    desk: DeploymentDesk
    tenants: TenantDesk
    _subscriptions: list[Subscription] = field(default_factory=list)

    @classmethod
    async def open(cls, bus: Bus, needs: DeployNeeds) -> Self:
        """Make the env's buckets and shared streams, and all parts; nothing follows yet."""
        env, clock = needs.env, needs.clock
        limits = StreamLimits(replicas=needs.replicas, usage_age_seconds=needs.usage_age_seconds)
        control = Control(bus, env, limits=limits)
        await control.ensure([])
        store = open_store(bus, env, clock)
        shelf = BundleShelf(
            ShelfParts(env, store, needs.secrets, needs.environment, needs.stand_ins)
        )
        directory = TenantDirectory(KvBucket(bus, tenants_bucket(env)), clock)
        leases = KvBucket(bus, leases_bucket(env))
        fleet, heartbeat = Fleet(leases, clock), Heartbeat(leases, clock, needs.identity)
        placing = Placing(
            fleet,
            directory,
            heartbeat,
            Placement(heartbeat.id, needs.workers_per_tenant),
            needs.loads,
            clock,
        )
        enforcer = Enforcer(
            EnforcerParts(
                shelf=shelf,
                control=control,
                host=needs.host,
                kept=needs.kept,
                providers=needs.providers,
                plans=needs.plans,
                context=needs.context,
                placing=placing,
                forget=needs.forget,
            )
        )
        parts = ConvergenceParts(KvBucket(bus, deployments_bucket(env)), directory, enforcer, clock)
        return cls(
            bus=bus,
            control=control,
            directory=directory,
            convergence=Convergence(parts),
            fleet=fleet,
            heartbeat=heartbeat,
            placing=placing,
            dividing=Dividing(needs.identity.roles, placing, needs.plans),
            sizing=Sizing(control, clock),
            steward=_open_steward(bus, needs, directory, fleet, store),
            shelf=shelf,
            desk=open_desk(bus, env, _desk_needs(needs, fleet)),
            tenants=TenantDesk(
                TenantStore(KvBucket(bus, tenants_bucket(env)), clock),
                needs.audit,
                clock,
                needs.plans.plans.keys(),
            ),
        )

    async def follow(self, env: str) -> None:
        """Take up all that is deployed, and what will be; then be one of the fleet."""
        hints = (
            (KvBucket(self.bus, deployments_bucket(env)).pattern, self.convergence.hear),
            (KvBucket(self.bus, tenants_bucket(env)).pattern, self.directory.hear),
        )
        for pattern, hear in hints:
            self._subscriptions.append(await self.bus.subscribe(pattern, hear))
        self.bus.on_reconnect(self.heartbeat.hurry)
        # Who does not see the others would take all tenants on, for a moment.
        await self.fleet.start(self.bus)
        self.dividing.start()
        await self.convergence.start()
        await self.heartbeat.start()
        self.convergence.acknowledge_to(self.heartbeat)
        self.placing.start(self.convergence.reconsider)
        self.sizing.start()
        self.steward.start()

    async def close(self) -> None:
        """Take nothing more up, and leave the fleet."""
        for subscription in self._subscriptions:
            await self.bus.unsubscribe(subscription)
        await self.steward.stop()
        await self.sizing.stop()
        await self.placing.stop()
        await self.convergence.stop()
        await self.heartbeat.forget()
        await self.fleet.stop()


def _open_steward(
    bus: Bus,
    needs: DeployNeeds,
    directory: TenantDirectory,
    fleet: Fleet,
    store: DeploymentStore,
) -> EraseSteward:
    """Give what erases deleted tenants, once every live worker has let go of them."""
    env, clock = needs.env, needs.clock
    released = released_by(fleet, KvBucket(bus, deployments_bucket(env)))
    hands = Hands(released, needs.enforce_logins)
    eraser = open_eraser(bus, env, needs.audit, clock, hands, needs.outside)
    return open_steward(bus, env, directory, eraser, clock, Sweeping(store.collect))


def _desk_needs(needs: DeployNeeds, fleet: Fleet) -> DeskNeeds:
    return DeskNeeds(
        audit=needs.audit,
        secrets=needs.secrets,
        clock=needs.clock,
        check=needs.check,
        workers=fleet,
        environment=needs.environment,
        stand_ins=needs.stand_ins,
    )

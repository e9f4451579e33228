"""The tree of one tenant, on one page, and how it follows its deployment.

    root
    └── TenantSupervisor          budget 20 restarts in 60 s; spent: quarantined, tried again later
        ├── ingress               role ingress: requests → events
        ├── scheduler:{revision}  role worker: timers → events
        ├── router                role worker: deliveries → run requests
        └── flow:{name}:{digest}  role worker: run requests → results; 5 restarts in 30 s each

In: deployments. Out: running actors. A changed flow gets a new executor beside the old one; the
routes are swapped in one assignment; the old one finishes its runs on the version they began with.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from actors.flows.compiled import CompiledFlow
from actors.kernel.budget import RestartBudget
from actors.kernel.ref import ActorRef
from actors.kernel.specs import ChildSpec, Quarantine, SupervisorSpec
from actors.kernel.supervisor import Supervisor
from actors.nodes.step import World
from actors.observations import DeploymentApplied
from actors.outcomes import Settlement
from actors.ports import Deliveries, Redriver, StateStore, Ticks
from actors.ports.timers import TimerPauses
from actors.runs.begin import RunSeat
from actors.runs.conclude import RunSinks
from actors.runs.executor import FlowExecutorActor
from actors.runs.in_hand import RunsInHand
from actors.runs.request import RunRequest
from actors.tenants.deployment import Deployment
from actors.tenants.ingress import Accept, IngressActor, IngressDoor, IngressPorts, NoRedriver
from actors.tenants.past import NoPastDeployments, PastDeployments
from actors.tenants.router import DeliveryRouter, Executor, RouterPorts, Routes, RoutesInForce
from actors.tenants.routing import RoutingTable
from actors.tenants.scheduler import SchedulerActor, SchedulerPorts

TENANT_BUDGET: Final = RestartBudget(restarts=20, seconds=60.0)
FLOW_BUDGET: Final = RestartBudget(restarts=5, seconds=30.0)
QUARANTINE_SECONDS: Final = 60.0
ACCEPTS_WAITING_MAX: Final = 1024
"""Requests that may wait for a tenant's ingress actor; past it the sender gets a 503."""
FLOW_MAILBOX_MAX: Final = 64
"""Run requests that may wait for a flow (SPEC 13)."""
PAST_EXECUTORS_MAX: Final = 32
"""Of earlier versions of a tenant's flows; the one that was longest idle goes."""
DRAIN_SECONDS: Final = 20.0
"""How long the router waits for what is in flight; below the consumer's ack_wait of 30 s."""


@dataclass(frozen=True, slots=True)
class Roles:
    """What this process does for its tenants."""

    ingress: bool = True
    worker: bool = True


@dataclass(frozen=True, slots=True)
class TreePorts:
    """What the trees need of the world."""

    world: World
    sinks: RunSinks
    ticks: Ticks
    pauses: TimerPauses
    leases: StateStore
    """What workers agree in on whose turn it is; its values expire."""
    open_deliveries: Callable[[str], Deliveries]
    """Gives a fresh pull of a tenant's deliveries, for each start of its router."""
    redriver: Redriver = field(default_factory=NoRedriver)
    """Starts anew what lies in the dead letters of an event that is delivered again."""
    past: PastDeployments = field(default_factory=NoPastDeployments)


class TenantTree:
    """One tenant's actors. Made and started by `host.TenantHost`."""

    def __init__(self, supervisor: Supervisor, deployment: Deployment, ports: TreePorts) -> None:
        self._supervisor = supervisor
        self._ports = ports
        self._tenant = deployment.tenant
        self._leaving: set[asyncio.Task[None]] = set()
        self._executor_names: dict[str, str] = {}
        self._scheduler_name: str | None = None
        self._past: OrderedDict[str, Executor] = OrderedDict()
        self.in_hand = RunsInHand()
        self.routes = RoutesInForce(Routes(RoutingTable(deployment), {}))
        self.door: IngressDoor | None = None

    @property
    def deployment(self) -> Deployment:
        """The deployment in force."""
        return self.routes.current.table.deployment

    async def start(self, roles: Roles) -> None:
        """Start the children that the roles ask for."""
        if roles.ingress:
            self.door = IngressDoor(await self._supervisor.spawn(self._ingress()), self.routes)
        if roles.worker:
            await self._start_flows(self.deployment)
            await self._supervisor.spawn(self._router())

    async def deploy(self, deployment: Deployment, roles: Roles) -> None:
        """Go over to another revision; runs in progress finish on the one they began with."""
        if deployment.revision == self.deployment.revision:
            return
        if roles.worker:
            await self._start_flows(deployment)
        else:
            self.routes.current = Routes(RoutingTable(deployment), {})

    async def drain(self) -> None:
        """Stop pulling, let what is in flight finish, then stop the rest (STYLE 3)."""
        names = {child.name for child in self._supervisor.children()}
        working = (*self._executor_names.values(), *self._past)
        executors = [self._supervisor.ref_of(name) for name in working]
        for name in (self._scheduler_name, "router"):
            if name in names:
                await self._supervisor.remove(name)
        await self._supervisor.drain(DRAIN_SECONDS)
        for executor in executors:
            _give_back(executor)
        await asyncio.gather(*self._leaving)

    # ── Flows ────────────────────────────────────────────────────────────────────────────────

    async def _start_flows(self, deployment: Deployment) -> None:
        names = {flow.name: _executor_name(flow, deployment) for flow in deployment.flows.values()}
        executors: dict[str, ActorRef[RunRequest]] = {}
        for flow, name in names.items():
            if self._executor_names.get(flow) == name:
                executors[flow] = self._supervisor.ref_of(name)
            else:
                executors[flow] = await self._supervisor.spawn(
                    self._executor(name, deployment.flows[flow], deployment)
                )
        self.routes.current = Routes(RoutingTable(deployment), executors)
        old = set(self._executor_names.values()) - set(names.values())
        self._executor_names = names
        for name in old:
            self._leave(name)
        await self._restart_scheduler(deployment)
        applied = DeploymentApplied(self._tenant, deployment.revision, len(names))
        self._ports.world.observer.observe(applied)

    async def _restart_scheduler(self, deployment: Deployment) -> None:
        if self._scheduler_name is not None:
            await self._supervisor.remove(self._scheduler_name, drain=False)
            self._scheduler_name = None
        if not deployment.has_timers:
            return
        self._scheduler_name = f"scheduler:{deployment.revision[:12]}"
        await self._supervisor.spawn(self._scheduler(self._scheduler_name, deployment))

    def _leave(self, name: str) -> None:
        executor = self._supervisor.ref_of(name)

        async def see_off() -> None:
            await self._supervisor.remove(name)
            _give_back(executor)

        task = asyncio.create_task(see_off(), name=f"leave {name}")
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)

    async def _revive(self, flow: str, version: str) -> Executor | None:
        """Give an executor of an earlier version, for runs that began with it."""
        name = f"past:{_name_of(flow, version)}"
        known = self._past.get(name)
        if known is None:
            deployment = await self._ports.past.find(self._tenant, flow, version)
            if deployment is None:
                return None
            compiled = deployment.flows[flow]
            ref = await self._supervisor.spawn(self._executor(name, compiled, deployment))
            known = self._past[name] = Executor(ref, compiled)
            if len(self._past) > PAST_EXECUTORS_MAX:
                self._leave(self._past.popitem(last=False)[0])
        self._past.move_to_end(name)
        return known

    # ── Children ─────────────────────────────────────────────────────────────────────────────

    def _ingress(self) -> ChildSpec[Accept]:
        world = self._ports.world
        ports = IngressPorts(
            world.publisher, world.observer, world.clock, self._ports.redriver
        )
        return ChildSpec(
            "ingress",
            lambda _: IngressActor(self._tenant, ports),
            mailbox_capacity=ACCEPTS_WAITING_MAX,
        )

    def _router(self) -> ChildSpec[object]:
        world, sinks = self._ports.world, self._ports.sinks

        def build(_: object) -> DeliveryRouter:
            deliveries = self._ports.open_deliveries(self._tenant)
            ports = RouterPorts(
                deliveries, sinks.dead_letters, world.observer, world.clock, self._revive
            )
            return DeliveryRouter(self._tenant, self.routes, ports)

        return ChildSpec("router", build, drain_timeout_seconds=DRAIN_SECONDS)  # type: ignore[arg-type]  # it takes no messages

    def _scheduler(self, name: str, deployment: Deployment) -> ChildSpec[object]:
        world = self._ports.world
        ports = SchedulerPorts(
            world.publisher, self._ports.ticks, self._ports.pauses, world.observer, world.clock
        )
        flows = tuple(deployment.flows.values())
        return ChildSpec(name, lambda _: SchedulerActor(self._tenant, flows, ports))  # type: ignore[arg-type,return-value]  # it takes no messages

    def _executor(
        self, name: str, flow: CompiledFlow, deployment: Deployment
    ) -> ChildSpec[RunRequest]:
        seat = RunSeat(
            self._tenant,
            flow,
            self._ports.world,
            version=deployment.version_of(flow.name),
            has_effects=deployment.has_effects(flow.name),
        )
        ports = self._ports
        return ChildSpec(
            name,
            lambda _: FlowExecutorActor(
                seat, deployment.flows, ports.sinks, ports.leases, self.in_hand
            ),
            own_budget=FLOW_BUDGET,
            mailbox_capacity=FLOW_MAILBOX_MAX,
        )


def tenant_spec(tenant: str) -> SupervisorSpec:
    """Describe a tenant's supervisor to the root."""
    return SupervisorSpec(
        name=tenant,
        budget=TENANT_BUDGET,
        on_exhausted=Quarantine(QUARANTINE_SECONDS),
    )


def _executor_name(flow: CompiledFlow, deployment: Deployment) -> str:
    return f"flow:{_name_of(flow.name, deployment.version_of(flow.name))}"


def _name_of(flow: str, version: str) -> str:
    return f"{flow.replace('/', '.')}:{version[:16]}"


def _give_back(executor: ActorRef[RunRequest]) -> None:
    """Nak the requests that an executor has left in its mailbox: a router keeps them alive."""
    for request in executor.mailbox.take_nowait(FLOW_MAILBOX_MAX):
        request.share.settle_one(Settlement.NAK)

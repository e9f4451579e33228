"""The tree of one tenant, on one page, and how it follows its deployment.

    root
    └── TenantSupervisor          budget 20 restarts in 60 s; spent: quarantined, tried again later
        ├── ingress               role ingress: requests → events
        ├── scheduler:{revision}  role worker: timers → events
        ├── router                role worker: deliveries → run requests
    ├── lane:{lane}           role worker: what waits for its turn → run requests
        └── flow:{name}:{digest}  role worker: run requests → results; 5 restarts in 30 s each

In: deployments. Out: running actors. A changed flow gets a new executor beside the old one; the
routes are swapped in one assignment; the old one finishes its runs on the version they began with.
"""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from actors.kernel.budget import RestartBudget
from actors.kernel.ref import ActorRef
from actors.kernel.specs import Quarantine, SupervisorSpec
from actors.kernel.supervisor import Supervisor
from actors.observations import DeploymentApplied
from actors.outcomes import Settlement
from actors.ports import LaneName
from actors.runs.in_hand import RunsInHand
from actors.runs.request import RunRequest
from actors.tenants.children import (
    DRAIN_SECONDS,
    FLOW_MAILBOX_MAX,
    Children,
    TreePorts,
    executor_name,
    name_of,
)
from actors.tenants.deployment import Deployment
from actors.tenants.executors import Executor, Executors
from actors.tenants.ingress import IngressDoor
from actors.tenants.routes import Routes, RoutesInForce
from actors.tenants.routing import RoutingTable

TENANT_BUDGET: Final = RestartBudget(restarts=20, seconds=60.0)
QUARANTINE_SECONDS: Final = 60.0
PAST_EXECUTORS_MAX: Final = 32
"""Of earlier versions of a tenant's flows; the one that was longest idle goes."""


@dataclass(frozen=True, slots=True)
class Roles:
    """What this process does for its tenants."""

    ingress: bool = True
    worker: bool = True


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
        self._reviving = asyncio.Lock()
        self._lanes: dict[LaneName, str] = {}
        self.in_hand = RunsInHand()
        self.routes = RoutesInForce(Routes(RoutingTable(deployment), {}))
        executors = Executors(self.routes, self._revive)
        self._children = Children(self._tenant, ports, self.routes, self.in_hand, executors)
        self.door: IngressDoor | None = None
        self._works = False

    @property
    def deployment(self) -> Deployment:
        """The deployment in force."""
        return self.routes.current.table.deployment

    @property
    def works(self) -> bool:
        """Whether the tenant's flows run here."""
        return self._works

    @property
    def in_flight(self) -> int:
        """How many deliveries the router has in hand."""
        return len(self._children.in_flight)

    async def start(self, roles: Roles) -> None:
        """Start the children that the roles ask for."""
        if roles.ingress:
            self.door = IngressDoor(
                await self._supervisor.spawn(self._children.ingress()), self.routes
            )
        if roles.worker:
            await self._work(self.deployment)

    async def deploy(self, deployment: Deployment, roles: Roles) -> None:
        """Go over to another revision, or begin or end to work for the tenant.

        Runs in progress finish on the version they began with.
        """
        if _is_same(deployment, self.deployment) and roles.worker == self._works:
            return
        if roles.worker:
            await self._work(deployment)
            return
        if self._works:
            await self._end_work()
        self.routes.current = Routes(RoutingTable(deployment), {})

    async def drain(self) -> None:
        """Stop pulling, let what is in flight finish, then stop the rest (STYLE 3)."""
        executors = [self._supervisor.ref_of(name) for name in self._working()]
        await self._stop_pulling()
        await self._supervisor.drain(DRAIN_SECONDS)
        for executor in executors:
            _give_back(executor)
        await asyncio.gather(*self._leaving)

    # ── Work ─────────────────────────────────────────────────────────────────────────────────

    async def _work(self, deployment: Deployment) -> None:
        await self._start_flows(deployment)
        await self._follow_lanes(deployment)
        if not self._works:
            await self._supervisor.spawn(self._children.router())
            self._works = True

    async def _end_work(self) -> None:
        """Leave the tenant's work to other workers, and go on taking its requests."""
        self._works = False
        await self._stop_pulling()
        for name in self._working():
            self._leave(name)
        self._executor_names = {}
        self._past.clear()
        self._lanes.clear()
        self._scheduler_name = None

    async def _stop_pulling(self) -> None:
        names = {child.name for child in self._supervisor.children()}
        for name in (self._scheduler_name, "router"):
            if name in names:
                await self._supervisor.remove(name)
        await asyncio.gather(*(self._supervisor.remove(name) for name in self._lanes.values()))

    def _working(self) -> tuple[str, ...]:
        return (*self._executor_names.values(), *self._past)

    # ── Flows ────────────────────────────────────────────────────────────────────────────────

    async def _start_flows(self, deployment: Deployment) -> None:
        names = {flow.name: executor_name(flow, deployment) for flow in deployment.flows.values()}
        executors: dict[str, ActorRef[RunRequest]] = {}
        for flow, name in names.items():
            if self._executor_names.get(flow) == name:
                executors[flow] = self._supervisor.ref_of(name)
            else:
                executors[flow] = await self._supervisor.spawn(
                    self._children.executor(name, deployment.flows[flow], deployment)
                )
        self.routes.current = Routes(RoutingTable(deployment), executors)
        old = set(self._executor_names.values()) - set(names.values())
        self._executor_names = names
        for name in old:
            self._leave(name)
        await self._restart_scheduler(deployment)
        applied = DeploymentApplied(self._tenant, deployment.revision, len(names))
        self._ports.world.observer.observe(applied)

    async def _follow_lanes(self, deployment: Deployment) -> None:
        """Have an actor for each private lane of the flows, and for what is left on gone ones."""
        leftover = dict.fromkeys(deployment.leftover_lanes, False)
        wanted = {
            LaneName(self._tenant, lane, is_exclusive)
            for lane, is_exclusive in {**leftover, **deployment.lanes()}.items()
        }
        for lane in sorted(self._lanes.keys() - wanted, key=str):
            await self._supervisor.remove(self._lanes.pop(lane))
        for lane in sorted(wanted - self._lanes.keys(), key=str):
            name = f"lane:{lane.lane}"
            await self._supervisor.spawn(self._children.lane(name, lane))
            self._lanes[lane] = name

    async def _restart_scheduler(self, deployment: Deployment) -> None:
        if self._scheduler_name is not None:
            await self._supervisor.remove(self._scheduler_name, drain=False)
            self._scheduler_name = None
        if not deployment.has_timers:
            return
        self._scheduler_name = f"scheduler:{deployment.revision[:12]}"
        await self._supervisor.spawn(self._children.scheduler(self._scheduler_name, deployment))

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
        async with self._reviving:
            return await self._revive_once(flow, version)

    async def _revive_once(self, flow: str, version: str) -> Executor | None:
        name = f"past:{name_of(flow, version)}"
        known = self._past.get(name)
        if known is None:
            deployment = await self._ports.past.find(self._tenant, flow, version)
            if deployment is None:
                return None
            compiled = deployment.flows[flow]
            ref = await self._supervisor.spawn(self._children.executor(name, compiled, deployment))
            known = self._past[name] = Executor(ref, compiled)
            if len(self._past) > PAST_EXECUTORS_MAX:
                self._leave(self._past.popitem(last=False)[0])
        self._past.move_to_end(name)
        return known


def tenant_spec(tenant: str) -> SupervisorSpec:
    """Describe a tenant's supervisor to the root."""
    return SupervisorSpec(
        name=tenant,
        budget=TENANT_BUDGET,
        on_exhausted=Quarantine(QUARANTINE_SECONDS),
    )


def _is_same(one: Deployment, other: Deployment) -> bool:
    return (one.revision, one.activated, one.leftover_lanes, one.has_timers) == (
        other.revision,
        other.activated,
        other.leftover_lanes,
        other.has_timers,
    )


def _give_back(executor: ActorRef[RunRequest]) -> None:
    """Nak the requests that an executor has left in its mailbox: a router keeps them alive."""
    for request in executor.mailbox.take_nowait(FLOW_MAILBOX_MAX):
        request.share.settle_one(Settlement.NAK)

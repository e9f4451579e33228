"""What stands in a tenant's tree: how each of its actors is made.

In: the ports of the world, the routes in force. Out: specifications for the supervisor, each of
which makes a fresh actor at every start.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from actors.flows.compiled import CompiledFlow
from actors.kernel.budget import RestartBudget
from actors.kernel.specs import ChildSpec
from actors.lanes.lane import LaneActor
from actors.lanes.ports import LanePorts
from actors.nodes.step import World
from actors.ports import Deliveries, Delivery, LaneDeliveries, LaneName, Redriver, StateStore, Ticks
from actors.ports.timers import TimerPauses
from actors.quotas.quota import Quotas
from actors.runs.allowance import Allowance
from actors.runs.begin import RunSeat
from actors.runs.conclude import RunSinks
from actors.runs.executor import FlowExecutorActor
from actors.runs.in_hand import RunsInHand
from actors.runs.request import RunRequest
from actors.runs.shares import FairShares
from actors.tenants.deployment import Deployment
from actors.tenants.executors import Executors, ExecutorsOfLanes
from actors.tenants.ingress import Accept, IngressActor, IngressPorts, NoRedriver
from actors.tenants.past import NoPastDeployments, PastDeployments
from actors.tenants.router import DeliveryRouter, RouterPorts
from actors.tenants.routes import RoutesInForce
from actors.tenants.scheduler import SchedulerActor, SchedulerPorts

FLOW_BUDGET: Final = RestartBudget(restarts=5, seconds=30.0)
ACCEPTS_WAITING_MAX: Final = 1024
"""Requests that may wait for a tenant's ingress actor; past it the sender gets a 503."""
FLOW_MAILBOX_MAX: Final = 64
"""Run requests that may wait for a flow (SPEC 13)."""
IDLE_SECONDS: Final = 300.0
"""An ingress or an executor that had nothing to do for so long goes until it is wanted again."""
DRAIN_SECONDS: Final = 20.0
"""How long the router waits for what is in flight; below the consumer's ack_wait of 30 s."""


def open_no_lane(name: LaneName) -> LaneDeliveries:
    """Refuse: in a world without lanes no flow has flow control."""
    raise ValueError(f"there are no private lanes here, and {name.lane} is one")


async def is_the_last(tenant: str) -> None:
    """Confirm at once: in a world where nothing is ever deployed anew."""


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
    open_lane: Callable[[LaneName], LaneDeliveries] = open_no_lane
    """Gives a fresh pull of a private lane, for each start of its actor."""
    redriver: Redriver = field(default_factory=NoRedriver)
    """Starts anew what lies in the dead letters of an event that is delivered again."""
    past: PastDeployments = field(default_factory=NoPastDeployments)
    shares: FairShares | None = None
    """How the tenants of the worker share its event loop; None: each tenant has it for itself."""
    quotas: Quotas | None = None
    """What each tenant's plan allows; None: everything."""
    confirm: Callable[[str], Awaitable[None]] = is_the_last
    """Returns once what a tenant had deployed before the call is in force here. UnavailableError.
    """


class Children:
    """Makes the specifications of one tenant's actors."""

    def __init__(
        self,
        tenant: str,
        ports: TreePorts,
        routes: RoutesInForce,
        in_hand: RunsInHand,
        executors: Executors,
    ) -> None:
        self._tenant = tenant
        self._ports = ports
        self._routes = routes
        self._in_hand = in_hand
        self._executors = executors
        self.in_flight: dict[int, Delivery] = {}
        """What the router has in hand, for others to count."""
        world = ports.world
        self._allowance = Allowance.of(
            tenant,
            ports.shares or FairShares(world.clock),
            ports.quotas or Quotas(world.clock, world.observer),
        )

    def ingress(self) -> ChildSpec[Accept]:
        """Make what turns requests into events."""
        world = self._ports.world
        ports = IngressPorts(world.publisher, world.observer, world.clock, self._ports.redriver)
        return ChildSpec(
            "ingress",
            lambda _: IngressActor(self._tenant, ports),
            mailbox_capacity=ACCEPTS_WAITING_MAX,
            idle_seconds=IDLE_SECONDS,
        )

    def router(self) -> ChildSpec[object]:
        """Make what turns deliveries into run requests."""
        world, sinks = self._ports.world, self._ports.sinks

        def build(_: object) -> DeliveryRouter:
            deliveries = self._ports.open_deliveries(self._tenant)
            ports = RouterPorts(
                deliveries,
                sinks.dead_letters,
                world.observer,
                world.clock,
                self._allowance.share,
                partial(self._ports.confirm, self._tenant),
            )
            return DeliveryRouter(
                self._tenant, self._routes, ports, self._executors, self.in_flight
            )

        return ChildSpec("router", build, drain_timeout_seconds=DRAIN_SECONDS)  # type: ignore[arg-type]  # it takes no messages

    def lane(self, name: str, lane: LaneName) -> ChildSpec[object]:
        """Make what lets runs begin when it is their turn."""
        world, sinks, leases = self._ports.world, self._ports.sinks, self._ports.leases

        def build(_: object) -> LaneActor:
            ports = LanePorts(
                deliveries=self._ports.open_lane(lane),
                flows=ExecutorsOfLanes(self._routes, self._executors),
                continuations=world.continuations,
                journal=world.journal,
                dead_letters=sinks.dead_letters,
                runs=self._in_hand,
                leases=leases,
                observer=world.observer,
                clock=world.clock,
                env=world.env,
            )
            return LaneActor(lane, ports)

        return ChildSpec(name, build, drain_timeout_seconds=DRAIN_SECONDS)  # type: ignore[arg-type]  # it takes no messages

    def scheduler(self, name: str, deployment: Deployment) -> ChildSpec[object]:
        """Make what turns times into events."""
        world = self._ports.world
        ports = SchedulerPorts(
            world.publisher, self._ports.ticks, self._ports.pauses, world.observer, world.clock
        )
        flows = tuple(deployment.flows.values())
        return ChildSpec(name, lambda _: SchedulerActor(self._tenant, flows, ports))  # type: ignore[arg-type,return-value]  # it takes no messages

    def executor(
        self, name: str, flow: CompiledFlow, deployment: Deployment
    ) -> ChildSpec[RunRequest]:
        """Make what turns run requests into results."""
        routes, version = self._routes, deployment.version_of(flow.name)
        seat = RunSeat(
            self._tenant,
            flow,
            self._ports.world,
            version=version,
            has_effects=deployment.has_effects(flow.name),
            is_in_force=lambda: routes.current.table.versions.get(flow.name) == version,
        )
        ports = self._ports
        return ChildSpec(
            name,
            lambda _: FlowExecutorActor(
                seat, deployment.flows, ports.sinks, ports.leases, self._in_hand, self._allowance
            ),
            own_budget=FLOW_BUDGET,
            mailbox_capacity=FLOW_MAILBOX_MAX,
            idle_seconds=IDLE_SECONDS,
        )


def executor_name(flow: CompiledFlow, deployment: Deployment) -> str:
    """Name the executor of a flow in force: another one for another version."""
    return f"flow:{name_of(flow.name, deployment.version_of(flow.name))}"


def name_of(flow: str, version: str) -> str:
    """Name a flow's version within the tree."""
    return f"{flow.replace('/', '.')}:{version[:16]}"

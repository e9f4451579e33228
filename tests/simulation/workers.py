"""Workers: processes with real actors in them, that die, freeze and come back.

In: a deployment, the cluster, the weather. Out: trees that run it. A death is a real one: nothing
of the process goes on, no cleanup reaches anybody; what it held comes back by redelivery.
"""

from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final

from actors.kernel.ports import KernelPorts
from actors.nodes.step import World
from actors.runs.conclude import RunSinks
from actors.tenants.children import TreePorts
from actors.tenants.deployment import Deployment
from actors.tenants.host import TenantHost
from actors.tenants.tree import Roles
from actors.testing.ids import CountingIds
from actors.testing.pauses import MemoryTimerPauses
from actors.testing.scripts import InlineScripts
from actors.testing.ticks import MemoryTicks
from tests.simulation.consumer import Consumer
from tests.simulation.faults import DOWN_SECONDS, FREEZE_SECONDS, CallFault, Weather
from tests.simulation.loop import Process, SimulatedLoop
from tests.simulation.network import Line
from tests.simulation.ports import (
    ForgetfulPorts,
    LineDeliveries,
    LineStateStore,
    Ports,
    SilentAnswers,
)
from tests.simulation.witness import WitnessObserver
from tests.simulation.world import TENANT, Cluster, LoopClock

SKEW_MS_MAX: Final = 200
"""How far a worker's wall clock may be off."""

SOON_SECONDS: Final = (0.0, 0.02)


class FleetIds(CountingIds):
    """Fresh ids of one life: no two lives share any."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name

    def event_id(self) -> str:
        return f"{self._name}-{super().event_id()}"


class Shelf:
    """Twin of PastDeployments: every deployment that was ever in force."""

    def __init__(self) -> None:
        self.kept: list[Deployment] = []

    async def find(self, tenant: str, flow: str, version: str) -> Deployment | None:
        for deployment in self.kept:
            if flow in deployment.flows and deployment.version_of(flow) == version:
                return deployment
        return None


class Worker:
    """One worker over all its lives."""

    def __init__(self, name: str, fleet: "Fleet") -> None:
        self.name = name
        self.lives = 0
        self.host: TenantHost | None = None
        self.process: Process | None = None
        self.observers: list[WitnessObserver] = []
        self._fleet = fleet
        self._random = fleet.weather.random

    def begin_life(self) -> None:
        """Start the process."""
        fleet, cluster = self._fleet, self._fleet.cluster
        self.lives += 1
        process = self.process = Process(f"{self.name}.{self.lives}")
        line = Line(cluster.loop, process, fleet.weather, self._strike)
        skew_ms = self._random.randint(-SKEW_MS_MAX, SKEW_MS_MAX) if fleet.is_skewed else 0
        clock = LoopClock(cluster.loop, skew_ms=skew_ms)
        ports = Ports(cluster, line) if fleet.has_journal else ForgetfulPorts(cluster, line)
        observer = WitnessObserver(cluster.history, process.name)
        self.observers.append(observer)
        world = World(
            env="test",
            publisher=ports,
            continuations=ports,
            state=LineStateStore(cluster.state, line),
            http=ports,
            answers=SilentAnswers(),
            observer=observer,
            clock=clock,
            ids=FleetIds(process.name),
            scripts=InlineScripts(),
            actions=ports,
            journal=ports,
            legs=ports,
        )
        tree = TreePorts(
            world=world,
            sinks=RunSinks(ports, ports, ports),
            ticks=MemoryTicks(cluster.publisher),
            pauses=MemoryTimerPauses(),
            leases=LineStateStore(cluster.leases, line),
            open_deliveries=lambda _: LineDeliveries(line, fleet.consumer),
            past=fleet.shelf,
        )
        kernel = KernelPorts(clock, self._random.random, observer.observe)
        self.host = host = TenantHost(Roles(ingress=False), tree, kernel)
        deployment = fleet.shelf.kept[-1]

        async def start() -> None:
            await host.start()
            await host.deploy(deployment)

        self._note("begins")
        cluster.loop.start(process, start())

    def deploy(self, deployment: Deployment) -> None:
        """Have the process go over to another deployment."""
        host, process = self.host, self.process
        if host is not None and process is not None and not process.is_dead:
            loop = self._fleet.cluster.loop
            loop.call_later_in(process, 0.0, _create, loop, host.deploy, deployment)

    def cancel(self, run_id: str) -> None:
        """Have the process end a run if it has it in hand."""
        host, process = self.host, self.process
        if host is not None and process is not None and not process.is_dead:
            self._fleet.cluster.loop.call_later_in(
                process, 0.0, host.cancel, TENANT, run_id, "somebody asked"
            )

    @property
    def is_dead(self) -> bool:
        """Whether the process is away."""
        return self.process is None or self.process.is_dead

    def die(self, seconds: float | None = None) -> None:
        """End this life in the middle of whatever it does; another one begins later."""
        process, fleet, loop = self.process, self._fleet, self._fleet.cluster.loop
        if process is None or process.is_dead:
            return
        fleet.weather.deaths_left -= 1
        self._note("dies")
        loop.kill(process)
        hang_up = self._random.choice((0.0, 0.0, 0.0, 3.0))
        loop.call_later_in(loop.world, hang_up, fleet.consumer.hang_up, process)
        if seconds is None:
            seconds = self._random.uniform(0.0, self._random.choice(DOWN_SECONDS))
        loop.call_later_in(loop.world, seconds, self.begin_life)

    def freeze(self, seconds: float | None = None) -> None:
        """Stop for a while, and go on as if nothing had been."""
        process, loop = self.process, self._fleet.cluster.loop
        if process is None or process.is_dead or process.is_frozen:
            return
        process.is_frozen = True
        self._note("freezes")
        if seconds is None:
            seconds = self._random.uniform(0.0, self._random.choice(FREEZE_SECONDS))
        loop.call_later_in(loop.world, seconds, self._thaw, process)

    def _thaw(self, process: Process) -> None:
        if not process.is_dead:
            process.is_frozen = False
            self._note("thaws")

    def _note(self, what: str) -> None:
        name = "" if self.process is None else self.process.name
        self._fleet.cluster.history.note("process", "", name, what)

    def _strike(self, fault: CallFault) -> None:
        loop = self._fleet.cluster.loop
        if fault in (CallFault.DIE_UNSENT, CallFault.DIE_SENT):
            self.die()
        elif fault is CallFault.FREEZE:
            self.freeze()
        elif fault in (CallFault.DIE_SOON, CallFault.FREEZE_SOON):
            strike = self.die if fault is CallFault.DIE_SOON else self.freeze
            loop.call_later_in(loop.world, self._random.uniform(*SOON_SECONDS), strike)


class Fleet:
    """All workers of one simulation."""

    def __init__(
        self,
        cluster: Cluster,
        weather: Weather,
        deployment: Deployment,
        *,
        has_journal: bool = True,
        is_skewed: bool = True,
    ) -> None:
        self.cluster = cluster
        self.weather = weather
        self.has_journal = has_journal
        self.is_skewed = is_skewed
        self.consumer = Consumer(cluster, weather)
        self.shelf = Shelf()
        self.shelf.kept.append(deployment)
        self.workers: list[Worker] = []

    def open(self, workers: int) -> None:
        """Start some workers."""
        for number in range(workers):
            worker = Worker(f"w{number + 1}", self)
            self.workers.append(worker)
            worker.begin_life()

    def worker_of(self, life: str) -> Worker:
        """Give the worker whose life this was."""
        return next(one for one in self.workers if life.startswith(f"{one.name}."))

    def deploy(self, deployment: Deployment) -> None:
        """Have another deployment come into force, on one worker after the other."""
        self.shelf.kept.append(deployment)
        for worker in self.workers:
            worker.deploy(deployment)

    def cancel(self, run_id: str) -> None:
        """Have whoever has a run in hand end it."""
        for worker in self.workers:
            worker.cancel(run_id)

    def crashes(self) -> list[str]:
        """What actors crashed of: nothing in a simulation gives them a reason to."""
        return [
            crash
            for worker in self.workers
            for observer in worker.observers
            for crash in observer.crashes
        ]

    async def close(self) -> Mapping[str, list[str]]:
        """Drain all workers; give the names of tasks that are left."""
        loop = self.cluster.loop
        drains = [
            loop.start_in(worker.process, worker.host.drain())
            for worker in self.workers
            if worker.process is not None and worker.host is not None
        ]
        for drain in drains:
            await drain
        processes = [worker.process for worker in self.workers if worker.process is not None]
        return {one.name: left for one in processes if (left := loop.unfinished(one))}


def _create(
    loop: SimulatedLoop, work: Callable[[Any], Coroutine[Any, Any, None]], argument: Any
) -> None:
    loop.create_task(work(argument))

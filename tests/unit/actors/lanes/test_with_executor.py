"""A lane before the executor as it is: what both must agree in. Flows are compiled from documents."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest_asyncio

from actors.flows.compiled import CompiledFlow
from actors.flows.compiler import compile_flow
from actors.ids import run_id
from actors.kernel.ports import KernelPorts
from actors.kernel.ref import ActorRef
from actors.kernel.specs import ChildSpec, SupervisorSpec
from actors.kernel.supervisor import Supervisor
from actors.lanes.lane import LaneActor
from actors.lanes.ports import LaneFlow, LanePorts
from actors.nodes.resources import FlowResources
from actors.outcomes import RunError
from actors.ports import Continuation, LaneName
from actors.runs.executor import FlowExecutorActor
from actors.runs.in_hand import RunsInHand
from actors.runs.request import RunRequest
from actors.testing.lanes import MemoryLane, MemoryLaneDeliveries
from actors.testing.work import MemoryWork
from tests.support.builders import Yard, an_event


class Plant:
    """One flow, its executor and its lane; the worker can be killed and started again."""

    def __init__(self, config: dict[str, Any], *nodes: dict[str, Any]) -> None:
        trigger = {"type": "event", "event_type": "order.created", "target": nodes[0]["id"]}
        document = {
            "name": "orders", "version": "1", "config": config, "nodes": list(nodes), "triggers": [trigger],
        }  # fmt: skip
        self.flow: CompiledFlow = compile_flow(document, FlowResources())
        self.yard = Yard()
        self.bus = MemoryLane(self.yard.stream)
        self.work = MemoryWork(self.yard.clock, lambda _tenant, _lane: self.yard.stream)
        self.yard.stage.continuations = self.work  # type: ignore[assignment]
        self.roots: list[Supervisor] = []
        self.executor: ActorRef[RunRequest]
        self.pull: MemoryLaneDeliveries

    revision = "r1"

    async def find(self, _waiting: Continuation) -> LaneFlow | RunError:
        assert self.flow.control is not None
        return LaneFlow(self.flow, self.flow.control, self.executor)

    async def start(self) -> None:
        yard, in_hand, world = self.yard, RunsInHand(), self.yard.stage.world
        kernel = KernelPorts(yard.clock, lambda: 0.0, yard.observer.observe)
        root = Supervisor(SupervisorSpec("root"), kernel)
        self.roots.append(root)
        await root.start()
        seat = yard.seat(self.flow)
        flows = {self.flow.name: self.flow}
        self.executor = await root.spawn(
            ChildSpec(
                "flow", lambda _: FlowExecutorActor(seat, flows, yard.sinks, yard.leases, in_hand)
            )
        )
        self.pull = self.bus.open()
        ports = LanePorts(
            self.pull, self, self.work, world.journal, yard.letters, in_hand, yard.leases,
            yard.observer, yard.clock, "test",
        )  # fmt: skip
        await root.spawn(
            ChildSpec("lane", lambda _: LaneActor(LaneName("demo", "orders", True), ports))
        )

    def add(self, name: str, key: int = 1) -> None:
        event = an_event(name, payload={"k": key})
        waiting = Continuation(run_id(name, "orders"), "orders", event, trigger=1)
        self.yard.stream.add(event, continuation=waiting)

    async def advance(self, seconds: float) -> None:
        for _ in range(round(seconds * 2)):
            await self.yard.clock.advance(0.5)
            self.work.move_due()
            self.bus.expire()
            await self.yard.clock.settle()

    async def kill(self) -> None:
        self.pull.die()
        await self.stop()

    async def stop(self) -> None:
        while self.roots:
            stopping = asyncio.ensure_future(self.roots.pop().stop())
            await self.yard.clock.advance(60)
            await stopping

    @property
    def ended(self) -> list[tuple[str, str]]:
        """Event ids and statuses of the results, in order."""
        results = [published.result for published in self.yard.results.stored]
        return [(result.event_id, result.status) for result in results]


WAIT = {"id": "rest", "type": "wait", "config": {"for": "10s"}}
MakePlant = Callable[..., Plant]


@pytest_asyncio.fixture
async def make_plant() -> AsyncIterator[MakePlant]:
    plants: list[Plant] = []

    def build(config: dict[str, Any], *nodes: dict[str, Any]) -> Plant:
        plants.append(Plant(config, *nodes))
        return plants[-1]

    yield build
    for plant in plants:
        await plant.stop()
    assert asyncio.all_tasks() == {asyncio.current_task()}


def echo(text: str) -> dict[str, Any]:
    return {"id": "echo", "type": "script", "config": {"script": text}}


async def test_runs_of_a_key_follow_each_other_through_their_sleeps(make_plant: MakePlant) -> None:
    plant = make_plant({"ordered": "payload.k"}, WAIT)
    await plant.start()
    for name, key in (("a", 1), ("b", 1), ("x", 2)):
        plant.add(name, key)
    await plant.advance(12)
    assert plant.ended == [("a", "completed"), ("x", "completed")]
    await plant.advance(12)
    assert plant.ended[2:] == [("b", "completed")]
    assert plant.bus.unsettled == 0


async def test_sleeper_of_a_dead_worker_sleeps_on(make_plant: MakePlant) -> None:
    plant = make_plant({"ordered": "payload.k"}, {**WAIT, "config": {"for": "90s"}})
    await plant.start()
    plant.add("a")
    plant.add("b")
    await plant.advance(2)
    await plant.kill()
    await plant.start()
    await plant.advance(27)
    assert plant.ended == []
    await plant.advance(20)
    assert plant.ended == [("a", "completed")]  # 90 s after it began, not after it was taken up
    await plant.advance(90)
    assert plant.ended == [("a", "completed"), ("b", "completed")]
    assert plant.bus.unsettled == 0


async def test_sleeper_that_is_cancelled_stays_so(make_plant: MakePlant) -> None:
    plant = make_plant({"singleton": {"key": "payload.k", "mode": "cancel"}}, WAIT)
    await plant.start()
    plant.add("a")
    await plant.advance(2)
    plant.add("b")
    await plant.advance(2)
    assert plant.ended == [("a", "cancelled")]
    await plant.kill()
    await plant.start()
    await plant.advance(60)
    assert plant.ended == [("a", "cancelled"), ("b", "completed")]
    assert plant.bus.unsettled == 0


async def test_refused_run_has_a_result_and_a_record(make_plant: MakePlant) -> None:
    plant = make_plant({"singleton": {"key": "payload.k"}}, WAIT)
    await plant.start()
    plant.add("a")
    plant.add("b")
    await plant.advance(1)
    assert plant.ended == [("b", "rejected")]
    (record,) = plant.yard.records.stored
    assert record.result.error is not None
    assert record.result.error.message.startswith("singleton skip")


async def test_key_that_fails_is_a_dead_letter(make_plant: MakePlant) -> None:
    plant = make_plant({"ordered": "payload.k.missing"}, WAIT)
    await plant.start()
    plant.add("a")
    await plant.advance(1)
    (letter,) = plant.yard.letters.parked
    assert letter.reason == "control_key_failed"
    assert letter.event is not None
    assert letter.event.id == "a"


async def test_batch_sees_its_events(make_plant: MakePlant) -> None:
    plant = make_plant(
        {"batch": {"max_size": 3, "max_wait": "5s"}}, echo("events.map(|e| e.payload.k)")
    )
    await plant.start()
    for number in range(3):
        plant.add(f"e{number}", number)
    await plant.advance(1)
    (published,) = plant.yard.results.stored
    assert published.result.output == [0, 1, 2]
    assert list(published.result.batch) == ["e0", "e1", "e2"]

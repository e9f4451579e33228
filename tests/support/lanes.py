"""A lane with workers: twins of the bus on a virtual clock, and executors that a test scripts.

In: rules, events, what runs do. Out: what began when, what it came to, how many at once. Workers
can be killed, and lose the lane while they live. Runs keep a journal of their own, so that one that
is repeated goes on where it was.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from actors.errors import UnavailableError
from actors.flows.compiled import CompiledFlow
from actors.flows.control import ControlPlan
from actors.ids import run_id
from actors.kernel.mailbox import Mailbox
from actors.kernel.ports import KernelPorts
from actors.kernel.ref import ActorRef
from actors.kernel.specs import ChildSpec, SupervisorSpec
from actors.kernel.supervisor import Supervisor
from actors.lanes.lane import LaneActor
from actors.lanes.ports import LaneFlow, LanePorts
from actors.outcomes import (
    Cancelled,
    Completed,
    Continued,
    Failed,
    Interrupted,
    Rejected,
    RunError,
    RunOutcome,
    settlement_of,
)
from actors.ports import Continuation, LaneName
from actors.runs.in_hand import RunsInHand
from actors.runs.request import OURS_SECONDS, RunRequest
from actors.testing.clock import VirtualClock
from actors.testing.dead_letters import MemoryDeadLetters
from actors.testing.deliveries import MemoryEventStream
from actors.testing.journal import MemoryJournal
from actors.testing.lanes import MemoryLane, MemoryLaneDeliveries
from actors.testing.observer import RecordingObserver
from actors.testing.state import MemoryStateStore
from actors.testing.work import MemoryWork
from tests.support.builders import a_flow, an_event

Final = Completed | Failed | Rejected | Cancelled


@dataclass
class Script:
    """What a run does: how long it works, and the sleeps between."""

    seconds: float = 0.0
    sleeps: Sequence[float] = ()
    end: RunOutcome = field(default_factory=lambda: Completed("done"))


class LaneYard:
    """One lane, its flows, and all that outlives a worker."""

    def __init__(self, *plans: ControlPlan, lane: str = "orders", **lane_fields: Any) -> None:
        self.clock = VirtualClock()
        self.lane = lane
        self.stream = MemoryEventStream(self.clock)
        self.bus = MemoryLane(self.stream, **lane_fields)
        self.work = MemoryWork(self.clock, lambda _tenant, _lane: self.stream)
        self.leases = MemoryStateStore(self.clock)
        self.letters = MemoryDeadLetters()
        self.cancels = MemoryJournal()
        self.observer = RecordingObserver()
        self.revision = "r1"
        self.flows = {}
        for number, plan in enumerate(plans or (ControlPlan(),)):
            name = "orders" if number == 0 else f"orders{number + 1}"
            self.flows[name] = a_flow(name=name, control=plan)
        self.scripts: dict[str, Script] = {}
        self.default = Script()
        self.begun: list[tuple[int, str]] = []
        self.began_with: dict[str, RunRequest] = {}
        self.outcomes: dict[str, list[Final]] = {}
        self.completed: list[RunRequest] = []
        self.running: list[str] = []
        self.most_running = 0
        self.on_begin: Callable[[str], None] = lambda _: None
        self.journal: dict[str, tuple[int, int]] = {}
        self.workers: list[Worker] = []

    # ── What a test does ─────────────────────────────────────────────────────────────────────

    def add(self, name: str, payload: Any = None, *, flow: str = "orders", **fields: Any) -> str:
        """Put a run on the lane, as a router does; give its id."""
        event = an_event(name, payload={} if payload is None else payload)
        run = run_id(event.id, flow)
        defaults: dict[str, Any] = {"trigger": 1}
        waiting = Continuation(run, flow, event, **{**defaults, **fields})
        self.stream.add(event, continuation=waiting)
        return run

    async def start(self) -> "Worker":
        """Start a worker."""
        worker = Worker(self)
        self.workers.append(worker)
        await worker.start()
        await self.settle()
        return worker

    async def settle(self) -> None:
        for _ in range(4):
            await self.clock.settle()

    async def advance(self, seconds: float, *, step: float = 0.25) -> None:
        """Move time; schedules fire and ack waits end on the way."""
        left = seconds
        while left > 0:
            await self.clock.advance(min(step, left))
            left -= step
            self.work.move_due()
            self.bus.expire()
            await self.clock.settle()

    async def stop(self) -> None:
        for worker in self.workers:
            await worker.stop()

    # ── What a test looks at ─────────────────────────────────────────────────────────────────

    def names(self) -> list[str]:
        """Event ids of the runs begun, in order."""
        return [name for _, name in self.begun]

    def times(self) -> list[int]:
        """When they began, in ms since the clock's epoch."""
        return [at - 1_700_000_000_000 for at, _ in self.begun]

    def outcome(self, name: str, flow: str = "orders") -> Final | None:
        """What the run of an event came to."""
        found = self.outcomes.get(run_id(name, flow), [])
        return found[0] if found else None


class Worker:
    """One process: a lane's actor and executors."""

    def __init__(self, yard: LaneYard) -> None:
        self.yard = yard
        self.pull: MemoryLaneDeliveries = yard.bus.open()
        self.in_hand = RunsInHand()
        kernel = KernelPorts(yard.clock, lambda: 0.0, yard.observer.observe)
        self.root = Supervisor(SupervisorSpec("root"), kernel)
        self.boxes: dict[str, Mailbox[RunRequest]] = {}
        self.refs: dict[str, ActorRef[RunRequest]] = {}
        self.tasks: set[asyncio.Task[None]] = set()
        self.actor: LaneActor | None = None
        self.is_stopped = False
        for name in yard.flows:
            self.open_executor(name)

    def resume(self, flow: str = "orders") -> None:
        """Let an executor that was suspended take requests again."""
        self.refs[flow].resume()
        self._begin(self._serve(self.boxes[flow]))

    def open_executor(self, name: str, capacity: int = 64) -> None:
        box: Mailbox[RunRequest] = Mailbox(capacity)
        self.boxes[name] = box
        self.refs[name] = ActorRef(name, mailbox=box, clock=self.yard.clock)

    async def start(self, *, runs: bool = True) -> None:
        yard = self.yard
        name = LaneName("demo", yard.lane, yard.bus.is_exclusive)

        def build(_: object) -> LaneActor:
            if self.actor is not None:
                self.pull = yard.bus.open()
            ports = LanePorts(
                deliveries=self.pull,
                flows=self,
                continuations=yard.work,
                journal=yard.cancels,
                dead_letters=yard.letters,
                runs=self.in_hand,
                leases=yard.leases,
                observer=yard.observer,
                clock=yard.clock,
                env="dev",
            )
            self.actor = LaneActor(name, ports)
            return self.actor

        await self.root.start()
        await self.root.spawn(ChildSpec("lane", build))
        if runs:
            for box in self.boxes.values():
                self._begin(self._serve(box))

    # The LaneFlows port.

    @property
    def revision(self) -> str:
        return self.yard.revision

    async def find(self, waiting: Continuation) -> LaneFlow | RunError:
        flow: CompiledFlow | None = self.yard.flows.get(waiting.flow)
        if flow is None:
            return RunError("unknown_flow", None, f"there is no flow {waiting.flow!r} any more")
        return LaneFlow(flow, flow.control or ControlPlan(), self.refs[waiting.flow])

    # ── Runs ─────────────────────────────────────────────────────────────────────────────────

    async def _serve(self, box: Mailbox[RunRequest]) -> None:
        while await box.wait_message():
            self._begin(self._run(box.take_one_nowait()))

    async def _run(self, request: RunRequest) -> None:
        yard, task = self.yard, asyncio.current_task()
        name = request.event.id
        cancelled: list[str] = []

        def cancel(reason: str) -> None:
            cancelled.append(reason)
            assert task is not None
            task.cancel()

        outcome: RunOutcome
        if request.verdict is not None:
            outcome = request.verdict
        else:
            self.in_hand.enter(request.run_id, cancel)
            yard.begun.append((yard.clock.now_ms(), name))
            yard.began_with[name] = request
            yard.running.append(name)
            yard.most_running = max(yard.most_running, len(yard.running))
            yard.on_begin(name)
            try:
                outcome = await self._walk(request)
            except asyncio.CancelledError:
                if not cancelled:
                    raise
                outcome = Cancelled(cancelled[0])
            finally:
                yard.running.remove(name)
                self.in_hand.leave(request.run_id, cancel)
        self.conclude(request, outcome)

    async def _walk(self, request: RunRequest) -> RunOutcome:
        yard = self.yard
        script = yard.scripts.get(request.event.id, yard.default)
        if entries := await yard.cancels.read("demo", request.run_id):
            return Cancelled(entries[0].value["reason"])
        slept, due_ms = yard.journal.get(request.run_id, (0, 0))
        if due_ms > yard.clock.now_ms():
            return await self._sleep(request, slept, due_ms)
        if script.seconds:
            await yard.clock.sleep(script.seconds)
        if slept < len(script.sleeps):
            due_ms = yard.clock.now_ms() + round(script.sleeps[slept] * 1000)
            yard.journal[request.run_id] = (slept + 1, due_ms)
            return await self._sleep(request, slept + 1, due_ms)
        return script.end

    async def _sleep(self, request: RunRequest, leg: int, due_ms: int) -> RunOutcome:
        """Put the run off while its delivery is surely ours, as a run does."""
        yard, here = self.yard, request.share.delivery
        assert here.continuation is not None
        waiting = replace(here.continuation, leg=leg, due_ms=due_ms)
        while yard.clock.monotonic() - here.kept_alive_at <= OURS_SECONDS:
            try:
                await yard.work.schedule("demo", waiting, lane=yard.lane)
            except UnavailableError:
                await yard.clock.sleep(0.5)
            else:
                return Continued(due_ms, 1, waiting)
        return Interrupted("it could not be put off", is_lost=True)

    def conclude(self, request: RunRequest, outcome: RunOutcome) -> None:
        """Store and settle, as a concluder does."""
        if not self.pull.is_dead and not isinstance(outcome, Continued | Interrupted):
            self.yard.outcomes.setdefault(request.run_id, []).append(outcome)
            self.yard.completed.append(request)
        request.share.settle_one(settlement_of(outcome))
        assert request.on_ended is not None
        request.on_ended(outcome)

    # ── Ends ─────────────────────────────────────────────────────────────────────────────────

    async def kill(self) -> None:
        """Die without a word."""
        self.pull.die()
        await self.stop()

    async def drain(self) -> None:
        """Leave in order, as on SIGTERM; runs go on to their end."""
        leaving = asyncio.ensure_future(self.root.remove("lane"))
        for _ in range(200):
            await self.yard.advance(0.25)
            if leaving.done():
                break
        await leaving
        await self.stop()

    async def stop(self) -> None:
        if self.is_stopped:
            return
        self.is_stopped = True
        for task in tuple(self.tasks):
            task.cancel()
        stopping = asyncio.ensure_future(self.root.stop())
        for _ in range(50):
            await self.yard.clock.settle()
            if stopping.done():
                break
        else:
            await self.yard.clock.advance(60)
        await stopping
        await asyncio.gather(*self.tasks, return_exceptions=True)

    def _begin(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

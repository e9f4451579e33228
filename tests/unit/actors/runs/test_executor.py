"""The executor of a flow: inline and waiting runs, back-pressure, drain and stop."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest
import pytest_asyncio

from actors.errors import PermanentError, QuotaExceededError
from actors.flows.compiled import CompiledFlow
from actors.kernel.ports import KernelPorts
from actors.kernel.ref import ActorRef
from actors.kernel.specs import ChildSpec, SupervisorSpec
from actors.kernel.supervisor import Supervisor
from actors.nodes.step import StepContext
from actors.outcomes import Advance, CallFlow, Ended, Settlement, StepOutcome
from actors.ports import RunRecord
from actors.quotas.plan import PlanLimits
from actors.quotas.quota import Quotas
from actors.runs.allowance import Allowance
from actors.runs.conclude import WAITING_MAX
from actors.runs.executor import RUNS_MAX, FlowExecutorActor
from actors.runs.in_hand import RunsInHand
from actors.runs.request import RunRequest
from actors.runs.shares import QUANTUM_ALONE_SECONDS, FairShares
from actors.testing.deliveries import MemoryDelivery
from tests.support.builders import (
    REPLY_TO,
    Gate,
    Inline,
    Waiting,
    Yard,
    a_flow,
    a_node,
    a_trigger,
    an_event,
    by_name,
    fails,
    gives,
)

ACK, NAK = Settlement.ACK, Settlement.NAK


class Plant:
    """One supervised executor."""

    def __init__(self, yard: Yard) -> None:
        self.yard = yard
        kernel = KernelPorts(yard.clock, lambda: 0.0, yard.observer.observe)
        self.root = Supervisor(SupervisorSpec("root"), kernel)
        self.asked = 0
        self.in_hand = RunsInHand()

    async def start(self, flow: CompiledFlow, *others: CompiledFlow) -> ActorRef[RunRequest]:
        self.flow = flow
        seat, flows = self.yard.seat(flow), by_name(flow, *others)
        clock = self.yard.clock
        self.quotas = Quotas(clock, self.yard.observer)
        shares = FairShares(clock, cpu=clock.monotonic)
        allowance = Allowance.of(seat.tenant, shares, self.quotas)
        await self.root.start()
        self.ref = await self.root.spawn(
            ChildSpec(
                "flow",
                lambda _: FlowExecutorActor(
                    seat, flows, self.yard.sinks, self.yard.leases, self.in_hand, allowance
                ),
            )
        )
        return self.ref

    def ask(self, **fields: object) -> MemoryDelivery:
        """Tell the executor of one more event; waits for no room."""
        self.asked += 1
        run_id = f"run-{self.asked}"
        delivery = self.yard.delivered(an_event(f"evt-{self.asked}"))
        request = self.yard.request(self.flow, run_id=run_id, delivery=delivery, **fields)
        self.ref.tell_nowait(request)
        return delivery

    def statuses(self) -> list[str]:
        return [published.result.status for published in self.yard.results.stored]

    async def stop(self) -> None:
        stopping = asyncio.ensure_future(self.root.stop())
        await self.yard.clock.advance(60)
        await stopping


@pytest_asyncio.fixture
async def plant(yard: Yard) -> AsyncIterator[Plant]:
    plant = Plant(yard)
    yield plant
    await plant.stop()
    assert asyncio.all_tasks() == {asyncio.current_task()}


# ── Runs ─────────────────────────────────────────────────────────────────────────────────────


async def test_a_flow_that_never_waits_is_run_and_settled(plant: Plant, yard: Yard) -> None:
    await plant.start(a_flow(a_node("first", gives("done"))))
    deliveries = [plant.ask() for _ in range(3)]
    await yard.clock.settle()
    assert plant.statuses() == ["completed"] * 3
    assert [delivery.settlement for delivery in deliveries] == [ACK] * 3


async def test_one_request_can_be_received_alone(yard: Yard) -> None:
    flow = a_flow()
    actor = FlowExecutorActor(yard.seat(flow), {}, yard.sinks, yard.leases, RunsInHand())
    delivery = yard.delivered()
    await actor.receive(yard.request(flow, delivery=delivery))
    await actor.on_stop()
    assert delivery.settlement is NAK


async def test_a_run_that_waits_lets_others_pass(plant: Plant, yard: Yard) -> None:
    gate = Gate()
    sometimes = Inline(lambda context: Advance(goto=None if context.run_id == "run-1" else "done"))
    await plant.start(
        a_flow(a_node("first", sometimes, next="gate"), a_node("gate", gate)),
    )
    held, passed = plant.ask(), plant.ask()
    await yard.clock.settle()
    assert (held.settlement, passed.settlement) == (None, ACK)
    gate.opened.set()
    await yard.clock.settle()
    assert held.settlement is ACK


async def test_a_flow_may_call_the_others_of_its_tenant(plant: Plant, yard: Yard) -> None:
    call = Inline(lambda _: CallFlow("child", None, passes_context=False))
    child = a_flow(a_node("inner", gives("from the child")), name="child")
    await plant.start(a_flow(a_node("first", call)), child)
    plant.ask()
    await yard.clock.settle()
    assert yard.results.stored[0].result.output == "from the child"


async def test_only_so_many_runs_go_on_at_once_and_then_the_mailbox_fills(
    plant: Plant, yard: Yard
) -> None:
    gate = Gate()
    ref = await plant.start(a_flow(a_node("gate", gate)))
    deliveries = [plant.ask() for _ in range(RUNS_MAX + 20)]
    await yard.clock.settle()
    assert gate.inside == RUNS_MAX
    deliveries += [plant.ask() for _ in range(10)]
    await yard.clock.settle()
    assert ref.depth == 10
    gate.opened.set()
    await yard.clock.settle()
    assert (gate.most, ref.depth) == (RUNS_MAX, 0)
    assert {delivery.settlement for delivery in deliveries} == {ACK}


async def test_long_batches_let_other_actors_run_in_between(plant: Plant, yard: Yard) -> None:
    order: list[str] = []

    def work(context: StepContext) -> StepOutcome:
        yard.clock._now_seconds += 2 * QUANTUM_ALONE_SECONDS
        order.append(context.run_id)
        return Advance()

    await plant.start(a_flow(a_node("first", Inline(work))))
    plant.ask()
    plant.ask()

    async def other() -> None:
        while len(order) < 1:
            await asyncio.sleep(0)
        order.append("other")

    await asyncio.gather(other(), yard.clock.settle())
    assert order == ["run-1", "other", "run-2"]


# ── Ends of other kinds ──────────────────────────────────────────────────────────────────────


async def test_an_unforeseen_error_fails_its_run_and_no_other(plant: Plant, yard: Yard) -> None:
    async def waits(context: StepContext) -> StepOutcome:
        raise KeyError("payload text")

    def step(context: StepContext) -> StepOutcome:
        if context.run_id == "run-1":
            raise ZeroDivisionError("payload text")
        return Advance(goto="waits" if context.run_id == "run-2" else "done")

    await plant.start(a_flow(a_node("first", Inline(step)), a_node("waits", Waiting(waits))))
    for _ in range(3):
        plant.ask()
    await yard.clock.settle()
    ended = {p.result.run_id: p.result for p in yard.results.stored}
    assert {run: result.status for run, result in ended.items()} == {
        "run-1": "failed", "run-2": "failed", "run-3": "completed"
    }  # fmt: skip
    error = ended["run-1"].error
    assert error is not None
    assert error.code == "internal"
    assert error.message == "unforeseen ZeroDivisionError in the worker"
    assert {letter.reason for letter in yard.letters.parked} == {"internal"}


async def test_a_trigger_that_cannot_be_judged_fails_the_run(plant: Plant, yard: Yard) -> None:
    def judge(_scope: object) -> bool:
        raise PermanentError("cannot say", reason="poison")

    await plant.start(a_flow(triggers=(a_trigger(judge=judge),)))
    plant.ask()
    await yard.clock.settle()
    (published,) = yard.results.stored
    assert published.result.error is not None
    assert (published.result.error.code, published.result.error.node) == ("poison", None)


@pytest.mark.parametrize(
    ("reply_to", "can_answer", "told"),
    [(REPLY_TO, True, [Ended("run-1", "skipped")]), (REPLY_TO, False, []), (None, True, [])],
)
async def test_a_skipped_event_is_acked_without_result(
    plant: Plant, yard: Yard, reply_to: str | None, can_answer: bool, told: list[Ended]
) -> None:
    flow = a_flow(triggers=(a_trigger(judge=lambda _: False),), can_answer=can_answer)
    await plant.start(flow)
    delivery = plant.ask(reply_to=reply_to)
    await yard.clock.settle()
    assert delivery.settlement is ACK
    assert yard.results.stored == []
    assert yard.stage.answers.sent.get(REPLY_TO, []) == told


async def test_a_step_that_fails_is_a_failed_run_and_no_crash(plant: Plant, yard: Yard) -> None:
    await plant.start(a_flow(a_node("first", fails(PermanentError("no", reason="broken")))))
    plant.ask()
    await yard.clock.settle()
    assert plant.statuses() == ["failed"]
    assert plant.root.children()[0].restarts == 0


# ── Drain and stop ───────────────────────────────────────────────────────────────────────────


async def test_a_drain_lets_everything_begun_and_waiting_finish(plant: Plant, yard: Yard) -> None:
    gate = Gate()
    await plant.start(a_flow(a_node("gate", gate)))
    deliveries = [plant.ask() for _ in range(RUNS_MAX + 9)]
    await yard.clock.settle()
    draining = asyncio.ensure_future(plant.root.drain(20))
    await yard.clock.settle()
    assert not draining.done()
    gate.opened.set()
    await yard.clock.settle()
    report = await draining
    assert report.is_complete
    assert {delivery.settlement for delivery in deliveries} == {ACK}


async def test_a_stop_gives_back_what_waits_in_a_node_and_what_is_in_hand(
    plant: Plant, yard: Yard
) -> None:
    gate = Gate()
    await plant.start(a_flow(a_node("gate", gate)))
    deliveries = [plant.ask() for _ in range(RUNS_MAX + 9)]
    await yard.clock.settle()
    await plant.stop()
    assert {delivery.settlement for delivery in deliveries} == {NAK}
    assert yard.results.stored == []


async def test_a_stop_gives_back_what_ended_and_could_not_be_stored(
    plant: Plant, yard: Yard
) -> None:
    yard.results.is_available = False
    await plant.start(a_flow())
    deliveries: list[MemoryDelivery] = []
    for asked in [20, *[32] * (WAITING_MAX // 32 - 1), 60]:
        deliveries += [plant.ask() for _ in range(asked)]
        await yard.clock.settle()
    await plant.stop()
    assert {delivery.settlement for delivery in deliveries} == {NAK}


async def test_a_crash_of_the_executor_gives_back_its_runs_and_the_next_one_works(
    plant: Plant, yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate()
    await plant.start(a_flow(a_node("gate", gate)))
    first = plant.ask()
    await yard.clock.settle()

    async def write_all(records: Sequence[RunRecord]) -> None:
        raise ValueError("unforeseen")

    with monkeypatch.context() as broken:
        broken.setattr(yard.records, "write_all", write_all)
        gate.opened.set()
        await yard.clock.settle()
    assert first.settlement is NAK
    await yard.clock.advance(5)
    second = plant.ask()
    await yard.clock.settle()
    assert second.settlement is ACK
    assert plant.root.children()[0].restarts == 1


# ── Plans ────────────────────────────────────────────────────────────────────────────────────


async def test_a_plan_bounds_the_runs_that_wait(plant: Plant, yard: Yard) -> None:
    gate = Gate()
    await plant.start(a_flow(a_node("gate", gate)))
    plant.quotas.of("demo").adopt(PlanLimits(concurrent_runs=3))
    deliveries = [plant.ask() for _ in range(10)]
    await yard.clock.settle()
    assert gate.inside == 3
    gate.opened.set()
    await yard.clock.settle()
    assert gate.most == 3
    assert {delivery.settlement for delivery in deliveries} == {ACK}
    assert plant.quotas.of("demo").places.taken == 0


async def test_runs_that_are_given_back_leave_their_places(plant: Plant, yard: Yard) -> None:
    gate = Gate()
    await plant.start(a_flow(a_node("gate", gate)))
    plant.quotas.of("demo").adopt(PlanLimits(concurrent_runs=2))
    deliveries = [plant.ask() for _ in range(5)]
    await yard.clock.settle()
    await plant.stop()
    assert plant.quotas.of("demo").places.taken == 0
    assert {delivery.settlement for delivery in deliveries[:3]} == {NAK}


async def test_scripts_over_their_quota_space_the_runs_out(plant: Plant, yard: Yard) -> None:
    def work(_: StepContext) -> StepOutcome:
        plant.quotas.used("demo", 100)
        return Advance()

    await plant.start(a_flow(a_node("first", Inline(work))))
    plant.quotas.of("demo").adopt(PlanLimits(script_operations_per_second=100))
    for _ in range(5):
        plant.ask()
    await yard.clock.settle()
    assert plant.statuses() == ["completed"] * 2  # a burst, and what goes over it
    await yard.clock.advance(1.0)
    assert plant.statuses() == ["completed"] * 3
    await yard.clock.advance(2.0)
    assert plant.statuses() == ["completed"] * 5


async def test_a_run_over_a_quota_is_put_off_and_nothing_fails(plant: Plant, yard: Yard) -> None:
    async def calls(_: StepContext) -> StepOutcome:
        plant.quotas.of("demo").take_effect("step-1")
        return Advance("called")

    await plant.start(a_flow(a_node("call", Waiting(calls), is_journalled=True)))
    quota = plant.quotas.of("demo")
    quota.adopt(PlanLimits(effects_per_minute=1))
    quota.take_effect("another")
    delivery = plant.ask()
    await yard.clock.settle()
    assert delivery.settlement is ACK
    (continuation,) = yard.stage.continuations.scheduled.values()
    assert continuation.due_ms == yard.clock.now_ms() + 60_000
    assert (continuation.attempt, continuation.retries, continuation.leg) == (1, {}, 1)
    await yard.clock.advance(60)
    quota.take_effect("step-1")  # it was booked
    with pytest.raises(QuotaExceededError):
        quota.take_effect("step-3")

"""Concluding: results, records and letters are stored before a delivery is settled."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from actors.errors import UnavailableError
from actors.observations import RunFinished
from actors.outcomes import (
    Cancelled,
    Completed,
    Continued,
    Ended,
    Failed,
    Interrupted,
    Rejected,
    RunError,
    RunOutcome,
    Settlement,
)
from actors.ports import PublishedResult
from actors.runs.begin import begin, choose_trigger
from actors.runs.conclude import BATCH_MAX, WAITING_MAX, Concluder, FinishedRun
from actors.runs.run import Run
from actors.testing.deliveries import MemoryDelivery
from actors.testing.results import MemoryResults
from tests.support.builders import REPLY_TO, Yard, a_flow, an_event

ERROR = RunError("broken", "first", "it broke")
FAILED = Failed(ERROR)


def a_run(yard: Yard, *, can_answer: bool = False, **fields: Any) -> Run:
    flow = a_flow(can_answer=can_answer)
    run = begin(yard.request(flow, **fields), yard.seat(flow))
    choose_trigger(run)
    run.path.append("first")
    return run


def delivery_of(run: Run) -> MemoryDelivery:
    delivery = run.request.share.delivery
    assert isinstance(delivery, MemoryDelivery)
    return delivery


async def conclude(yard: Yard, *finished: FinishedRun) -> None:
    concluder = Concluder("demo", yard.sinks, yard.stage.world)
    for one in finished:
        await concluder.put(one)
    concluder.close()
    await concluder.run()


async def concluded(yard: Yard, outcome: RunOutcome, **fields: Any) -> Run:
    run = a_run(yard, **fields)
    await conclude(yard, FinishedRun(run, outcome))
    return run


# ── What is stored ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("outcome", "status", "output", "error"),
    [
        (Completed([1]), "completed", [1], None),
        (FAILED, "failed", None, ERROR),
        (Rejected("rate"), "rejected", None, RunError("rejected", None, "rate")),
        (Cancelled("singleton"), "cancelled", None, RunError("cancelled", None, "singleton")),
    ],
)
async def test_a_final_outcome_is_published_recorded_and_acked(
    yard: Yard, outcome: RunOutcome, status: str, output: Any, error: RunError | None
) -> None:
    run = await concluded(yard, outcome)
    (published,) = yard.results.stored
    result = published.result
    assert (published.tenant, published.event_type) == ("demo", "order.created")
    assert (result.status, result.output, result.error) == (status, output, error)
    assert (result.run_id, result.event_id, result.flow) == ("run-1", "evt-of-run-1", "orders")
    (record,) = yard.records.stored
    assert record.result == result
    assert (record.trigger, record.path) == ("event:1", ("first",))
    assert delivery_of(run).settlement is Settlement.ACK


async def test_a_failed_run_leaves_its_event_in_the_dead_letters(yard: Yard) -> None:
    run = await concluded(yard, FAILED, attempt=3)
    (letter,) = yard.letters.parked
    assert (letter.reason, letter.error, letter.attempts) == ("broken", ERROR, 3)
    assert (letter.letter_id, letter.flow, letter.event) == ("run-1", "orders", run.request.event)


async def test_other_outcomes_leave_no_letter(yard: Yard) -> None:
    await concluded(yard, Completed(1))
    assert yard.letters.parked == []


@pytest.mark.parametrize(
    ("outcome", "name", "settlement"),
    [
        (Continued(due_ms=1, attempt=2), "continued", Settlement.ACK),
        (Interrupted("going"), "interrupted", Settlement.NAK),
    ],
)
async def test_a_run_that_goes_on_elsewhere_has_no_result(
    yard: Yard, outcome: RunOutcome, name: str, settlement: Settlement
) -> None:
    run = await concluded(yard, outcome, reply_to=REPLY_TO, can_answer=True)
    assert yard.results.batches == []
    assert yard.records.stored == []
    assert delivery_of(run).settlement is settlement
    assert [seen.outcome for seen in yard.observer.of(RunFinished)] == [name]
    assert yard.stage.answers.sent == {}


async def test_the_observer_hears_how_a_run_went(yard: Yard) -> None:
    run = a_run(yard)
    await yard.clock.advance(0.25)
    await conclude(yard, FinishedRun(run, FAILED))
    (seen,) = yard.observer.of(RunFinished)
    assert (seen.outcome, seen.error_code, seen.node) == ("failed", "broken", "first")
    assert (seen.steps, seen.duration_ms, seen.attempt) == (1, 250, 1)


# ── Waiting webhooks ─────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("outcome", "status"), [(Completed(1), "completed"), (FAILED, "failed")])
async def test_a_waiting_webhook_hears_that_the_run_has_ended(
    yard: Yard, outcome: RunOutcome, status: str
) -> None:
    await concluded(yard, outcome, reply_to=REPLY_TO, can_answer=True)
    assert yard.stage.answers.sent == {REPLY_TO: [Ended("run-1", status)]}


async def test_nobody_is_told_by_a_flow_that_cannot_answer(yard: Yard) -> None:
    await concluded(yard, Completed(1), reply_to=REPLY_TO, can_answer=False)
    assert yard.stage.answers.sent == {}


async def test_nobody_is_told_when_nobody_waits(yard: Yard) -> None:
    await concluded(yard, Completed(1), can_answer=True)
    assert yard.stage.answers.sent == {}


# ── Batches and order ────────────────────────────────────────────────────────────────────────


async def test_runs_that_ended_together_are_concluded_together(yard: Yard) -> None:
    runs = [a_run(yard, run_id=f"run-{n}") for n in range(BATCH_MAX + 5)]
    await conclude(yard, *(FinishedRun(run, Completed(1)) for run in runs))
    assert yard.results.batches == [BATCH_MAX, 5]


class GatedResults(MemoryResults):
    """Holds back its acknowledgement."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()

    async def publish_all(self, results: Sequence[PublishedResult]) -> None:
        await self.gate.wait()
        await super().publish_all(results)


async def test_nothing_is_settled_before_everything_is_stored(yard: Yard) -> None:
    yard.results = results = GatedResults()
    run = a_run(yard)
    work = asyncio.ensure_future(conclude(yard, FinishedRun(run, FAILED)))
    await yard.clock.settle()
    assert yard.records.stored
    assert yard.letters.parked
    assert delivery_of(run).settlement is None
    results.gate.set()
    await work
    assert delivery_of(run).settlement is Settlement.ACK


@pytest.mark.parametrize("away", ["results", "records", "letters"])
async def test_a_sink_that_is_away_is_tried_again_until_it_is_back(yard: Yard, away: str) -> None:
    sink = getattr(yard, away)
    sink.is_available = False
    run = a_run(yard)
    work = asyncio.ensure_future(conclude(yard, FinishedRun(run, FAILED)))
    await yard.clock.advance(60)
    assert delivery_of(run).settlement is None
    sink.is_available = True
    await yard.clock.advance(5)
    await work
    assert delivery_of(run).settlement is Settlement.ACK
    assert len(yard.results.stored) == 1
    assert yard.records.stored
    assert len(yard.letters.parked) == 1


async def test_a_sink_that_is_away_is_tried_ever_more_rarely(yard: Yard) -> None:
    tried: list[float] = []

    class Away(MemoryResults):
        async def publish_all(self, results: Sequence[PublishedResult]) -> None:
            tried.append(round(yard.clock.monotonic(), 1))
            raise UnavailableError("the bus is away")

    yard.results = Away()
    work = asyncio.ensure_future(conclude(yard, FinishedRun(a_run(yard), Completed(1))))
    await yard.clock.advance(22)
    assert tried == [0.0, 0.1, 0.3, 0.7, 1.5, 3.1, 6.3, 11.3, 16.3, 21.3]
    work.cancel()
    await asyncio.wait({work})


# ── Stopping ─────────────────────────────────────────────────────────────────────────────────


async def test_what_is_not_settled_is_given_back_on_a_stop(yard: Yard) -> None:
    yard.results.is_available = False
    concluder = Concluder("demo", yard.sinks, yard.stage.world)
    runs = [a_run(yard, run_id=f"run-{n}") for n in range(BATCH_MAX + WAITING_MAX + 1)]
    work = asyncio.ensure_future(concluder.run())
    for run in runs[:BATCH_MAX]:
        await concluder.put(FinishedRun(run, Completed(1)))
    await yard.clock.settle()
    for run in runs[BATCH_MAX:-1]:
        await concluder.put(FinishedRun(run, Completed(1)))
    last = asyncio.ensure_future(concluder.put(FinishedRun(runs[-1], Completed(1))))
    await yard.clock.settle()
    work.cancel()
    await asyncio.wait({work})
    concluder.give_back_rest()
    await last
    assert {delivery_of(run).settlement for run in runs} == {Settlement.NAK}


async def test_nothing_is_given_back_after_all_is_settled(yard: Yard) -> None:
    run = a_run(yard)
    concluder = Concluder("demo", yard.sinks, yard.stage.world)
    await concluder.put(FinishedRun(run, Completed(1)))
    concluder.close()
    await concluder.run()
    concluder.give_back_rest()
    assert delivery_of(run).settlement is Settlement.ACK


async def test_a_sub_runs_record_names_its_parent(yard: Yard) -> None:
    run = a_run(yard, parent_run_id="run-p")
    run.request = replace(run.request, event=an_event())
    await conclude(yard, FinishedRun(run, Completed(1)))
    assert yard.records.stored[0].parent_run_id == "run-p"

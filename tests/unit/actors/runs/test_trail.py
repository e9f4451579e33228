"""What a run's record tells of its steps and of what it used."""

from dataclasses import replace
from typing import Any

import pytest

from actors.errors import PermanentError, TransientError
from actors.flows.compiled import CompiledFlow
from actors.flows.compiler import compile_flow
from actors.nodes.resources import FlowResources
from actors.nodes.schema import RetryPolicy
from actors.nodes.step import StepContext
from actors.outcomes import Advance, CallFlow, Cancelled, Rejected, Sleep, StepOutcome
from actors.ports import ABSENT, STEPS_KEPT, RunRecord, RunUsage
from actors.runs.begin import begin
from actors.runs.conclude import Concluder, FinishedRun
from actors.runs.in_hand import RunsInHand
from actors.runs.request import RunRequest, SharedDelivery, request_of
from actors.runs.run import Run
from actors.runs.way import Reached, Way
from tests.support.builders import (
    Inline,
    Waiting,
    Yard,
    a_flow,
    a_node,
    an_event,
    by_name,
    fails,
    gives,
)


async def recorded(
    yard: Yard, flow: CompiledFlow, *others: CompiledFlow, request: RunRequest | None = None
) -> RunRecord:
    """Run a flow, through all its legs, and give its record."""
    way = Way(yard.seat(flow), by_name(flow, *others), yard.leases, RunsInHand())
    run, outcome = await way.resume(request or yard.request(flow))
    while (waiting := yard.stage.continuations.scheduled) and not _is_final(outcome):
        continuation = list(waiting.values())[-1]
        await yard.clock.advance(max(0, continuation.due_ms - yard.clock.now_ms()) / 1000)
        share = SharedDelivery(yard.delivered(run.request.event), 1)
        woken = request_of(continuation, flow, share)
        assert woken is not None
        run, outcome = await way.resume(woken)
    return await concluded(yard, run, outcome)


def _is_final(outcome: Reached) -> bool:
    return type(outcome).__name__ in {"Completed", "Failed", "Cancelled"}


async def concluded(yard: Yard, run: Run, outcome: Any) -> RunRecord:
    concluder = Concluder("demo", yard.sinks, yard.stage.world)
    await concluder.put(FinishedRun(run, outcome))
    concluder.close()
    await concluder.run()
    return yard.records.stored[-1]


def takes(yard: Yard, seconds: float, outcome: StepOutcome) -> Waiting:
    async def step(context: StepContext) -> StepOutcome:
        context.given = {"asked": seconds}
        await yard.clock.advance(seconds)
        return outcome

    return Waiting(step)


def told(record: RunRecord) -> list[tuple[str, str]]:
    return [(step.step, step.outcome) for step in record.steps]


# ── Steps ────────────────────────────────────────────────────────────────────────────────────


async def test_steps_are_told_in_their_order_with_their_times(yard: Yard) -> None:
    flow = a_flow(
        a_node("first", gives("a"), next="call"),
        a_node("call", takes(yard, 2.5, Advance("b")), type="http", is_journalled=True, next="end"),
        a_node("end", gives(binds=False), type="log"),
    )
    record = await recorded(yard, flow)
    first, call, end = record.steps
    assert tuple(step.step for step in record.steps) == record.path
    assert (first.node, first.outcome, first.output, first.input) == ("script", "done", "a", ABSENT)
    assert (first.at_ms, first.took_us, first.is_journalled) == (0, 0, False)
    assert (call.node, call.output, call.input) == ("http", "b", {"asked": 2.5})
    assert (call.at_ms, call.took_us, call.is_journalled) == (0, 2_500_000, True)
    assert (end.at_ms, end.took_us, end.output) == (2500, 0, ABSENT)
    assert not any(step.is_replayed for step in record.steps)


async def test_a_failed_step_has_its_code_and_no_value(yard: Yard) -> None:
    flow = a_flow(
        a_node("first", fails(PermanentError("no", reason="broken")), on_error="mend"),
        a_node("mend", fails(PermanentError("nor", reason="worse")), type="http"),
    )
    record = await recorded(yard, flow)
    assert [(step.outcome, step.code) for step in record.steps] == [
        ("failed", "broken"), ("failed", "worse")
    ]  # fmt: skip
    assert all(step.output is ABSENT for step in record.steps)


@pytest.mark.parametrize("is_journalled", [True, False])
async def test_a_waiting_step_that_failed_has_its_code(yard: Yard, *, is_journalled: bool) -> None:
    async def fail(_: StepContext) -> StepOutcome:
        await yard.clock.advance(1)
        raise PermanentError("no", reason="broken")

    node = a_node("first", Waiting(fail), is_journalled=is_journalled)
    (step,) = (await recorded(yard, a_flow(node))).steps
    assert (step.outcome, step.code, step.took_us) == ("failed", "broken", 1_000_000)


async def test_steps_of_a_sub_flow_come_after_its_call(yard: Yard) -> None:
    inner = a_flow(a_node("first", gives(7)), name="inner")
    call = CallFlow("inner", {"n": 1}, passes_context=False)
    flow = a_flow(a_node("call", Inline(lambda _: call)))
    record = await recorded(yard, flow, inner)
    assert told(record) == [("call", "called"), ("call/first", "done")]
    assert record.steps[0].input == {"flow": "inner", "payload": {"n": 1}}


async def test_a_call_of_no_flow_has_failed(yard: Yard) -> None:
    call = CallFlow("nowhere", {}, passes_context=False)
    record = await recorded(yard, a_flow(a_node("first", Inline(lambda _: call))))
    assert [(step.outcome, step.code) for step in record.steps] == [("failed", "unknown_flow")]


async def test_steps_before_a_sleep_are_told_as_replayed(yard: Yard) -> None:
    due_ms = yard.clock.now_ms() + 60_000
    flow = a_flow(
        a_node("first", gives(1), next="call"),
        a_node("call", takes(yard, 1, Advance(2)), is_journalled=True, next="nap"),
        a_node("nap", takes(yard, 0, Sleep(due_ms)), type="wait", is_journalled=True, next="last"),
        a_node("last", gives(3)),
    )
    record = await recorded(yard, flow)
    assert [step.is_replayed for step in record.steps] == [True, True, True, False]
    assert told(record)[2] == ("nap", "slept")
    assert record.steps[2].input == {"due_ms": due_ms}
    assert record.steps[1].output == 2
    assert record.steps[1].input is ABSENT
    assert record.steps[3].at_ms == 60_000


async def test_a_step_tells_how_often_it_was_tried(yard: Yard) -> None:
    tries: list[int] = []

    async def flaky(_: StepContext) -> StepOutcome:
        tries.append(1)
        if len(tries) < 3:
            raise TransientError("not now", reason="http.connect")
        return Advance("at last")

    policy = RetryPolicy(max_retries=3, backoff="fixed", initial_ms=5000)
    node = a_node("call", Waiting(flaky), is_journalled=True, retry=policy)
    flow = a_flow(a_node("first", gives(1), next="call"), node)
    record = await recorded(yard, flow)
    assert [step.attempt for step in record.steps] == [1, 3]
    assert record.result.attempt == 3


async def test_an_unforeseen_error_is_told_of_the_step_it_came_from(yard: Yard) -> None:
    record = await recorded(yard, a_flow(a_node("first", fails(ZeroDivisionError()))))
    (step,) = record.steps
    assert (step.step, step.node, step.outcome, step.code) == (
        "first", "script", "failed", "internal"
    )  # fmt: skip


async def test_the_step_that_was_cancelled_is_told(yard: Yard) -> None:
    flow = a_flow(a_node("first", takes(yard, 1, Advance(1)), is_journalled=True))
    run = Way(yard.seat(flow), by_name(flow), yard.leases, RunsInHand())
    begun, _ = await run.resume(yard.request(flow))
    began, node, *_ = begun.marks[0]
    begun.marks[0] = (began, node, None, began + 2.0, ABSENT)
    (step,) = (await concluded(yard, begun, Cancelled("by hand"))).steps
    assert (step.outcome, step.code, step.took_us) == ("failed", "cancelled", 2_000_000)


async def test_only_the_last_steps_of_a_loop_are_told(yard: Yard) -> None:
    def loop(context: StepContext) -> StepOutcome:
        return Advance(context.iteration, goto="done" if context.iteration == 250 else "first")

    record = await recorded(yard, a_flow(a_node("first", Inline(loop))))
    assert len(record.path) == 250
    assert len(record.steps) == STEPS_KEPT
    assert [step.output for step in record.steps] == list(range(151, 251))


async def test_a_loop_without_an_end_is_told_too(yard: Yard) -> None:
    flow = a_flow(a_node("first", gives(goto="first")))
    record = await recorded(yard, flow)
    assert record.result.error is not None
    assert record.result.error.code == "steps_exceeded"
    assert {step.outcome for step in record.steps} == {"done"}


async def test_values_are_as_they_were_when_the_step_gave_them(yard: Yard) -> None:
    """Later scripts may change what they take; that changes nothing of what was given."""
    flow = _compiled(
        {"id": "first", "type": "script", "config": {"script": "#{a: [1, 2], b: payload.total}"}},
        {"id": "spoil", "type": "script", "config": {"script": "first.a.push(3); first.b = 9; first"}},
        {"id": "more", "type": "script", "config": {"script": "let x = spoil; x.a[0] = 0; payload.total = 5; x"}},
    )  # fmt: skip
    record = await recorded(yard, flow)
    assert [step.output for step in record.steps] == [
        {"a": [1, 2], "b": 7}, {"a": [1, 2, 3], "b": 9}, {"a": [0, 2, 3], "b": 9}
    ]  # fmt: skip
    assert record.usage.payloads == ({"total": 7},)


# ── Usage ────────────────────────────────────────────────────────────────────────────────────


def _compiled(*nodes: dict[str, Any], **config: Any) -> CompiledFlow:
    linked = [
        {**node, "next": following["id"]}
        for node, following in zip(nodes, [*nodes[1:], {"id": "done"}], strict=True)
    ]
    trigger = {"type": "event", "event_type": "order.created", "target": nodes[0]["id"]}
    document = {"name": "orders", "version": "1", "triggers": [trigger], "nodes": linked}
    return compile_flow({**document, "config": config} if config else document, FlowResources())


COUNTS = {
    "id": "n",
    "type": "script",
    "config": {"script": "let t = 0; for i in 0..9 { t += i; } t"},
}
ADDS = {"id": "s", "type": "script", "config": {"script": 'state.set("n", state.get("n", 0) + 1)'}}
CALLS = {"id": "c", "type": "http", "config": {"url": "https://api.test/"}}
EMITS = {"id": "e", "type": "event", "config": {"event_type": "order.paid", "payload": 1}}
STARTS = {"id": "a", "type": "async", "config": {"flow": "other"}}
SETS = {"id": "k", "type": "state", "config": {"action": "set", "key": "k", "value": 1}}
NAPS = {"id": "w", "type": "wait", "config": {"for": "1h"}}


async def test_operations_of_scripts_are_counted(yard: Yard) -> None:
    once = (await recorded(yard, _compiled(COUNTS))).usage.operations
    twice = (await recorded(yard, _compiled(COUNTS, {**COUNTS, "id": "m"}))).usage.operations
    assert once > 0
    assert twice == 2 * once


async def test_a_failed_script_is_charged_too(yard: Yard) -> None:
    fails_late = {**COUNTS, "config": {"script": "let t = 0; for i in 0..9 { t += i; } t + ()"}}
    record = await recorded(yard, _compiled(fails_late))
    assert record.result.status == "failed"
    assert record.usage.operations > 9


async def test_usage_is_the_same_in_one_leg_and_in_many(yard: Yard) -> None:
    nodes = (COUNTS, ADDS, CALLS, EMITS, STARTS, SETS)
    whole = (await recorded(yard, _compiled(*nodes))).usage
    other = Yard()
    in_legs = (
        await recorded(other, _compiled(*nodes[:3], NAPS, *nodes[3:], {**NAPS, "id": "v"}))
    ).usage
    assert whole.operations > 0
    assert whole.effects == 3
    assert in_legs == whole


async def test_a_repeated_run_used_the_same(yard: Yard) -> None:
    flow = _compiled(COUNTS, ADDS, CALLS, EMITS)
    first = await recorded(yard, flow)
    second = await recorded(yard, flow)
    assert len(yard.stage.http.calls) == 1
    assert second.usage == first.usage
    assert told(second) == told(first)
    assert [step.is_replayed for step in second.steps] == [True] * 4


async def test_a_call_that_failed_is_no_effect(yard: Yard) -> None:
    broken = {**CALLS, "config": {"url": "{{payload.total}}"}, "on_error": "e"}
    record = await recorded(yard, _compiled(broken, EMITS))
    assert told(record) == [("c", "failed"), ("e", "done")]
    assert record.usage.effects == 1


@pytest.mark.parametrize(
    ("fields", "events", "payloads"),
    [
        ({}, 1, ({"total": 7},)),
        ({"events": (an_event("a", payload=1), an_event("b", payload=2))}, 2, (1, 2)),
        ({"parent_run_id": "run-p"}, 0, ()),
    ],
)
async def test_events_are_counted_where_they_were_taken(
    yard: Yard, fields: dict[str, Any], events: int, payloads: tuple[Any, ...]
) -> None:
    flow = a_flow()
    record = await recorded(yard, flow, request=yard.request(flow, **fields))
    assert record.usage == RunUsage(events, 0, 0, payloads)


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        (None, None),
        ({}, None),
        ({"correlation_id": "order-7"}, "order-7"),
        ({"correlation_id": "ä" * 64}, "ä" * 64),
        ({"correlation_id": "ä" * 65}, None),
        ({"correlation_id": " a"}, None),
        ({"correlation_id": "a\x00"}, None),
        ({"correlation_id": 7}, None),
    ],
)
async def test_a_record_has_the_correlation_id_of_its_event(
    yard: Yard, metadata: Any, expected: str | None
) -> None:
    flow = a_flow()
    delivery = yard.delivered(an_event(metadata=metadata))
    record = await recorded(yard, flow, request=yard.request(flow, delivery=delivery))
    assert record.correlation_id == expected


async def test_what_a_run_starts_has_its_correlation_id(yard: Yard) -> None:
    record = await recorded(yard, _compiled(STARTS))
    (started,) = yard.stage.continuations.scheduled.values()
    assert started.event.metadata == {"correlation_id": record.result.event_id}


async def test_a_verdict_of_flow_control_has_used_nothing(yard: Yard) -> None:
    flow = a_flow()
    record = await concluded(yard, begin(yard.request(flow), yard.seat(flow)), Rejected("rate"))
    assert tuple(record.steps) == ()
    assert record.usage == RunUsage(1, 0, 0, ({"total": 7},))


async def test_a_run_that_ran_out_of_time_used_the_same_when_it_comes_again(yard: Yard) -> None:
    slow = a_node("slow", takes(yard, 8, Advance(1)), is_journalled=True, next="last")
    begun = a_node("first", takes(yard, 1, Advance(1)), is_journalled=True, next="n")
    counts = replace(_compiled(COUNTS).nodes["n"], next="slow")
    flow = a_flow(begun, counts, slow, a_node("last", gives(1)), timeout_seconds=6)
    first, second = await recorded(yard, flow), await recorded(yard, flow)
    assert first.result.error is not None
    assert first.result.error == second.result.error
    assert first.result.error.code == "timeout"
    assert second.usage == first.usage
    assert second.usage.operations > 0

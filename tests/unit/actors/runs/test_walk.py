"""Walking: where steps lead, what they bind, what their failures become."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from actors.errors import PermanentError, TransientError
from actors.flows.compiled import CompiledFlow
from actors.nodes.step import StepContext
from actors.outcomes import (
    Advance,
    Answer,
    CallFlow,
    Completed,
    Failed,
    Interrupted,
    RunError,
    RunOutcome,
    StepOutcome,
)
from actors.runs.begin import begin, choose_trigger
from actors.runs.pause import Pause
from actors.runs.request import OURS_SECONDS
from actors.runs.run import NESTING_MAX, STEPS_MAX, Run
from actors.runs.walk import Walker, entry_target
from tests.support.builders import (
    REPLY_TO,
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

BROKEN = PermanentError("it broke", reason="broken")


def a_run(yard: Yard, flow: CompiledFlow, **fields: Any) -> Run:
    run = begin(yard.request(flow, **fields), yard.seat(flow))
    assert choose_trigger(run)
    return run


def walked(
    yard: Yard, flow: CompiledFlow, *others: CompiledFlow
) -> tuple[Run, RunOutcome | Pause | None]:
    run = a_run(yard, flow)
    return run, Walker(by_name(flow, *others)).walk_inline(run)


def calls(name: str, payload: Any = None, *, passes_context: bool = False) -> Inline:
    return Inline(lambda _: CallFlow(name, payload, passes_context))


def sees(name: str) -> Inline:
    """A node whose value is what it sees under a name."""
    return Inline(lambda context: Advance(context.scope[name]))


async def forever(_context: StepContext) -> StepOutcome:
    await asyncio.Event().wait()
    raise AssertionError


# ── Ways ─────────────────────────────────────────────────────────────────────────────────────


def test_steps_follow_next_to_the_end_and_the_last_value_is_the_output(yard: Yard) -> None:
    flow = a_flow(a_node("first", gives(1), next="second"), a_node("second", gives(2)))
    run, outcome = walked(yard, flow)
    assert outcome == Completed(2)
    assert run.path == ["first", "second"]


def test_a_goto_overrides_next(yard: Yard) -> None:
    flow = a_flow(
        a_node("first", gives(goto="third", binds=False), next="second"),
        a_node("second", gives("second")),
        a_node("third", gives("third")),
    )
    assert walked(yard, flow)[1] == Completed("third")


@pytest.mark.parametrize("target", ["done", "end", "ignore", "respond"])
def test_reserved_targets_end_the_run(yard: Yard, target: str) -> None:
    assert walked(yard, a_flow(a_node("first", gives(1), next=target)))[1] == Completed(1)


def test_a_node_called_like_a_reserved_target_is_taken(yard: Yard) -> None:
    flow = a_flow(a_node("first", gives(1), next="respond"), a_node("respond", gives(2)))
    assert walked(yard, flow)[1] == Completed(2)


def test_a_target_without_a_node_fails_the_run(yard: Yard) -> None:
    _, outcome = walked(yard, a_flow(a_node("first", gives(1), next="nowhere")))
    error = RunError("dangling_target", None, "there is no node 'nowhere'")
    assert outcome == Failed(error)


def test_respond_answers_the_waiting_webhook_with_the_last_value(yard: Yard) -> None:
    flow = a_flow(a_node("first", gives({"ok": True}), next="respond"))
    run = a_run(yard, flow, reply_to=REPLY_TO)
    assert Walker({}).walk_inline(run) == Completed({"ok": True})
    assert yard.stage.answers.sent == {REPLY_TO: [Answer(200, body={"ok": True})]}


def test_other_ends_do_not_answer(yard: Yard) -> None:
    run = a_run(yard, a_flow(a_node("first", gives(1), next="done")), reply_to=REPLY_TO)
    Walker({}).walk_inline(run)
    assert yard.stage.answers.sent == {}


# ── Names ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ["first", "total", "script_result"])
def test_a_value_is_bound_to_its_names(yard: Yard, name: str) -> None:
    first = a_node("first", gives(41), output="total", value_name="script_result", next="second")
    assert walked(yard, a_flow(first, a_node("second", sees(name))))[1] == Completed(41)


def test_a_node_that_binds_nothing_leaves_the_last_value(yard: Yard) -> None:
    flow = a_flow(
        a_node("first", gives(1), next="second"),
        a_node("second", gives("unseen", binds=False), output="total"),
    )
    run, outcome = walked(yard, flow)
    assert outcome == Completed(1)
    assert "second" not in run.frame.scope
    assert "total" not in run.frame.scope


def test_steps_know_their_id_and_how_often_they_were_taken(yard: Yard) -> None:
    seen: list[tuple[str, int]] = []

    def step(context: StepContext) -> StepOutcome:
        seen.append((context.step_id, context.iteration))
        return Advance(goto="first" if len(seen) < 3 else "done")

    walked(yard, a_flow(a_node("first", Inline(step))))
    assert seen == [("first", 1), ("first", 2), ("first", 3)]


# ── Failures ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("error", [BROKEN, TransientError("it broke", reason="broken")])
def test_a_failed_step_fails_the_run_with_its_reason(yard: Yard, error: Exception) -> None:
    _, outcome = walked(yard, a_flow(a_node("first", fails(error), next="done")))
    assert outcome == Failed(RunError("broken", "first", "it broke"))


def test_on_error_takes_over_and_sees_the_error(yard: Yard) -> None:
    flow = a_flow(
        a_node("first", fails(BROKEN), on_error="rescue"), a_node("rescue", sees("error"))
    )
    run, outcome = walked(yard, flow)
    assert outcome == Completed({"code": "broken", "node": "first", "message": "it broke"})
    assert run.path == ["first", "rescue"]


def test_a_failure_names_its_own_step_and_not_the_one_before(yard: Yard) -> None:
    flow = a_flow(a_node("first", gives(), next="second"), a_node("second", fails(BROKEN)))
    assert walked(yard, flow)[1] == Failed(RunError("broken", "second", "it broke"))


def test_an_endless_loop_ends_after_the_allowed_steps_even_with_on_error(yard: Yard) -> None:
    flow = a_flow(a_node("first", gives(), next="first", on_error="first"))
    run, outcome = walked(yard, flow)
    assert isinstance(outcome, Failed)
    assert (outcome.error.code, outcome.error.node) == ("steps_exceeded", "first")
    assert len(run.path) == STEPS_MAX


# ── Sub-flows ────────────────────────────────────────────────────────────────────────────────


def test_the_value_of_a_sub_flow_becomes_the_calling_nodes(yard: Yard) -> None:
    caller = a_flow(
        a_node("call", calls("child", {"x": 1}), output="answer", next="second"),
        a_node("second", sees("answer")),
    )
    child = a_flow(a_node("inner", sees("payload"), next="done"), name="child")
    run, outcome = walked(yard, caller, child)
    assert outcome == Completed({"x": 1})
    assert run.path == ["call", "call/inner", "second"]


def test_a_sub_flow_without_nodes_gives_nothing(yard: Yard) -> None:
    empty = replace(a_flow(name="child", triggers=()), nodes={})
    assert walked(yard, a_flow(a_node("call", calls("child"))), empty)[1] == Completed(None)


def test_a_sub_flow_begins_at_its_first_trigger_else_at_its_first_node() -> None:
    nodes = (a_node("one", gives()), a_node("two", gives()))
    assert entry_target(a_flow(*nodes, triggers=(a_trigger(target="two"),))) == "two"
    assert entry_target(a_flow(*nodes, triggers=())) == "one"


@pytest.mark.parametrize("passes_context", [True, False])
def test_a_sub_flow_sees_its_payload_its_variables_and_the_event(
    yard: Yard, passes_context: bool
) -> None:
    def look(context: StepContext) -> StepOutcome:
        scope = context.scope
        seen = [scope["payload"], scope["x"], scope["flow"], scope["event"]["payload"]]
        return Advance([*seen, scope["event"]["id"], "first" in scope])

    caller = a_flow(
        a_node("first", gives(1), next="call"),
        a_node("call", calls("child", {"x": 5}, passes_context=passes_context)),
        variables={"mine": 1},
    )
    child = a_flow(a_node("inner", Inline(look)), name="child", variables={"its": 2})
    expected = [{"x": 5}, 5, {"its": 2}, {"x": 5}, "evt-of-run-1", passes_context]
    assert walked(yard, caller, child)[1] == Completed(expected)


def test_what_a_sub_flow_binds_stays_inside(yard: Yard) -> None:
    caller = a_flow(
        a_node("call", calls("child", passes_context=True), next="second"),
        a_node("second", Inline(lambda context: Advance("inner" in context.scope))),
    )
    assert walked(yard, caller, a_flow(a_node("inner", gives()), name="child"))[1] == Completed(
        False
    )


def test_a_sub_flow_called_twice_counts_its_steps_on(yard: Yard) -> None:
    seen: list[tuple[str, int]] = []

    def step(context: StepContext) -> StepOutcome:
        seen.append((context.step_id, context.iteration))
        return Advance()

    caller = a_flow(
        a_node("call", calls("child"), next="again"),
        a_node("again", Inline(lambda _: Advance(goto="call" if len(seen) < 2 else "done"))),
    )
    walked(yard, caller, a_flow(a_node("inner", Inline(step)), name="child"))
    assert seen == [("call/inner", 1), ("call/inner", 2)]


def test_calling_an_unknown_flow_fails_the_step(yard: Yard) -> None:
    flow = a_flow(a_node("call", calls("gone"), on_error="rescue"), a_node("rescue", sees("error")))
    _, outcome = walked(yard, flow)
    assert outcome == Completed(
        {"code": "unknown_flow", "node": "call", "message": "there is no flow 'gone'"}
    )


def test_sub_flows_nest_only_so_deep(yard: Yard) -> None:
    run, outcome = walked(yard, a_flow(a_node("call", calls("orders"))))
    assert isinstance(outcome, Failed)
    assert outcome.error.code == "nesting"
    assert len(run.path) == NESTING_MAX + 1


def test_a_failure_inside_a_sub_flow_reaches_the_callers_on_error(yard: Yard) -> None:
    caller = a_flow(
        a_node("call", calls("child"), on_error="rescue"), a_node("rescue", sees("error"))
    )
    child = a_flow(a_node("inner", fails(BROKEN)), name="child")
    run, outcome = walked(yard, caller, child)
    assert outcome == Completed({"code": "broken", "node": "call/inner", "message": "it broke"})
    assert run.path == ["call", "call/inner", "rescue"]


def test_a_failure_nobody_handles_fails_the_run_from_any_depth(yard: Yard) -> None:
    caller = a_flow(a_node("call", calls("child")))
    child = a_flow(a_node("inner", fails(BROKEN)), name="child")
    assert walked(yard, caller, child)[1] == Failed(RunError("broken", "call/inner", "it broke"))


def test_a_dangling_target_inside_a_sub_flow_fails_the_run(yard: Yard) -> None:
    child = a_flow(a_node("inner", gives(1), next="nowhere"), name="child")
    _, outcome = walked(yard, a_flow(a_node("call", calls("child"), next="done")), child)
    assert isinstance(outcome, Failed)
    assert outcome.error.code == "dangling_target"


# ── Waiting ──────────────────────────────────────────────────────────────────────────────────


async def test_a_walk_stops_before_a_node_that_waits_and_goes_on_as_a_task(yard: Yard) -> None:
    async def step(_context: StepContext) -> StepOutcome:
        await asyncio.sleep(0)
        return Advance("waited")

    flow = a_flow(
        a_node("first", gives(), next="second"),
        a_node("second", Waiting(step), next="third"),
        a_node("third", sees("second")),
    )
    run = a_run(yard, flow)
    walker = Walker({})
    assert walker.walk_inline(run) is None
    assert run.path == ["first"]
    assert await walker.walk(run) == Completed("waited")


async def test_a_waiting_node_that_fails_is_diverted_or_fails_the_run(yard: Yard) -> None:
    async def step(_context: StepContext) -> StepOutcome:
        raise BROKEN

    rescued = a_flow(a_node("first", Waiting(step), on_error="rescue"), a_node("rescue", gives(9)))
    assert await Walker({}).walk(a_run(yard, rescued)) == Completed(9)
    failed = await Walker({}).walk(a_run(yard, a_flow(a_node("first", Waiting(step)))))
    assert failed == Failed(RunError("broken", "first", "it broke"))


async def test_a_node_without_an_outcome_in_its_time_fails_with_timeout(yard: Yard) -> None:
    slow = a_node("first", Waiting(forever), timeout_seconds=0.001, on_error="rescue")
    run = a_run(yard, a_flow(slow, a_node("rescue", sees("error"))))
    assert await Walker({}).walk(run) == Completed(
        {"code": "timeout", "node": "first", "message": "no outcome within 0.001 s"}
    )


async def test_a_timeout_of_the_nodes_own_is_no_end_of_the_flows_time(yard: Yard) -> None:
    async def step(_context: StepContext) -> StepOutcome:
        raise TimeoutError

    first = a_node("first", Waiting(step), timeout_seconds=900.0, on_error="rescue")
    run = a_run(yard, a_flow(first, a_node("rescue", gives("rescued"))))
    assert await Walker({}).walk(run) == Completed("rescued")


async def test_the_flows_timeout_strikes_inside_a_waiting_node(yard: Yard) -> None:
    slow = a_node("first", Waiting(forever), on_error="rescue")
    run = a_run(yard, a_flow(slow, a_node("rescue", gives()), timeout_seconds=0.001))
    assert await Walker({}).walk(run) == Failed(
        RunError("timeout", "first", "the flow's timeout of 0.001 s is over")
    )


async def test_no_step_begins_once_the_flows_timeout_is_over(yard: Yard) -> None:
    for behaviour in (gives(), Waiting(forever)):
        # A handler that leads to itself must not spin either.
        flow = a_flow(a_node("first", behaviour, on_error="first"), timeout_seconds=5)
        run = a_run(yard, flow)
        await yard.clock.advance(5)
        outcome = await Walker({}).walk(run)
        assert isinstance(outcome, Failed)
        assert (outcome.error.code, outcome.error.node, run.path) == ("timeout", "first", [])


async def test_an_effect_is_not_begun_when_another_worker_may_have_the_delivery(
    yard: Yard,
) -> None:
    delivery = yard.delivered(an_event())
    run = a_run(yard, a_flow(a_node("first", Waiting(forever))), delivery=delivery)
    await yard.clock.advance(OURS_SECONDS + 1)
    assert isinstance(await Walker({}).walk(run), Interrupted)
    assert run.path == []

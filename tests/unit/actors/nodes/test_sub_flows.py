"""The `async` and `flow2flow` nodes. In: flow names and inputs. Out: calls and continuations."""

from typing import Any

import pytest

from actors.errors import PermanentError
from actors.ids import child_run_id
from actors.nodes.spec import Reference
from actors.nodes.step import WaitingNode
from actors.outcomes import CallFlow
from tests.support.steps import Stage, a_plan, a_step, build_node, take, value_of

RUN = child_run_id("run-1", "step", 1)


@pytest.mark.parametrize(
    ("node_type", "config"),
    [
        ("async", {"flow": "mail", "payload": {"id": "{{payload.id}}"}}),
        (
            "flow2flow",
            {
                "target_flow": "mail",
                "input": {"id": "{{payload.id}}"},
                "wait_for_completion": False,
            },
        ),
    ],
)
async def test_other_flow_is_started_once_and_not_awaited(
    node_type: str, config: dict[str, Any]
) -> None:
    stage = Stage()
    plan = a_plan(node_type, config)
    assert plan.starts[0].name == "mail"
    for _ in range(2):
        value = await value_of(plan, a_step(stage, {"id": 5}, hops=2))
        assert value == {"run_id": RUN, "flow": "mail"}
    (continuation,) = stage.continuations.scheduled.values()
    assert continuation.run_id == RUN
    assert continuation.flow == "mail"
    assert continuation.parent_run_id == "run-1"
    assert continuation.hops == 3
    assert continuation.event.id == "evt-0"
    assert continuation.event.event_type == "order.created"
    assert continuation.event.payload == {"id": 5}


async def test_without_payload_the_other_flow_gets_the_events_own() -> None:
    stage = Stage()
    await take(a_plan("async", {"flow": "mail"}), a_step(stage, {"id": 5}))
    (continuation,) = stage.continuations.scheduled.values()
    assert continuation.event.payload == {"id": 5}


async def test_flows_that_start_each_other_end() -> None:
    with pytest.raises(PermanentError) as caught:
        await take(a_plan("async", {"flow": "mail"}), a_step(Stage(), hops=32))
    assert caught.value.reason == "event_loop"


async def test_sub_flow_is_called_inside_the_run() -> None:
    plan = a_plan("flow2flow", {"target_flow": "auth/login", "input": {"user": "{{payload.u}}"}})
    assert await take(plan, a_step(Stage(), {"u": "ada"})) == CallFlow(
        "auth/login", {"user": "ada"}, passes_context=False
    )
    assert not isinstance(plan.behaviour, WaitingNode)
    assert plan.calls == (Reference("auth/login", ("target_flow",)),)


async def test_context_is_passed_when_asked_for() -> None:
    plan = a_plan("flow2flow", {"target_flow": "x", "pass_context": True})
    assert await take(plan, a_step(Stage(), [1])) == CallFlow("x", [1], passes_context=True)


async def test_name_may_be_decided_by_the_run() -> None:
    plan = a_plan("flow2flow", {"target_flow": "{{payload}}"})
    assert plan.calls == ()
    outcome = await take(plan, a_step(Stage(), "mail"))
    assert isinstance(outcome, CallFlow)
    assert outcome.flow == "mail"
    assert a_plan("async", {"flow": "{{x}}"}).starts == ()


def test_context_cannot_be_passed_to_a_run_of_its_own() -> None:
    config = {"target_flow": "x", "pass_context": True, "wait_for_completion": False}
    (finding,) = build_node("flow2flow", config).findings
    assert finding.path == ("config", "pass_context")


async def test_input_may_read_the_state() -> None:
    stage = Stage()
    step = a_step(stage)
    await stage.state.put(step.state_scope, "n", 2)
    plan = a_plan("flow2flow", {"target_flow": "x", "input": "{{state.n}}"})
    assert await take(plan, step) == CallFlow("x", 2, passes_context=False)


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        (None, {"correlation_id": "evt-0"}),
        ({"a": 1}, {"a": 1, "correlation_id": "evt-0"}),
        ({"correlation_id": "order-7"}, {"correlation_id": "order-7"}),
    ],
)
async def test_the_other_flow_has_the_same_correlation_id(metadata: Any, expected: Any) -> None:
    stage = Stage()
    context = a_step(stage, {"id": 5}, metadata=metadata)
    await take(a_plan("async", {"flow": "mail"}), context)
    (continuation,) = stage.continuations.scheduled.values()
    assert continuation.event.metadata == expected
    assert context.given == {"flow": "mail", "payload": {"id": 5}}

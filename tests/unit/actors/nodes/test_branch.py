"""The `branch` node (SPEC 4). In: conditions. Out: where the run goes on."""

from typing import Any

import pytest

from actors.errors import PermanentError
from actors.nodes.spec import NodePlan, Reference
from actors.outcomes import Advance
from tests.support.steps import Stage, a_plan, a_step, build_node, take


def a_branch(*expressions: str, default: str | None = None) -> NodePlan:
    conditions = [
        {"expression": text, "next": f"arm{number}"} for number, text in enumerate(expressions)
    ]
    config: dict[str, Any] = {"conditions": conditions}
    return a_plan("branch", config if default is None else {**config, "default": default})


async def test_first_true_condition_chooses() -> None:
    plan = a_branch("payload.total > 100", "payload.total > 10", "true")
    assert await take(plan, a_step(Stage(), {"total": 50})) == Advance(goto="arm1", binds=False)


async def test_none_true_leads_to_default() -> None:
    plan = a_branch("payload.total > 100", default="done")
    assert await take(plan, a_step(Stage(), {"total": 1})) == Advance(goto="done", binds=False)
    assert not plan.uses_next


async def test_none_true_and_no_default_leads_to_next() -> None:
    plan = a_branch("false")
    assert await take(plan, a_step(Stage())) == Advance(goto=None, binds=False)
    assert plan.uses_next


async def test_missing_key_of_the_payload_counts_as_false() -> None:
    plan = a_branch("payload.urgent", default="done")
    assert await take(plan, a_step(Stage(), {})) == Advance(goto="done", binds=False)


async def test_bare_headers_work_as_in_the_documentation() -> None:
    plan = a_branch("headers['x-github-event'] == 'push'", default="ignore")
    metadata = {"headers": {"x-github-event": "push"}}
    step = a_step(Stage(), {}, metadata=metadata)
    assert await take(plan, step) == Advance(goto="arm0", binds=False)


async def test_contains_works_as_in_the_documentation() -> None:
    plan = a_branch("message contains 'help'", default="done")
    step = a_step(Stage(), {"message": "please help me"})
    assert await take(plan, step) == Advance(goto="arm0", binds=False)


@pytest.mark.parametrize("expression", ["1", "'yes'", "payload"])
async def test_condition_that_is_no_bool_fails(expression: str) -> None:
    plan = a_branch(expression, default="done")
    with pytest.raises(PermanentError) as caught:
        await take(plan, a_step(Stage(), {"a": 1}))
    assert caught.value.reason == "condition.type_mismatch"


async def test_failing_condition_fails_the_step() -> None:
    plan = a_branch("nothing == 1", default="done")
    with pytest.raises(PermanentError) as caught:
        await take(plan, a_step(Stage()))
    assert caught.value.reason == "condition.variable_not_found"


def test_targets_are_known_with_their_places() -> None:
    plan = a_branch("true", "false", default="done")
    assert plan.targets == (
        Reference("arm0", ("conditions", 0, "next")),
        Reference("arm1", ("conditions", 1, "next")),
        Reference("done", ("default",)),
    )


def test_broken_conditions_are_all_found() -> None:
    conditions = [{"expression": "1 +", "next": "a"}, {"expression": "let x = 1", "next": "b"}]
    built = build_node("branch", {"conditions": conditions})
    assert [item.path for item in built.findings] == [
        ("config", "conditions", 0, "expression"),
        ("config", "conditions", 1, "expression"),
    ]
    assert set(built.codes) == {"flow.condition"}


def test_branch_without_conditions_is_refused() -> None:
    assert build_node("branch", {"conditions": []}).codes == ["flow.bad_value"]


async def test_condition_may_read_the_state() -> None:
    stage = Stage()
    step = a_step(stage)
    await stage.state.put(step.state_scope, "seen", 3)
    plan = a_branch("state.get('seen') == 3", default="done")
    assert await take(plan, step) == Advance(goto="arm0", binds=False)

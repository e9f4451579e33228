"""`log`, `error`, and the types we do not have. In: messages. Out: log lines and failures."""

from typing import Any

import pytest

from actors.errors import PermanentError
from actors.nodes.catalog import CATALOG, find_spec
from actors.nodes.reporting import MESSAGE_CHARS_MAX
from actors.nodes.unsupported import LATER_TYPES, UNSUPPORTED_TYPES, UnsupportedNode
from actors.observations import FlowLogged
from actors.outcomes import Advance
from tests.support.steps import Stage, a_plan, a_step, build_node, take


async def test_log_reports_its_message() -> None:
    stage = Stage()
    plan = a_plan("log", {"level": "warn", "message": "order {{payload.id}}"})
    assert await take(plan, a_step(stage, {"id": 7})) == Advance(binds=False)
    assert stage.observer.observations == [
        FlowLogged("demo", "orders", "run-1", "step", "warning", "order 7")
    ]


@pytest.mark.parametrize(
    ("message", "text"), [("{{payload}}", '{"id":7}'), ({"a": "{{payload.id}}"}, '{"a":7}')]
)
async def test_message_that_is_no_text_is_shown_as_json(message: Any, text: str) -> None:
    stage = Stage()
    await take(a_plan("log", {"message": message}), a_step(stage, {"id": 7}))
    assert [line.message for line in stage.observer.of(FlowLogged)] == [text]


async def test_long_message_is_cut() -> None:
    stage = Stage()
    await take(a_plan("log", {"message": "{{payload}}"}), a_step(stage, "x" * 9000))
    (line,) = stage.observer.of(FlowLogged)
    assert len(line.message) == MESSAGE_CHARS_MAX


@pytest.mark.parametrize(
    ("level", "is_heard"), [("debug", False), ("info", False), ("warning", True), ("error", True)]
)
async def test_flow_level_silences_what_is_below_it(level: str, is_heard: bool) -> None:
    stage = Stage()
    plan = a_plan("log", {"level": level, "message": "x"}, log_level="warning")
    await take(plan, a_step(stage))
    assert bool(stage.observer.observations) is is_heard


async def test_log_may_read_the_state() -> None:
    stage = Stage()
    step = a_step(stage)
    await stage.state.put(step.state_scope, "n", 7)
    await take(a_plan("log", {"message": "n is {{state.n}}"}), step)
    assert [line.message for line in stage.observer.of(FlowLogged)] == ["n is 7"]


def test_unknown_level_is_found() -> None:
    assert build_node("log", {"message": "x", "level": "loud"}).codes == ["flow.bad_value"]


async def test_error_fails_with_its_message() -> None:
    plan = a_plan("error", {"message": "no stock for {{payload.id}}"})
    with pytest.raises(PermanentError, match="no stock for 7") as caught:
        await take(plan, a_step(Stage(), {"id": 7}))
    assert caught.value.reason == "flow_error"
    assert not plan.uses_next


async def test_error_without_message_says_something() -> None:
    with pytest.raises(PermanentError, match="ended in an error"):
        await take(a_plan("error", {}), a_step(Stage()))


def test_unsupported_node_fails_when_reached() -> None:
    with pytest.raises(PermanentError, match="mcp-tool") as caught:
        UnsupportedNode("mcp-tool").step(a_step(Stage()))
    assert caught.value.reason == "unsupported_node"


def test_catalogue_lists_every_type_once() -> None:
    types = [spec.type for spec in CATALOG]
    assert sorted(types) == sorted(
        ["script", "branch", "http", "http_response", "template", "state", "event", "async",
         "flow2flow", "wait", "log", "error"]
    )  # fmt: skip
    assert not set(types) & {*LATER_TYPES, *UNSUPPORTED_TYPES}
    assert all(spec.summary.endswith(".") for spec in CATALOG)


def test_spec_is_found_by_its_type() -> None:
    assert all(find_spec(spec.type) is spec for spec in CATALOG)
    assert find_spec("reply") is None


def test_effects_are_marked() -> None:
    effects = {spec.type for spec in CATALOG if spec.has_effect}
    assert effects == {"http", "state", "event", "async", "flow2flow", "wait"}

"""The `script` node. In: programs. Out: values, log lines, failures with their line."""

import pytest

from actors.errors import PermanentError
from actors.nodes.resources import FlowResources
from actors.nodes.step import WaitingNode
from actors.observations import FlowLogged
from actors.outcomes import Advance
from grammar import compile_functions
from tests.support.steps import Stage, a_plan, a_step, build_node, take, value_of


async def test_value_of_the_program_is_the_value_of_the_node() -> None:
    plan = a_plan("script", {"script": "let t = 0; for i in payload.items { t += i; } t * 2"})
    assert await take(plan, a_step(Stage(), {"items": [1, 2, 3]})) == Advance(12)
    assert not isinstance(plan.behaviour, WaitingNode)


async def test_bare_name_is_looked_up_in_the_payload() -> None:
    plan = a_plan("script", {"script": "user_phone"})
    assert await value_of(plan, a_step(Stage(), {"user_phone": "+41"})) == "+41"


async def test_script_file_of_the_bundle_is_run() -> None:
    resources = FlowResources(scripts={"scripts/total.rhai": "payload.a + 1"})
    plan = a_plan("script", {"script_file": "./scripts/total.rhai"}, resources)
    assert await value_of(plan, a_step(Stage(), {"a": 1})) == 2


async def test_shared_functions_can_be_called() -> None:
    library = compile_functions("fn twice(x) { x * 2 }", name="scripts/f.rhai")
    plan = a_plan("script", {"script": "twice(21)"}, FlowResources(library=library))
    assert await value_of(plan, a_step(Stage())) == 42


async def test_what_is_printed_becomes_log_lines() -> None:
    stage = Stage()
    plan = a_plan("script", {"script": 'print("one"); print("two"); 1'})
    await take(plan, a_step(stage))
    lines = stage.observer.of(FlowLogged)
    assert [(line.level, line.message, line.node) for line in lines] == [
        ("info", "one", "step"),
        ("info", "two", "step"),
    ]


async def test_flow_level_silences_what_is_below_it() -> None:
    stage = Stage()
    plan = a_plan("script", {"script": 'debug("one"); print("two"); 1'}, log_level="info")
    await take(plan, a_step(stage))
    assert [(line.level, line.message) for line in stage.observer.of(FlowLogged)] == [
        ("info", "two")
    ]


async def test_failure_names_the_rule_and_the_line() -> None:
    plan = a_plan("script", {"script": "let a = 1;\na + nothing"})
    with pytest.raises(PermanentError, match="line 2") as caught:
        await take(plan, a_step(Stage()))
    assert caught.value.reason == "script.variable_not_found"


async def test_endless_script_is_stopped() -> None:
    plan = a_plan("script", {"script": "loop { }"})
    with pytest.raises(PermanentError) as caught:
        await take(plan, a_step(Stage()))
    assert caught.value.reason in {"script.limit_operations", "script.limit_time"}


async def test_long_thrown_value_is_cut_in_the_error() -> None:
    plan = a_plan("script", {"script": "throw payload"})
    with pytest.raises(PermanentError) as caught:
        await take(plan, a_step(Stage(), "x" * 10_000))
    assert len(str(caught.value)) <= 500
    assert caught.value.reason == "script.thrown"


def test_syntax_error_is_found_with_line_and_caret() -> None:
    built = build_node("script", {"script": "let a = 1;\nlet b = ;"})
    (finding,) = built.findings
    assert (finding.severity, finding.code) == ("error", "flow.script")
    assert finding.path == ("config", "script")
    assert "(line 2, position" in finding.message
    assert finding.excerpt is not None
    assert "let b = ;" in finding.excerpt
    assert "^" in finding.excerpt


@pytest.mark.parametrize("config", [{}, {"script": "1", "script_file": "x.rhai"}])
def test_exactly_one_of_script_and_file_is_needed(config: dict[str, str]) -> None:
    assert build_node("script", config).codes == ["flow.bad_value"]


@pytest.mark.parametrize("path", ["/etc/passwd", "../x.rhai", "scripts/../../x", "a\\b"])
def test_file_outside_the_bundle_is_refused(path: str) -> None:
    assert build_node("script", {"script_file": path}).codes == ["flow.path_outside"]


def test_missing_file_is_found_with_a_hint() -> None:
    resources = FlowResources(scripts={"scripts/total.rhai": "1"})
    (finding,) = build_node("script", {"script_file": "scripts/totl.rhai"}, resources).findings
    assert finding.code == "flow.missing_file"
    assert finding.hint == "did you mean 'scripts/total.rhai'?"


def test_secrets_are_not_for_scripts() -> None:
    built = build_node("script", {"script": "secrets.KEY"})
    assert built.codes == ["flow.secret_here"]
    assert "secrets" in built.findings[0].message


def test_unknown_key_is_found_with_a_hint() -> None:
    (finding,) = build_node("script", {"scirpt": "1"}).findings
    assert (finding.code, finding.path) == ("flow.unknown_key", ("config", "scirpt"))
    assert finding.hint == "did you mean 'script'?"

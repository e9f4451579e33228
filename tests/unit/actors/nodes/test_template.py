"""The `template` node (SPEC 7). In: templates and data. Out: text."""

import pytest

from actors.errors import PermanentError
from actors.nodes.resources import FlowResources
from tests.support.steps import Stage, a_plan, a_step, build_node, take, value_of


async def test_renders_names_of_the_run() -> None:
    plan = a_plan("template", {"template": "Call {{user_phone}} ({{flow.limit}}){{missing}}."})
    assert await value_of(plan, a_step(Stage(), {"user_phone": "+41"})) == "Call +41 (100)."


async def test_single_tag_still_renders_text() -> None:
    plan = a_plan("template", {"template": "{{payload.n}}"})
    assert await value_of(plan, a_step(Stage(), {"n": 3})) == "3"


async def test_data_stands_on_top_of_the_run_and_leaves_it_alone() -> None:
    plan = a_plan("template", {"template": "{{who}} {{payload.n}}", "data": {"who": "{{name}}"}})
    step = a_step(Stage(), {"n": 1, "name": "Ada", "who": "x"})
    assert await value_of(plan, step) == "Ada 1"
    assert "who" not in dict(step.scope)


async def test_data_may_be_one_tag_that_yields_a_map() -> None:
    plan = a_plan("template", {"template": "{{a}}", "data": "{{payload}}"})
    assert await value_of(plan, a_step(Stage(), {"a": 5})) == "5"
    with pytest.raises(PermanentError) as caught:
        await take(plan, a_step(Stage(), [1]))
    assert caught.value.reason == "template.data"


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"template_file": "templates/a.hbs"}, "<b>"),
        ({"template_file": "templates/a.html.hbs"}, "&lt;b&gt;"),
        ({"template_file": "templates/a.html.hbs", "escape": "none"}, "<b>"),
        ({"template": "{{payload.x}}", "escape": "html"}, "&lt;b&gt;"),
        ({"template": "{{payload.x}}"}, "<b>"),
    ],
)
async def test_html_is_escaped_only_where_it_is_html(config: dict[str, str], expected: str) -> None:
    text = "{{payload.x}}"
    resources = FlowResources(templates={"templates/a.hbs": text, "templates/a.html.hbs": text})
    plan = a_plan("template", config, resources)
    assert await value_of(plan, a_step(Stage(), {"x": "<b>"})) == expected


async def test_template_text_in_data_is_never_evaluated_again() -> None:
    plan = a_plan("template", {"template": "{{payload.x}}"})
    assert await value_of(plan, a_step(Stage(), {"x": "{{flow.limit}}"})) == "{{flow.limit}}"


async def test_state_is_read_on_demand() -> None:
    stage = Stage()
    step = a_step(stage)
    await stage.state.put(step.state_scope, "n", 7)
    plan = a_plan("template", {"template": "{{state.n}}{{state.other}}"})
    assert await value_of(plan, step) == "7"


def test_one_of_template_and_file_is_needed() -> None:
    assert build_node("template", {}).codes == ["flow.bad_value"]
    assert build_node("template", {"template": "a", "template_file": "b"}).codes == [
        "flow.bad_value"
    ]


def test_missing_file_and_syntax_error_are_found() -> None:
    assert build_node("template", {"template_file": "no.hbs"}).codes == ["flow.missing_file"]
    (finding,) = build_node("template", {"template": "a\n{{#if x}}"}).findings
    assert finding.code == "flow.template"
    assert "(line " in finding.message
    assert "^" in str(finding.excerpt)


async def test_too_much_text_fails_the_step() -> None:
    plan = a_plan("template", {"template": "{{#each payload}}{{this}}{{/each}}"})
    with pytest.raises(PermanentError) as caught:
        await take(plan, a_step(Stage(), ["x" * 1000] * 300))
    assert caught.value.reason.startswith("template.limit_")

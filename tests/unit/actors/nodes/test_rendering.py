"""Templates in a node's config (SPEC 5). In: parts of a config. Out: JSON values."""

from typing import Any

import pytest

from actors.errors import PermanentError
from actors.nodes.rendering import Constant, RenderingCompiler, names_of, text_of
from grammar import Budget


def render(value: Any, scope: dict[str, Any]) -> Any:
    compiler = RenderingCompiler({})
    rendering = compiler.compile(value, ("config",))
    assert compiler.findings == []
    return rendering.render(scope, Budget())


@pytest.mark.parametrize(
    "value", ["text", "a { b }", 1, 1.5, True, None, [1, ["x"]], {"a": {"b": 2}}]
)
def test_what_holds_no_template_is_constant(value: Any) -> None:
    rendering = RenderingCompiler({}).compile(value, ())
    assert isinstance(rendering, Constant)
    assert rendering.render({}, Budget()) is value


@pytest.mark.parametrize("value", [{"a": 1}, [1, 2], 3, 2.5, True, None, "text"])
def test_single_tag_keeps_the_json_type(value: Any) -> None:
    rendered = render("{{payload.x}}", {"payload": {"x": value}})
    assert rendered == value
    assert type(rendered) is type(value)


def test_rendered_value_is_detached_from_the_scope() -> None:
    payload = {"x": [1]}
    rendered = render({"a": "{{payload}}"}, {"payload": payload})
    rendered["a"]["x"].append(2)
    assert payload == {"x": [1]}


def test_tags_inside_text_give_text() -> None:
    assert render("n={{n}}, {{n}}", {"n": 3}) == "n=3, 3"


def test_maps_and_lists_are_rendered_throughout_but_keys_are_not() -> None:
    value = {"{{k}}": ["{{n}}", {"deep": "x{{n}}"}, 5]}
    assert render(value, {"n": 1, "k": "no"}) == {"{{k}}": [1, {"deep": "x1"}, 5]}


def test_names_of_all_parts_are_known() -> None:
    compiler = RenderingCompiler({})
    parts = [compiler.compile({"a": "{{x}}", "b": ["{{y.z}}"]}, ()), compiler.compile("{{w}}", ())]
    assert names_of(parts) == {"x", "y", "w"}


def test_broken_template_is_found_at_its_place() -> None:
    compiler = RenderingCompiler({})
    compiler.compile({"a": ["ok", "{{#if}}"]}, ("config",))
    (finding,) = compiler.findings
    assert finding.path == ("config", "a", 1)
    assert finding.code == "flow.template"


def test_failing_template_names_the_rule() -> None:
    with pytest.raises(PermanentError) as caught:
        render(
            "{{#each x}}{{#each ../x}}{{#each ../../x}}.{{/each}}{{/each}}{{/each}}",
            {"x": list(range(200))},
        )
    assert caught.value.reason.startswith("template.limit_")


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, ""), ("a", "a"), (1, "1"), (True, "true"), ({"a": [1]}, '{"a":[1]}'), (["é"], '["é"]')],
)
def test_values_are_shown_as_text(value: Any, text: str) -> None:
    assert text_of(value) == text

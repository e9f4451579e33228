"""Partials: contexts, options, computed names, recursion, what is checked."""

from typing import Any

import pytest

from grammar import (
    BudgetExceededError,
    EvaluationError,
    FlowCheckError,
    FlowSyntaxError,
    Limits,
    compile_template,
)

SCOPE: dict[str, Any] = {
    "name": "Ann",
    "order": {"id": 7, "name": "order"},
    "items": [{"n": "a", "sub": [{"n": "c"}]}, {"n": "b"}],
    "list": [1, 2],
    "kind": "card",
}


def render(template: str, **partials: str) -> str:
    return compile_template(template, partials=partials).render(SCOPE)


@pytest.mark.parametrize(
    ("template", "partial", "expected"),
    [
        ("{{> p}}", "{{name}}", "Ann"),
        ("{{> p order}}", "{{id}}{{name}}", "7order"),
        ("{{> p this}}{{> p .}}", "{{name}}", "AnnAnn"),
        ("{{> p order title='T'}}", "{{title}}{{id}}", "T7"),
        ("{{> p title=name}}", "{{title}}{{name}}", "AnnAnn"),
        ("{{> p name='own'}}", "{{name}}{{@root.name}}", "ownAnn"),
        ("{{> p list x=1}}", "{{x}}{{this}}", '1{"x":1}'),
        ("{{> p missing x=1}}", "{{x}}{{name}}", "1"),
        ("{{> p missing}}", "[{{name}}]", "[]"),
        ("{{> p list}}", "{{#each this}}{{.}}{{/each}}", "12"),
        (
            "{{#each items}}{{> p}}{{/each}}",
            "{{n}}{{@index}}{{@first}}{{@last}}{{@key}};",
            "a0truefalse0;b1falsetrue1;",
        ),
        (
            "{{#each items}}{{#each list}}{{/each}}{{> p}}{{/each}}",
            "{{../name}}{{@root.name}}",
            "AnnAnn",
        ),
        (
            "{{#each items}}{{> p}}{{/each}}",
            "{{#each ../list}}{{@../index}}{{@../../index}}{{/each}}",
            "",
        ),
        (
            "{{#each items}}{{> p}}{{/each}}",
            "{{#each sub}}{{n}}{{@index}}{{@../index}}{{@../../index}};{{/each}}",
            "c00;",
        ),
        ("{{> p}}", "{{@index}}{{@../key}}", ""),
        ("{{> (lookup this 'kind')}}", "", "a card"),
        ("{{> (lookup . 'kind') order}}", "", "a card"),
        (
            "{{> [a b]}}{{> 'a b'}}{{> dir/file}}{{> dir.file}}{{> 12}}",
            "",
            "spacespaceslashdottwelve",
        ),
        ("{{> p x=(uppercase name)}}", "{{x}}", "ANN"),
        ("{{#with order as |o|}}{{> p o=o}}{{/with}}", "{{o.id}}{{id}}", "77"),
    ],
)
def test_a_partial_renders_in_its_context(template: str, partial: str, expected: str) -> None:
    others = {
        "card": "a card",
        "a b": "space",
        "dir/file": "slash",
        "dir.file": "dot",
        "12": "twelve",
    }
    assert render(template, p=partial, **others) == expected


def test_partials_escape_as_their_template_does() -> None:
    text = compile_template("{{> p}}", partials={"p": "{{a}}{{{a}}}"}, escape="html")
    assert text.render({"a": "<"}) == "&lt;<"


def test_a_partial_may_call_itself_while_there_is_data() -> None:
    tree = "{{n}}{{#each sub}}({{> tree}}){{/each}}"
    assert render("{{#each items}}{{> tree}}{{/each}}", tree=tree) == "a(c)b"


def test_endless_recursion_ends_in_a_named_error() -> None:
    template = compile_template("{{> p}}", partials={"p": "x{{> p}}"})
    with pytest.raises(BudgetExceededError) as caught:
        template.render({})
    assert caught.value.kind == "limit_call_levels"
    assert caught.value.source is not None
    assert caught.value.source.name == "p"


def test_recursion_past_pythons_own_stack_is_named_too() -> None:
    limits = Limits(call_levels=1_000_000, operations=None, wall_ms=None)
    template = compile_template("{{> p}}", partials={"p": "x{{> p}}"}, limits=limits)
    with pytest.raises(BudgetExceededError) as caught:
        template.render({})
    assert caught.value.kind == "limit_depth"


def test_options_stand_before_a_lazy_scope() -> None:
    class Lazy(dict[str, Any]):
        def __missing__(self, key: str) -> Any:
            if key == "late":
                return "computed"
            raise KeyError(key)

    template = compile_template("{{> p x=1}}", partials={"p": "{{x}}{{late}}{{a}}{{none}}"})
    assert template.render(Lazy(a="own")) == "1computedown"


def test_unknown_partials_are_found_at_compile_time() -> None:
    with pytest.raises(FlowCheckError, match="Unknown partial `haeder`") as caught:
        render("{{> haeder}}", header="")
    assert caught.value.hint == "did you mean `header`?"


def test_a_computed_name_that_is_no_partial_is_an_error() -> None:
    with pytest.raises(EvaluationError, match="Unknown partial 'Ann'") as caught:
        render("{{> (lookup . 'name')}}", card="")
    assert caught.value.kind == "function_not_found"
    with pytest.raises(EvaluationError, match="Unknown partial None"):
        render("{{> (lookup . 'x')}}")


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{{> p a b}}", "A partial takes one context and options"),
        ("{{> p x=1 x=2}}", "An option is given twice"),
        ("{{> p (nope 1)}}", "Unknown helper `nope`"),
    ],
)
def test_wrong_uses_are_refused(template: str, message: str) -> None:
    with pytest.raises(FlowCheckError, match=message):
        render(template, p="")


def test_faults_inside_partials_name_the_partial() -> None:
    with pytest.raises(FlowSyntaxError) as parse:
        render("{{> p}}", p="{{#if}")
    assert parse.value.source is not None
    assert parse.value.source.name == "p"
    with pytest.raises(FlowCheckError) as check:
        render("{{> p}}", p="{{nope 1}}")
    assert check.value.source is not None
    assert check.value.source.name == "p"


def test_unused_partials_are_not_even_parsed() -> None:
    assert render("a", broken="{{#if") == "a"
    with pytest.raises(FlowSyntaxError):
        render("{{> (lookup . 'kind')}}", card="", broken="{{#if")


@pytest.mark.parametrize(
    ("template", "partial", "names", "is_whole"),
    [
        ("{{> p}}", "{{a.b}}{{@root.c}}", {"a", "c"}, False),
        ("{{> p order}}", "{{a}}{{@root.c}}", {"order", "c"}, False),
        ("{{> p @root}}", "{{a}}", {"a"}, True),
        ("{{#each items}}{{> p ..}}{{/each}}", "{{a}}", {"items", "a"}, True),
        ("{{#each items}}{{> p}}{{> p ../..}}{{/each}}", "{{a}}", {"items"}, False),
        ("{{> p (lookup x 1)}}", "{{a}}", {"x"}, False),
        ("{{> p}}{{> p order}}", "{{a}}{{> q}}", {"order", "a", "b"}, False),
        ("{{#if a}}{{/if}}{{#x}}{{> p}}{{/x}}", "{{b}}", {"a", "x", "b"}, False),
        ("{{#with this}}{{> p}}{{/with}}", "{{b}}", {"b"}, True),
        ("{{#with @root as |r|}}{{z}}{{r.q}}{{/with}}", "", {"z"}, True),
    ],
)
def test_what_partials_read_is_known(
    template: str, partial: str, names: set[str], is_whole: bool
) -> None:
    compiled = compile_template(template, partials={"p": partial, "q": "{{b}}"})
    assert compiled.names == names
    assert compiled.reads_whole_scope is is_whole

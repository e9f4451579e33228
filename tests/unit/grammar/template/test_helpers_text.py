"""Helpers on text and on values as they are: case, `truncate`, `json`, `default`, `lookup`, `log`."""

from typing import Any

import pytest

from grammar import (
    Budget,
    BudgetExceededError,
    EvaluationError,
    FlowCheckError,
    ValueMismatchError,
    compile_template,
)
from grammar.values import Char

SCOPE: dict[str, Any] = {
    "name": "ann bo",
    "number": 1.5,
    "yes": True,
    "list": ["p", {"k": [1]}],
    "map": {"k": "v", "true": "yes", "1": "one", "": "empty"},
    "none": None,
    "empty": "",
    "zero": 0,
    "one": 1.0,
    "long": "abcdefghij",
    "nan": float("nan"),
}


def render(template: str, budget: Budget | None = None) -> str:
    return compile_template(template).render(SCOPE, budget)


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{uppercase name}}|{{lowercase 'ÄB'}}|{{capitalize name}}", "ANN BO|äb|Ann bo"),
        ("{{uppercase number}}{{uppercase yes}}", "1.5TRUE"),
        ("{{uppercase none}}{{lowercase missing}}{{capitalize ''}}", ""),
        ("{{uppercase 'ß'}}", "SS"),
        (
            "{{truncate long 10}}|{{truncate long 9}}|{{truncate long 3}}",
            "abcdefghij|abcdef...|...",
        ),
        ("{{truncate long 2}}|{{truncate long 0}}", "..|"),
        (
            "{{truncate long 5 '…'}}|{{truncate long 5 suffix='~'}}|{{truncate long 5 ''}}",
            "abcd…|abcd~|abcde",
        ),
        ("{{truncate long 5 none}}{{truncate none 5}}", "abcde"),
        ("{{uppercase (truncate name 4 suffix='')}}", "ANN "),
        ("{{json map.k}} {{json none}} {{json missing}} {{json number}}", '"v" null null 1.5'),
        ("{{json list}}", '["p",{"k":[1]}]'),
        ("{{json list 0}}", '[\n"p",\n{\n"k": [\n1\n]\n}\n]'),
        ("{{json list.[1] indent=2}}", '{\n  "k": [\n    1\n  ]\n}'),
        ("{{json 'é\"\n'}}", '"é\\"\\n"'),
        ("{{default none empty name}}", "ann bo"),
        ("{{default zero 5}}{{default missing empty}}{{default yes 1}}", "0true"),
        ("{{lookup map 'k'}}{{lookup list 0}}{{lookup list one}}", 'vp{"k":[1]}'),
        ("{{lookup map yes}}{{lookup map 1}}{{lookup map one}}", "yesoneone"),
        ("{{lookup map false}}{{lookup list 'length'}}{{lookup name 0}}", "2a"),
        (
            "{{lookup map none}}{{lookup map list}}{{lookup map nan}}{{lookup none 1}}{{lookup 5 1}}",
            "",
        ),
        ("{{lookup map 1.5}}{{lookup list 9999999999}}{{lookup list -1}}", ""),
        ("{{lookup (lookup list 1) 'k'}}", "1"),
        ("{{uppercase}}{{currency}}{{json}}", ""),
    ],
)
def test_helpers_give_text_or_values(template: str, expected: str) -> None:
    assert render(template) == expected


def test_a_char_is_a_key_and_a_text() -> None:
    scope = {"map": {"k": "v"}, "list": ["p"], "k": Char("k"), "i": Char("0")}
    assert (
        compile_template("{{lookup map k}}{{lookup list i}}{{uppercase k}}").render(scope) == "vpK"
    )


def test_a_field_may_have_a_helpers_name() -> None:
    template = compile_template("{{currency}} {{currency 5}} {{this.json}} {{./eq}}")
    assert template.render({"currency": "EUR", "json": 1, "eq": 2}) == "EUR $5.00 1 2"


@pytest.mark.parametrize(
    ("template", "message", "kind"),
    [
        ("{{uppercase list}}", "uppercase: takes text", "type_mismatch"),
        ("{{truncate map 5}}", "truncate: takes text", "type_mismatch"),
        ("{{truncate long 'x'}}", "the length must be an integer", "type_mismatch"),
        ("{{truncate long true}}", "the length must be an integer", "type_mismatch"),
        ("{{truncate long -1}}", "the length must be an integer", "type_mismatch"),
        ("{{truncate long 1000001}}", "the length must be an integer", "type_mismatch"),
        ("{{truncate long 4 list}}", "truncate: takes text", "type_mismatch"),
        ("{{json list 9}}", "indent must be an integer", "type_mismatch"),
        ("{{json list 'a'}}", "indent must be an integer", "type_mismatch"),
        ("{{json list list}}", "indent must be an integer", "type_mismatch"),
        ("{{json nan}}", "has no JSON form", "not_serialisable"),
    ],
)
def test_helpers_refuse_what_they_cannot_take(template: str, message: str, kind: str) -> None:
    with pytest.raises(ValueMismatchError, match=message) as caught:
        render(template)
    assert caught.value.kind == kind
    assert caught.value.span is not None


@pytest.mark.parametrize(
    "value", [object(), {1, 2}, b"bytes", {(1, 2): 3}, [object()], {"k": {None: object()}}]
)
def test_values_that_are_no_json_have_no_text(value: Any) -> None:
    for template in ("{{json v}}", "{{#each v}}{{json this}}{{/each}}{{json v}}"):
        with pytest.raises(EvaluationError) as caught:
            compile_template(template).render({"v": value})
        assert caught.value.kind == "not_serialisable"


def test_a_tag_refuses_other_objects() -> None:
    with pytest.raises(ValueMismatchError, match="object cannot be shown whole"):
        compile_template("{{v}}").render({"v": object()})


def test_log_lines_are_kept_and_render_nothing() -> None:
    budget = Budget()
    text = render("a{{log name number list}}{{log 'x' level='warn'}}{{log 1 level=none}}b", budget)
    assert text == "ab"
    assert budget.printed == ('ann bo 1.5 p,{"k":[1]}', "warn: x", "1")


def test_log_at_its_default_level_has_no_prefix() -> None:
    budget = Budget()
    render("{{log 'x' level='info'}}{{log list level=list}}", budget)
    assert budget.printed[0] == "x"
    assert budget.printed[1].endswith(': p,{"k":[1]}')


def test_log_counts_against_the_output() -> None:
    template = compile_template("{{#each n}}{{log ../big}}{{/each}}")
    with pytest.raises(BudgetExceededError) as caught:
        template.render({"n": [1] * 10, "big": "x" * 10_000})
    assert caught.value.kind == "limit_output"


@pytest.mark.parametrize(
    ("template", "message", "hint"),
    [
        ("{{uppercas x}}", "Unknown helper `uppercas`", "did you mean `uppercase`?"),
        ("{{zzz x}}", "Unknown helper `zzz`", None),
        ("{{a.b x}}", "Unknown helper `a.b`", None),
        ("{{this x}}", "Unknown helper `this`", None),
        ("{{json (zzz)}}", "Unknown helper `zzz`", None),
        ("{{json (json)}}", "Helper `json` needs arguments", None),
        ("{{json (if)}}", "`if` is a block", "write `{{#if …}}`"),
        ("{{each list}}", "`each` is a block", "write `{{#each …}}`"),
        ("{{(uppercase x)}}", "A call cannot be called", None),
        ("{{uppercase x y}}", "`uppercase` takes 1 arguments, not 2", None),
        ("{{truncate x}}", "`truncate` takes 2 to 3 arguments, not 1", None),
        ("{{eq a}}", "`eq` takes 2 arguments, not 1", None),
        (
            "{{truncate x 5 sufix='a'}}",
            "`truncate` has no option `sufix`",
            "did you mean `suffix`?",
        ),
        ("{{truncate x 5 'a' suffix='b'}}", "`truncate`: `suffix` is given twice", None),
        ("{{truncate x 5 suffix='a' suffix='b'}}", "An option is given twice", None),
        ("{{formatDate x 'Y' format='b'}}", "`formatDate`: `format` is given twice", None),
        ("{{uppercase x y=1}}", "`uppercase` has no option `y`", None),
        ("{{@rot.x}}", "Unknown name `@rot.x`", "did you mean `@root`?"),
        ("{{@indx}}", "Unknown name `@indx`", "did you mean `@index`?"),
        ("{{@.}}", "Unknown name `@.`", None),
        ("{{#each a}}{{@../zz}}{{/each}}", "Unknown name `@../zz`", None),
        ("{{#if}}{{/if}}", "`#if` takes one argument", None),
        ("{{#if a b}}{{/if}}", "`#if` takes one argument", None),
        ("{{#if a x=1}}{{/if}}", "`#if` has no option `x`", None),
        ("{{#each a includeZero=1}}{{/each}}", "`#each` has no option `includeZero`", None),
        ("{{#if a includeZero=1 includeZero=1}}{{/if}}", "An option is given twice", None),
        ("{{#if a as |x|}}{{/if}}", "The block gives 0 names, not 1", None),
        ("{{#with a as |x y|}}{{/with}}", "The block gives 1 names, not 2", None),
        ("{{#each a as |x y z|}}{{/each}}", "The block gives 2 names, not 3", None),
        ("{{#each a as |x x|}}{{/each}}", "The block gives both values the same name", None),
        ("{{#eq a b as |x|}}{{/eq}}", "The block gives 0 names, not 1", None),
        ("{{#foo as |x|}}{{/foo}}", "The block gives 0 names, not 1", None),
        ("{{#foo a}}{{/foo}}", "Unknown block helper", None),
        ("{{#iff a}}{{/iff}}", "Unknown block helper", "did you mean `if`?"),
        ("{{#uppercase a}}{{/uppercase}}", "Unknown block helper", None),
        ("{{#each a}}" * 17 + "{{/each}}" * 17, "More than 16 loops inside each other", None),
        ("{{#a}}" * 17 + "{{/a}}" * 17, "More than 16 loops inside each other", None),
        ("{{#each a as |uppercase|}}{{uppercase 1}}{{/each}}", "Helper `uppercase` needs", None),
    ],
)
def test_wrong_calls_are_found_at_compile_time(
    template: str, message: str, hint: str | None
) -> None:
    with pytest.raises(FlowCheckError) as caught:
        compile_template(template)
    assert message in caught.value.message
    assert caught.value.hint == hint


def test_all_findings_of_a_source_come_together() -> None:
    with pytest.raises(FlowCheckError) as caught:
        compile_template("{{zz 1}}\n{{json}}{{json 1 2 3}}\n{{@x}}", name="mail")
    assert [item.span.line for item in caught.value.diagnostics] == [1, 2, 3]
    assert "--> mail:3:3" in caught.value.render()

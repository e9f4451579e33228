"""Limits of a render, and that texts are paid for before they are built."""

import tracemalloc
from typing import Any

import pytest

from grammar import (
    Budget,
    BudgetExceededError,
    EvaluationError,
    Limits,
    ValueMismatchError,
    compile_template,
)
from tests.support.scopes import Drawer, nested

NO_CLOCK = Limits(wall_ms=None)
BIG = "x" * 200_000


@pytest.mark.parametrize(
    ("template", "scope", "kind"),
    [
        ("{{a}}", {"a": "x" * 65_536}, "limit_output"),
        ("{{a}}", {"a": "é" * 40_000}, "limit_output"),
        ("{{#each n}}{{../a}}{{/each}}", {"n": [1] * 10_000, "a": "x" * 10_000}, "limit_output"),
        ("{{#each n}}{{#each ../n}}x{{/each}}{{/each}}", {"n": [1] * 1_000}, "limit_operations"),
        ("{{#n}}{{#../n}}x{{/../n}}{{/n}}", {"n": [1] * 1_000}, "limit_operations"),
        ("{{json a}}", {"a": ["x" * 150_000] * 2}, "limit_data_size"),
        ("{{json a}}", {"a": {"x" * 150_000: 1, "y" * 150_000: 2}}, "limit_data_size"),
        ("{{json a}}", {"a": [0] * 100_000}, "limit_data_size"),
        ("{{json a 8}}", {"a": [0] * 30_000}, "limit_data_size"),
        ("{{a}}", {"a": [BIG, BIG]}, "limit_data_size"),
        ("{{log a}}", {"a": [BIG, BIG]}, "limit_data_size"),
        ("{{log a a}}", {"a": BIG}, "limit_data_size"),
        ("{{uppercase a}}", {"a": BIG * 2}, "limit_data_size"),
        ("{{#each n}}{{uppercase ../a}}{{/each}}", {"n": [1] * 100, "a": BIG}, "limit_operations"),
        ("{{#each n}}{{json ../a}}{{/each}}", {"n": [1] * 100, "a": BIG}, "limit_operations"),
        (
            "{{#each n}}{{#if (eq ../n ../n)}}{{/if}}{{/each}}",
            {"n": [1] * 1_000},
            "limit_operations",
        ),
        ("{{#each n}}{{log ../a}}{{/each}}", {"n": [1] * 100, "a": 10**4_000}, "limit_output"),
        ("{{a}}", {"a": nested(65)}, "limit_depth"),
        ("{{json a}}", {"a": nested(65)}, "limit_depth"),
        ("{{json a}}", {"a": {"a": nested(64)}}, "limit_depth"),
    ],
)
def test_a_render_ends_at_the_limit_that_it_reaches(
    template: str, scope: dict[str, Any], kind: str
) -> None:
    with pytest.raises(BudgetExceededError) as caught:
        compile_template(template, limits=NO_CLOCK).render(scope)
    assert caught.value.kind == kind


def test_values_at_the_limit_of_nesting_render() -> None:
    assert compile_template("{{a}}").render({"a": nested(64)}) == "1"
    shown = compile_template("{{json a}}").render({"a": nested(64)})
    assert shown == "[" * 64 + "1" + "]" * 64
    assert compile_template("{{a}}").evaluate({"a": nested(64)}) == nested(64)


def test_shared_arrays_are_measured_before_their_text_is_built() -> None:
    bomb = nested(30, width=10)
    for template in ("{{a}}", "{{json a}}", "{{log a}}"):
        with pytest.raises(BudgetExceededError) as caught:
            compile_template(template, limits=NO_CLOCK).render({"a": bomb})
        assert caught.value.kind == "limit_operations"


@pytest.mark.parametrize(
    ("template", "scope"),
    [
        ("{{#each n}}{{../a}}{{/each}}", {"n": [1] * 10_000, "a": "<" * 100_000}),
        ("{{#each n}}{{json ../a}}{{/each}}", {"n": [1] * 10_000, "a": [BIG]}),
        ("{{#each n}}{{{../a}}}{{/each}}", {"n": [1] * 10_000, "a": [BIG]}),
        ("{{#each n}}{{{../a}}}{{/each}}", {"n": [1] * 10_000, "a": 10**4_000}),
        ("{{#each n}}{{uppercase ../a}}{{/each}}", {"n": [1] * 10_000, "a": BIG}),
        (" " * 60_000 + "{{> p}}\n", {"a": "\n" * 60_000}),
    ],
)
def test_memory_stays_small_whatever_is_asked(template: str, scope: dict[str, Any]) -> None:
    compiled = compile_template(template, escape="html", partials={"p": "{{{a}}}"}, limits=NO_CLOCK)
    tracemalloc.start()
    try:
        with pytest.raises(BudgetExceededError):
            compiled.render(scope)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 20_000_000


def test_the_clock_ends_a_render() -> None:
    ticks = iter(range(1_000_000))
    budget = Budget(Limits(wall_ms=5.0), clock=lambda: float(next(ticks)))
    with pytest.raises(BudgetExceededError) as caught:
        compile_template("{{#each n}}{{#each ../n}}{{/each}}{{/each}}").render(
            {"n": [1] * 200}, budget
        )
    assert caught.value.kind == "limit_time"


def test_limits_can_be_switched_off() -> None:
    limits = Limits(operations=None, wall_ms=None, string_bytes=None, output_bytes=None)
    compiled = compile_template("  {{> p}}\n", partials={"p": "{{uppercase a}}"}, limits=limits)
    assert len(compiled.render({"a": BIG * 2})) == 400_002


def test_one_budget_counts_several_renders() -> None:
    budget = Budget(Limits(output_bytes=10))
    compiled = compile_template("{{a}}")
    assert compiled.render({"a": "12345"}, budget) == "12345"
    with pytest.raises(BudgetExceededError):
        compiled.render({"a": "12345"}, budget)


def test_errors_name_the_place_in_the_source() -> None:
    compiled = compile_template("one\ntwo {{uppercase a}}", name="mail")
    with pytest.raises(ValueMismatchError) as caught:
        compiled.render({"a": []})
    assert "--> mail:2:7" in caught.value.render()
    with pytest.raises(BudgetExceededError) as output:
        compile_template("{{a}}", name="mail").render({"a": "x" * 70_000})
    assert "--> mail:1:1" in output.value.render()


@pytest.mark.parametrize(
    "template", ["{{#each d}}{{/each}}", "{{d}}", "{{json d}}", "{{#d}}{{this}}{{/d}}"]
)
def test_host_maps_cannot_be_listed_or_shown(template: str) -> None:
    with pytest.raises(EvaluationError, match="host map") as caught:
        compile_template(template).render({"d": Drawer()})
    assert caught.value.kind in {"for_not_iterable", "not_serialisable"}


# ── A single tag gives its value ──────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{n}}", 5),
        ("{{f}}", 1.0),
        ("{{t}}", True),
        ("{{none}}", None),
        ("{{missing.x}}", None),
        ("{{list}}", [1, {"a": [2]}, [3]]),
        ("{{list.[1]}}", {"a": [2]}),
        ("{{{s}}}", "<"),
        ("{{s}}", "<"),
        ("{{& n}}", 5),
        ("{{!-- x --}}{{n}}", 5),
        ("{{n}} ", "5 "),
        ("{{n}}{{n}}", "55"),
        ("{{#if t}}{{n}}{{/if}}", "5"),
        ("text", "text"),
        ("", ""),
        ("{{default none list}}", [1, {"a": [2]}, [3]]),
        ("{{json list}}", '[1,{"a":[2]},[3]]'),
        ("{{log n}}", None),
        ("{{now}}", None),
    ],
)
def test_a_template_of_one_tag_gives_the_value(template: str, expected: Any) -> None:
    scope = {"n": 5, "f": 1.0, "t": True, "none": None, "s": "<", "list": [1, {"a": [2]}, (3,)]}
    value = compile_template(template).evaluate(scope)
    assert value == expected
    assert type(value) is type(expected)


def test_html_templates_escape_the_text_they_give() -> None:
    for template, expected in (("{{s}}", "&lt;"), ("{{{s}}}", "<"), ("{{n}}", 5)):
        compiled = compile_template(template, escape="html")
        assert compiled.evaluate({"s": "<", "n": 5}, Budget()) == expected


def test_values_are_copies() -> None:
    scope: dict[str, Any] = {"list": [{"a": [1]}]}
    value = compile_template("{{list}}").evaluate(scope)
    value[0]["a"].append(2)
    value.append(3)
    assert scope == {"list": [{"a": [1]}]}


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (nested(65), "limit_depth"),
        ([[0] * 1_000] * 1_000, "limit_operations"),
        (Drawer(), "not_serialisable"),
        ([Drawer()], "not_serialisable"),
        (object(), "not_serialisable"),
    ],
)
def test_values_past_a_limit_are_refused(value: Any, kind: str) -> None:
    with pytest.raises(EvaluationError) as caught:
        compile_template("{{v}}", limits=NO_CLOCK).evaluate({"v": value})
    assert caught.value.kind == kind


def test_a_fault_of_the_only_tag_has_its_place() -> None:
    with pytest.raises(ValueMismatchError) as caught:
        compile_template("{{uppercase v}}", name="m").evaluate({"v": []})
    assert "--> m:1:3" in caught.value.render()


def test_loops_read_no_more_than_they_need() -> None:
    assert compile_template("{{#each n}}{{/each}}").render({"n": [1, 2]}) == ""
    assert compile_template("{{#each n}}{{@index}}{{/each}}").render({"n": {"a": 1}}) == "0"
    assert compile_template("{{#each n}}{{@key}}{{/each}}").render({"n": {"a": 1}}) == "a"

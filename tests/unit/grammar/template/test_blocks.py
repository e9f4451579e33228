"""Blocks: `#if`, `#unless`, `#each`, `#with`, plain sections, comparing blocks, nesting."""

from typing import Any

import pytest

from grammar import compile_template

SCOPE: dict[str, Any] = {
    "t": True,
    "no": False,
    "zero": 0,
    "none": None,
    "text": "x",
    "empty": "",
    "nan": float("nan"),
    "list": ["p", "q"],
    "nil": [],
    "map": {"k": "v", "w": {"y": 1}},
    "void": {},
    "items": [{"n": "a", "s": [1, 2]}, {"n": "b", "s": []}],
    "matrix": [[1, 2], [3]],
}


def render(template: str) -> str:
    return compile_template(template).render(SCOPE)


@pytest.mark.parametrize("name", ["t", "text", "list", "map", "void", "items", "map.k"])
def test_true_values_take_the_first_branch(name: str) -> None:
    assert render("{{#if $}}Y{{else}}N{{/if}}".replace("$", name)) == "Y"
    assert render("{{#unless $}}Y{{else}}N{{/unless}}".replace("$", name)) == "N"
    assert render("{{^if $}}Y{{else}}N{{/if}}".replace("$", name)) == "N"


@pytest.mark.parametrize("name", ["no", "zero", "none", "empty", "nil", "nan", "missing", "map.x"])
def test_false_values_take_the_second_branch(name: str) -> None:
    assert render("{{#if $}}Y{{else}}N{{/if}}".replace("$", name)) == "N"
    assert render("{{#if $}}Y{{^}}N{{/if}}".replace("$", name)) == "N"
    assert render("{{#unless $}}Y{{else}}N{{/unless}}".replace("$", name)) == "Y"
    assert render("{{^if $}}Y{{/if}}".replace("$", name)) == "Y"


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{#if zero includeZero=true}}Y{{else}}N{{/if}}", "Y"),
        ("{{#if zero includeZero=no}}Y{{else}}N{{/if}}", "N"),
        ("{{#if none includeZero=true}}Y{{else}}N{{/if}}", "N"),
        ("{{#if no includeZero=true}}Y{{else}}N{{/if}}", "N"),
        ("{{#unless zero includeZero=true}}Y{{else}}N{{/unless}}", "N"),
        ("{{#if no}}A{{else if zero}}B{{else if t}}C{{else}}D{{/if}}", "C"),
        ("{{#if no}}A{{else if zero}}B{{else}}D{{/if}}", "D"),
        ("{{#if t}}A{{else if t}}B{{/if}}", "A"),
        ("{{#if no}}A{{else unless no}}B{{/if}}", "B"),
        ("{{#if no}}A{{else each list}}{{this}}{{else}}E{{/if}}", "pq"),
        ("{{#if no}}A{{else each list as |i|}}{{i}}{{/if}}", "pq"),
        ("{{#if t}}{{/if}}|{{#if t}}{{else}}x{{/if}}", "|"),
        ("{{#if (eq text 'x')}}Y{{/if}}{{#if (and t (not no))}}Z{{/if}}", "YZ"),
        ("{{#eq text 'x'}}Y{{else}}N{{/eq}}{{#gt zero 1}}Y{{else}}N{{/gt}}", "YN"),
        ("{{^eq text 'x'}}Y{{else}}N{{/eq}}", "N"),
        ("{{#if 0}}Y{{else}}N{{/if}}{{#if 'a'}}Y{{/if}}{{#if null}}Y{{else}}N{{/if}}", "NYN"),
    ],
)
def test_branches(template: str, expected: str) -> None:
    assert render(template) == expected


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{#each list}}{{this}}{{/each}}", "pq"),
        (
            "{{#each list}}{{.}}{{@index}}{{@key}}{{@first}}{{@last}};{{/each}}",
            "p00truefalse;q11falsetrue;",
        ),
        ("{{#each map}}{{@key}}={{@index}}{{@last}};{{/each}}", "k=0false;w=1true;"),
        ("{{#each items}}{{n}}{{/each}}", "ab"),
        ("{{#each items}}{{@key}}{{n}}{{/each}}", "0a1b"),
        (
            "{{#each items}}{{#each s}}{{this}}{{../n}}{{@index}}{{@../index}};{{/each}}{{/each}}",
            "1a00;2a10;",
        ),
        ("{{#each items as |it|}}{{it.n}}{{n}}{{/each}}", "aabb"),
        (
            "{{#each items as |it i|}}{{i}}{{it.n}}{{#each it.s as |q|}}{{q}}{{i}}{{it.n}}{{/each}}{{/each}}",
            "0a10a20a1b",
        ),
        ("{{#each map as |value key|}}{{key}};{{/each}}", "k;w;"),
        (
            "{{#each matrix as |row|}}{{#each row as |row|}}{{row}}{{/each}}/{{row}};{{/each}}",
            "12/1,2;3/3;",
        ),
        ("{{#each nil}}x{{else}}E{{/each}}{{#each missing}}x{{else}}E{{/each}}", "EE"),
        (
            "{{#each text}}x{{else}}E{{/each}}{{#each zero}}x{{else}}E{{/each}}{{#each void}}x{{else}}E{{/each}}",
            "EEE",
        ),
        ("{{^each nil}}E{{/each}}{{^each list}}E{{/each}}", "E"),
        ("{{#each list}}{{@root.text}}{{../text}}{{/each}}", "xxxx"),
        ("{{#each list}}{{#if this}}{{../text}}{{@index}}{{/if}}{{/each}}", "x0x1"),
        ("{{#each (lookup items 0)}}{{@key}}{{/each}}", "ns"),
        ("{{#each list}}{{@index.x}}{{@root.map.k}}{{/each}}", "vv"),
        ("{{#each list}}{{lookup ../list @index}}{{/each}}", "pq"),
        (
            "{{#each matrix}}{{#each this}}{{@first}}{{@../first}}{{@../../first}};{{/each}}{{/each}}",
            "truetrue;falsetrue;truefalse;",
        ),
        ("{{#each list}}{{else}}{{/each}}", ""),
        ("{{#each items}}{{/each}}|{{#each items}}-{{/each}}", "|--"),
    ],
)
def test_each_walks_arrays_and_maps(template: str, expected: str) -> None:
    assert render(template) == expected


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{#with map}}{{k}}{{../text}}{{/with}}", "vx"),
        ("{{#with map as |m|}}{{m.k}}{{k}}{{m.w.y}}{{/with}}", "vv1"),
        ("{{#with map.w}}{{y}}{{../text}}{{/with}}", "1x"),
        ("{{#with missing}}x{{else}}none {{text}}{{/with}}", "none x"),
        ("{{#with zero}}{{this}}{{/with}}{{#with no}}x{{else}}N{{/with}}", "0N"),
        ("{{#with this}}{{text}}{{../text}}{{/with}}", "x"),
        ("{{#with .}}{{text}}{{/with}}", "x"),
        ("{{#with map}}{{#with this}}{{../text}}{{/with}}{{/with}}", "x"),
        ("{{#with (lookup items 1)}}{{n}}{{/with}}", "b"),
        ("{{#with text}}{{#with ../map}}{{k}}{{../../text}}{{../this}}{{/with}}{{/with}}", "vxx"),
        ("{{#with map as |text|}}{{text.k}}{{./text}}{{this.k}}{{/with}}", "vv"),
        (
            "{{#with map as |uppercase|}}{{uppercase.k}}{{uppercase}}{{/with}}",
            'v{"k":"v","w":{"y":1}}',
        ),
        ("{{^with none}}N{{/with}}", "N"),
    ],
)
def test_with_changes_the_context(template: str, expected: str) -> None:
    assert render(template) == expected


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{#t}}({{text}}){{/t}}", "(x)"),
        ("{{#map}}{{k}}{{../text}}{{/map}}", "vx"),
        ("{{#items}}{{n}}{{../text}}{{/items}}", "axbx"),
        ("{{#list}}({{.}}){{else}}none{{/list}}", "(p)(q)"),
        (
            "{{#no}}x{{else}}none{{/no}}{{#none}}x{{^}}none{{/none}}{{#nil}}x{{else}}none{{/nil}}",
            "nonenonenone",
        ),
        (
            "{{#zero}}({{.}}){{/zero}}{{#empty}}({{.}}){{/empty}}{{#text}}({{.}}){{/text}}",
            "(0)()(x)",
        ),
        (
            "{{^no}}inv{{/no}}{{^t}}inv{{/t}}{{^missing}}inv{{/missing}}{{^list}}x{{else}}y{{/list}}",
            "invinvyy",
        ),
        ("{{#map.w}}{{y}}{{/map.w}}", "1"),
        ("{{#list}}{{@index}}{{/list}}", ""),
        ("{{#each list}}{{#../t}}{{@index}}{{/../t}}{{/each}}", "01"),
    ],
)
def test_sections_of_a_plain_name(template: str, expected: str) -> None:
    assert render(template) == expected


def test_blocks_and_calls_nest_as_deep_as_the_limits_allow() -> None:
    ifs = "{{#if t}}" * 48 + "{{text}}" + "{{/if}}" * 48
    assert render(ifs) == "x"
    loops = "{{#each one}}" * 16 + "{{@index}}" + "{{/each}}" * 16
    nested: Any = 7
    for _ in range(16):
        nested = {"one": [nested]}
    assert compile_template(loops.replace("one}}", "this}}")).render({"a": 1}) == ""
    assert compile_template(loops).render(nested) == "0"
    calls = "{{uppercase " + "(uppercase " * 46 + "text" + ")" * 46 + "}}"
    assert render(calls) == "X"
    links = "{{#if no}}" + "{{else if no}}" * 46 + "{{else}}end{{/if}}"
    assert render(links) == "end"

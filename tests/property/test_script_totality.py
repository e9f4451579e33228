"""Whatever the text: it fails to parse, gives a value, or ends in a named error. Nothing else.

The texts are cut and mixed from pieces of the language, so that most of them get past the parser.
Host data is compared before and after: a script never changes it.
"""

# ruff: noqa: PT017 - an error is one of the allowed outcomes
from __future__ import annotations

import copy
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from grammar import GrammarError, Limits, compile_condition, compile_script

PIECES = """
let a = [1, [2], #{x: 3}]; | let m = #{k: "v", n: [1.5]}; | a.push(m); | m.k = a; | m.n += 1; | a[0] | a[1][0] = m
m.k?.x | for i in a { | for (c, i) in "héy" { | } | { | while a.len() > 1 { a.pop(); } | if a == m { | } else {
switch a { | 1 => 2, | _ => 3 | try { | } catch (e) { | throw a; | throw | return m | break | continue | loop {
|x| x + 1 | a.map(|x, i| x) | a.sort(|x, y| 1) | fn f(x) { this.q = x; f(x) } | f(a) | m.f(1) | a.call(f)
event.payload.total > 100 | event.payload.items[0].price * 2 | event.x = m | event.payload.items.push(a) | (
) | [ | ] | #{ | `${a}-${m}` | 'x' | "\\u00e9" | 9223372036854775807 + 1 | 1e308 * 10.0 | -5.abs() | 1..5 | ..3
a ?? m | !a | && | || | == | contains | in | !in | ; | , | . | ?. | = | += | ** | << | this | fn | let | print(a)
huge + 1 | huge * 2.0 | huge == 1.0 | a.split(1) | "a,b".split(",") | m.to_json() | parse_json("{}") | exit(a)
""".replace("\n", "|").split("|")
LIMITS = Limits(operations=5_000, wall_ms=None)
SCOPE = {
    "event": {"payload": {"total": 150, "items": [{"price": 9.5}, {"price": 1}]}, "x": None},
    "huge": 10**400,
}

texts = st.lists(st.sampled_from(PIECES) | st.text(max_size=3), max_size=14).map(" ".join)


def outcome(text: str, scope: dict[str, Any], *, as_condition: bool) -> None:
    compiler = compile_condition if as_condition else compile_script
    try:
        compiler(text, limits=LIMITS).run(scope)
    except GrammarError as error:
        assert error.kind
        assert error.span is not None
        assert error.render()


@settings(max_examples=400, deadline=None)
@given(texts, st.booleans())
def test_any_text_ends_in_a_value_or_a_named_error(text: str, as_condition: bool) -> None:
    scope = copy.deepcopy(SCOPE)
    outcome(text, scope, as_condition=as_condition)
    assert scope == SCOPE


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60))
def test_any_characters_end_in_a_value_or_a_named_error(text: str) -> None:
    outcome(text, {}, as_condition=False)


@given(st.integers(-(2**63), 2**63 - 1), st.integers(-(2**63), 2**63 - 1))
def test_integer_arithmetic_is_exact_or_refused(a: int, b: int) -> None:
    program = compile_script("[a + b, a - b, a * b]")
    exact = [a + b, a - b, a * b]
    try:
        assert program.run({"a": a, "b": b}) == exact
    except GrammarError as error:
        assert error.kind == "arithmetic"
        assert any(not -(2**63) <= value < 2**63 for value in exact)

"""Library functions, one line each: what LANGUAGE.md section 9 says, at and beyond the edges."""

from __future__ import annotations

import math
from typing import Any

import pytest

from grammar import EvaluationError, Limits, compile_script

LIMITS = Limits(wall_ms=None)
STRINGS: list[tuple[str, Any]] = [
    ('"héy".len', 3), ('"héy".length', 3), ('"héy".bytes()', 4), ('"héy".bytes', 4), ('"".is_empty', True),
    ('"ab".to_upper() + "CD".to_lower()', "ABcd"), ("type_of('a'.to_upper())", "char"),
    ('let s = "Ab"; s.make_upper(); s', "AB"), ('let s = "Ab"; s.make_lower(); s', "ab"),
    ('let s = " a\\t"; [s.trim(), s]', ["a", "a"]), ('"abc".contains(\'b\')', True),
    ('"abc".starts_with("ab") && "abc".ends_with("bc")', True), ('"abcb".index_of("b", 2)', 3),
    ('"abc".index_of("", 9)', -1), ('"abc".sub_string(-2)', "bc"), ('"abc".sub_string(1, 9)', "bc"),
    ('"abcdef".sub_string(-4..-1)', "cde"), ('let s = "abcd"; s.crop(1..=2); s', "bc"),
    ('["abc".get(-1), "abc".get(5)]', ["c", None]), ("let s = \"abc\"; s.set(-1, 'x'); s", "abx"),
    ('let s = "aXbX"; s.replace("X", "--"); s', "a--b--"), ("let s = \"a-b\"; s.replace('-', '+'); s", "a+b"),
    ('let s = "aba"; s.remove("a"); s', "b"), ('let s = "aba"; s.remove(""); s', "aba"),
    ('let s = "aba"; s.clear(); s', ""), ('let s = "a"; s.append(1.0); s', "a1.0"),
    ('let s = "ab"; [s.pop(), s.pop(), s.pop(), s]', ["b", "a", None, ""]),
    ('let s = "a"; s.pad(6, "xy"); s', "axyxyx"), ('let s = "a"; s.pad(9, ""); s', "a"),
    ('" a  b ".split()', ["a", "b"]), ('"a,b,c".split(",", 2)', ["a", "b,c"]), ('"abc".split("")', ["", "a", "b", "c", ""]),
    ('"abc".split("", 2)', ["", "abc"]), ('"a,b,c".split_rev(",")', ["c", "b", "a"]),
    ('"a,b,c".split_rev(",", 2)', ["c", "a,b"]), ('"ab".split_rev("")', ["", "b", "a", ""]), ('"abc".split(1)', ["a", "bc"]),
    ('let r = []; for c in "abc".chars() { r.push(c); } r', ["a", "b", "c"]),
    ('let r = []; for c in "abc".chars(-2..3) { r.push(c); } r', ["b", "c"]), ('"abc".chars', ["a", "b", "c"]),
    ('"abc".to_chars()', ["a", "b", "c"]), ('[min("b", "a"), max("b", "a")]', ["a", "b"]), ("min('b', 'a')", "a"),
    ("'a'.to_int()", 97), ('"é\\"\\n".to_debug()', '"é\\"\\n"'), ('let s = "abc"; s[1..] = ""; s', "a"),
]  # fmt: skip
ARRAYS: list[tuple[str, Any]] = [
    ("[1].len + [1].length", 2), ("[].is_empty()", True), ("[1, 2].get(-1)", 2), ("[1].get(3)", None),
    ("let a = [1]; a.set(0, 5); a.set(9, 6); a", [5]), ("let a = [1]; a.append([2, 3]); a", [1, 2, 3]),
    ("let a = [1, 2]; a.insert(-1, 9); a", [1, 9, 2]), ("let a = [1, 2]; a.clear(); a", []),
    ("let a = [1, 2, 3]; a.truncate(-1); a", []), ("let a = [1, 2]; a.reverse(); a", [2, 1]),
    ("let a = [1, 2]; [a.shift(), a.pop(), a.pop(), a.shift()]", [1, 2, None, None]),
    ("let a = [1, 2]; [a.remove(0), a.remove(7), a]", [1, None, [2]]),
    ("let a = [1, 2, 3]; a.splice(-2, 1, [8, 9]); a", [1, 8, 9, 3]), ("[1, 2, 3].extract(-2..=-1)", [2, 3]),
    ("let a = [1, 2, 3]; [a.drain(1, 1), a]", [[2], [1, 3]]), ("let a = [1, 2, 3]; [a.drain(0..2), a]", [[1, 2], [3]]),
    ("let a = [1, 2, 3]; [a.retain(0, 1), a]", [[2, 3], [1]]), ("let a = [1, 2, 3]; [a.drain(|x| x > 1), a]", [[2, 3], [1]]),
    ("[[1], [2]].contains([2.0])", True), ("[1, 2, 1].index_of(1, 1)", 2), ("[1, 2].index_of(|x| x > 1)", 1),
    ("[1, 2].index_of(|x| x > 5)", -1), ("[2.5, 1.5].order()", [1.5, 2.5]), ("['b', 'a'].order_desc()", ["b", "a"]),
    ("let a = [1, 1, 2, 1]; a.dedup(); a", [1, 2, 1]), ("let a = [1, 2, 5]; a.dedup(|x, y| x - y == 1); a", [1, 5]),
    ("[1, 2].zip([3, 4, 5], |x, y| x * y)", [3, 8]), ("[3, 1].order(|x, y| x - y)", [1, 3]), ("[1, 3].order_by(|x, y| x > y)", [3, 1]),
    ("let a = [2, 1]; a.sort_by(|x, y| x - y); a", [1, 2]), ("[1, 2].some(|x| x > 1)", True), ("[1, 2].all(|x| x > 1)", False),
    ("[1, 2].find(|x| x > 1)", 2), ("[1, 2].find(|x| x > 0, 1)", 2), ("[1].find(|x| x > 1)", None),
    ("[1, 2].find_map(|x, i| if i == 1 { x * 10 })", 20), ("[1].find_map(|x| ())", None),
    ("[1, 2, 3].reduce(|a, x, i| (a ?? 0) + x * i)", 8), ("['a', 'b'].reduce_rev(|a, x| (a ?? '') + x)", "ba"),
    ("let a = [1, 2]; a.for_each(|i| this += i); a", [1, 3]), ("let a = [[1]]; a.for_each(|| this.push(2)); a", [[1, 2]]),
    ("[1, 2].filter(|x| 1)", []), ("let a = [0]; a.pad(3, [1]); a[1].push(2); a", [0, [1, 2], [1]]), ("[1, 'a'].to_string()", "[1, a]"),
]  # fmt: skip
MAPS: list[tuple[str, Any]] = [
    ("#{a: 1}.len() + #{}.len()", 1), ("#{}.is_empty()", True), ("#{a: 1}.get('b', 7)", 7), ("let m = #{}; m.set('k', 1); m", {"k": 1}),
    ("let m = #{a: 1}; [m.remove('a'), m]", [1, {}]), ("let m = #{a: 1}; m.clear(); m", {}), ("#{b: 1, a: 2}.values()", [2, 1]),
    ("let m = #{a: 1}; m.mixin(#{a: 2, b: 3}); m", {"a": 2, "b": 3}), ("let m = #{a: 1}; m.fill_with(#{a: 2, b: 3}); m", {"a": 1, "b": 3}),
    ("let m = #{a: 1}; m += #{b: 2}; m", {"a": 1, "b": 2}), ("#{a: 1, b: 2}.map(|k, v| k + v)", {"a": "a1", "b": "b2"}),
    ("#{a: 1, b: 2}.filter(|k, v| v > 1)", {"b": 2}), ("let m = #{a: 1, b: 2}; [m.drain(|k| k == 'a'), m]", [{"a": 1}, {"b": 2}]),
    ("let m = #{a: 1, b: 2}; [m.retain(|k, v| v == 2), m]", [{"a": 1}, {"b": 2}]), ("#{a: 1} == #{a: 1.0}", True),
    ('#{a: [1, (), 1.5, true], b: "\\n"}.to_json()', '{"a":[1,null,1.5,true],"b":"\\n"}'),
    ('parse_json("{\\"a\\": [1e3, 99999999999999999999]}")', {"a": [1000.0, 1e20]}),
]  # fmt: skip
NUMBERS: list[tuple[str, Any]] = [
    ("abs(-5) + (-1.5).abs()", 6.5), ("[sign(-3), sign(0.0), sign(2.5)]", [-1, 0, 1]), ("[3.is_odd, 3.is_even, 0.is_zero, 0.0.is_zero]", [True, False, True, True]),
    ("[is_odd(-3), is_even(2)]", [True, True]), ("[min(1, 2.5), max(1, 2), min(3, 2.0)]", [1.0, 2, 2.0]),
    ("[to_int(2.9), to_int(-2.9), 5.to_int()]", [2, -2, 5]), ("[2.5.round, -2.5.round, 2.4.round()]", [3.0, -3.0, 2.0]),
    ("[1.2.floor, 1.2.ceiling(), -1.5.int, -1.5.fraction()]", [1.0, 2.0, -1.0, -0.5]), ("[to_octal(8), to_binary(-1).len]", ["10", 64]),
    ("[hypot(3.0, 4.0), atan(1.0, 0.0) * 2.0 == PI()]", [5.0, True]), ("[log(100.0), log(8.0, 2), ln(E())]", [2.0, 3.0, 1.0]),
    ("[sqrt(4.0), exp(0.0), asinh(0.0), to_degrees(PI())]", [2.0, 1.0, 0.0, 180.0]), ("(1.0 / 0.0).is_infinite && !(0.0 / 0.0).is_finite", True),
    ("parse_int('-2A', 16)", -42), ("parse_int('+7')", 7), ("parse_float(' 1e2 ')", 100.0), ("range(5, 0, -2).type_of()", "iterator"),
    ("let r = []; for i in range(5, 0, -2) { r.push(i); } r", [5, 3, 1]), ("[(1..5).start, (1..5).end, (5..1).is_empty, (1..5).is_exclusive]", [1, 5, True, True]),
    ("[(1..5).contains(5), (1..=5).contains(5)]", [False, True]), ("[1e14, 1.5e-14, 1e-7, 1e13].map(|x| x.to_string())", ["1e14", "1.5e-14", "0.0000001", "10000000000000.0"]),
    ("-1.0 / 0.0 < 0 && 1.0 % 0.0 != 1.0", True), ("[7 / -2, -7 % 2, 2 ** 10, 2 ** 0.5 > 1.4]", [-3, -1, 1024, True]),
    ("[1 << 63, -1 >> 70, 5 >> -1, 6 & 3, 6 | 1, 6 ^ 2, true ^ true]", [-(2**63), -1, 10, 2, 7, 4, False]),
]  # fmt: skip
ERRORS: list[tuple[str, str]] = [
    ('let s = "x"; s.pad(999999999, "y")', "limit_data_size"), ('"5".to_int()', "function_not_found"), ("floor(5)", "function_not_found"),
    ("to_int(1e300)", "arithmetic"), ("sign(0.0 / 0.0)", "arithmetic"), ("abs(-9223372036854775808)", "arithmetic"),
    ("-(-9223372036854775808)", "arithmetic"), ("2 ** -1", "arithmetic"), ("2 ** 64", "arithmetic"), ("(-9223372036854775808) % -1", "arithmetic"),
    ("parse_int('9223372036854775808')", "arithmetic"), ("parse_int('12', 99)", "arithmetic"), ("parse_int('')", "arithmetic"),
    ('parse_float("x")', "arithmetic"), ("range(1, 2, 0)", "arithmetic"), ("for x in range(0.0, 1.0, 0.0) {}", "arithmetic"),
    ("parse_json('[1]')", "type_mismatch"), ('parse_json("{")', "parse"), ('parse_json(`{"a":${"[" * 3}}`)', "function_not_found"),
    ("[1, 'a'].order()", "function_not_found"), ("[[1], [2]].sort()", "function_not_found"), ("[1] < [2]", "function_not_found"),
    ("(1..2) == (1..=2)", "function_not_found"), ("(|x| x) == (|x| x)", "function_not_found"), ("print(1, 2)", "function_not_found"),
    ("call(1)", "function_not_found"), ("1.call(2)", "type_mismatch"), ("Fn(1)", "function_not_found"), ("1.curry()", "type_mismatch"),
    ("(|x| x).call()", "function_not_found"), ("1..'a'", "function_not_found"), ("let s = 'ab'; s[0] = 1", "type_mismatch"),
    ("let s = 'ab'; s[0..1] = 1", "type_mismatch"), ("let x = 5; x.y = 1", "dot_expr"), ("let x = 5; x[0] = 1", "indexing_type"),
    ("let m = #{}; m[1]", "type_mismatch"), ("let m = #{}; m[1] = 1", "type_mismatch"), ("let a = [1]; a['k']", "type_mismatch"),
    ("for x in 5.to_float() {}", "for_not_iterable"), ("const A = [1]; A.push(2)", "mutate_constant"), ("const A = #{a: 1}; A.a = 2", "assign_to_constant"),
    ("eval('1')", "function_not_found"), ("is_def_fn(1, 2)", "function_not_found"), ("exit(1, 2)", "function_not_found"), ("curry()", "function_not_found"),
]  # fmt: skip


@pytest.mark.parametrize(("script", "expected"), [*STRINGS, *ARRAYS, *MAPS, *NUMBERS])
def test_function_gives(script: str, expected: Any) -> None:
    got = compile_script(script, limits=LIMITS).run({})
    assert got == expected
    assert type(got) is type(expected)


@pytest.mark.parametrize(("script", "kind"), ERRORS)
def test_function_refuses(script: str, kind: str) -> None:
    with pytest.raises(EvaluationError) as caught:
        compile_script(script, limits=LIMITS).run({})
    assert caught.value.kind == kind


@pytest.mark.parametrize(
    "script", ["sqrt(-1.0)", "ln(-1.0)", "acos(2.0)", "0.0 / 0.0", "log(2.0, 1)"]
)
def test_undefined_floats_are_nan(script: str) -> None:
    assert math.isnan(compile_script(script).run({}))


@pytest.mark.parametrize(
    ("script", "expected"),
    [("exp(1000.0)", math.inf), ("sinh(-1000.0)", -math.inf), ("10.0 ** 400", math.inf), ("ln(0.0)", -math.inf),
     ("(-10.0) ** 401", -math.inf), ("0.0 ** -1", math.inf), ("atanh(1.0)", math.inf)],
)  # fmt: skip
def test_overflowing_floats_are_infinite(script: str, expected: float) -> None:
    assert compile_script(script).run({}) == expected

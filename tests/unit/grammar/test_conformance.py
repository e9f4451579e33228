"""Cases of case files: what counts as right, and how values are written."""

from typing import Any

import pytest

from grammar import HostMap
from grammar.conformance import decode, encode, run_case
from grammar.values import Steps


def outcome(script: str, *, mode: str = "script", **more: Any) -> Any:
    return run_case({"id": "x", "mode": mode, "script": script, **more})


@pytest.mark.parametrize(
    ("script", "expect", "right"),
    [
        ("1", {"value": 1}, True),
        ("1", {"value": 1, "type": "int"}, True),
        ("1", {"value": 1, "type": "float"}, False),
        ("1", {"value": 1.0}, False),
        ("1", {"value": True}, False),
        ("true", {"value": 1}, False),
        ("true", {"value": True}, True),
        ("()", {"value": None, "type": "()"}, True),
        ("[1, [2]]", {"value": [1, [2]], "type": "array"}, True),
        ("[1, [2]]", {"value": [1, [3]]}, False),
        ("[1]", {"value": [1, 2]}, False),
        ("#{a: 1}", {"value": {"a": 1}, "type": "map"}, True),
        ("#{a: 1}", {"value": {"b": 1}}, False),
        ("#{a: 1}", {"value": 1}, False),
        ("'c'", {"value": "c", "type": "char"}, True),
        ("0..3", {"value": {"$range": [0, 3, False]}, "type": "range"}, True),
        ("0.0 / 0.0", {"value": {"$float": "nan"}, "type": "float"}, True),
        ("1.0 / 0.0", {"value": {"$float": "inf"}}, True),
        ("-1.0 / 0.0", {"value": {"$float": "-inf"}}, True),
        ("|x| x", {"value": {"$fnptr": "*"}, "type": "Fn"}, True),
        ("1", {"value": {"$fnptr": "*"}}, False),
        ("no", {"error": "variable_not_found"}, True),
        ("no", {"error": "arithmetic"}, False),
        ("no", {"value": 1}, False),
        ("1", {"error": "arithmetic"}, False),
        ("fn f() { 1 / 0 } f()", {"error": "in_function", "inner": "arithmetic"}, True),
        ("let = 1", {"error": "parse"}, True),
    ],
)
def test_what_counts_as_right(script: str, expect: dict[str, Any], right: bool) -> None:
    assert outcome(script, expect=expect).ok is right


def test_printed_text_counts_where_a_case_names_it() -> None:
    script = 'print("a"); debug("b"); 1'
    expect = {"value": 1}
    assert outcome(script, expect=expect).ok
    assert outcome(script, expect=expect, output=[["print", "a"], ["debug", '"b"']]).ok
    assert not outcome(script, expect=expect, output=[["print", "a"]]).ok


@pytest.mark.parametrize(
    ("script", "allowed", "right"),
    [
        ("loop { }", ["limit_operations"], True),
        ("1", ["limit_operations", {"value": 1}], True),
        ("1", [{"value": 2}, "arithmetic"], False),
        ("1 / 0", [{"value": 2}], False),
    ],
)
def test_one_of_several_endings(script: str, allowed: list[Any], right: bool) -> None:
    assert outcome(script, one_of=allowed, limits={"ops": 1_000}).ok is right


def test_a_thrown_value_is_shown() -> None:
    assert outcome("throw #{a: 1}", expect={"error": "thrown"}).got["thrown"] == {"a": 1}


@pytest.mark.parametrize(
    ("mode", "script", "expect", "right"),
    [
        ("compile", "f(1)", {"compiles": True}, True),
        ("compile", "f(", {"compiles": True}, False),
        ("eval", "'ab'", {"error": "parse"}, True),
        ("expr", "let x = 1", {"error": "parse"}, True),
        ("branch", "n > 1", {"value": True}, True),
        ("branch", "()", {"value": False}, True),
        ("branch", "n + 1", {"value": 3}, True),
        ("branch", "n", {"error": "type_mismatch"}, True),
    ],
)
def test_modes(mode: str, script: str, expect: dict[str, Any], right: bool) -> None:
    assert outcome(script, mode=mode, expect=expect, vars={"n": 2}).ok is right


def test_limits_are_those_a_case_names() -> None:
    deep = "((((1))))"
    assert outcome(deep, expect={"value": 1}).ok
    assert outcome(deep, expect={"error": "parse"}, limits={"depth": "3,2"}).ok
    calls = "fn f(x) { if x == 0 { 0 } else { f(x - 1) } } f(9)"
    assert outcome(calls, expect={"error": "limit_call_levels"}, limits={"calls": 4}).ok


def test_values_are_read_and_written_as_the_files_have_them() -> None:
    assert decode({"a": [{"$float": "-inf"}, 1]}) == {"a": [float("-inf"), 1]}
    deep: Any = 1
    for _ in range(4):
        deep = [deep]
    assert encode(deep, 3) == [[[{"$deep": True}]]]


def test_a_value_of_the_host_has_the_name_of_its_class() -> None:
    got = outcome("range(0, 3)", expect={"value": None}).got
    assert got["type"] == Steps.__name__
    assert not issubclass(Steps, HostMap)

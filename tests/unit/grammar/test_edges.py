"""What only odd hosts, huge numbers and exhausted limits reach."""

from collections import OrderedDict
from typing import Any

import pytest

from grammar import (
    Budget,
    EvaluationError,
    FlowSyntaxError,
    GrammarError,
    HostMap,
    Limits,
    compile_condition,
    compile_script,
)
from grammar.compiler import code
from grammar.runtime import comparison, operators
from grammar.runtime.control import settle_error

HUGE = 10**400
"""An integer of the host that no float can hold."""


class Store(HostMap):
    """A host's map whose reads fail with an error of the host."""

    def get(self, key: str) -> Any:
        raise KeyError(key)

    def set(self, key: str, value: Any) -> None:
        assert type(value) is str

    def remove(self, key: str) -> None: ...

    def contains(self, key: str) -> bool:
        return False


def deep(levels: int) -> Any:
    value: Any = []
    for _ in range(levels):
        value = [value]
    return value


def ending(source: str, scope: dict[str, Any], limits: Limits | None = None) -> Any:
    """The value, or the kind of the error."""
    chosen = limits or Limits(wall_ms=None)
    try:
        return compile_script(source, limits=chosen).run(scope)
    except GrammarError as error:
        return error.kind


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("n == 1.5", False), ("n != 1.5", True), ("n > 1.5", True), ("n < 1.5", False),
        ("1.5 < n", True), ("n + 1.5", "arithmetic"), ("n + 1", "arithmetic"), ("n / f", float("inf")),
        ("m / f", float("-inf")), ("let x = n; x += 1.5; x", float("inf")),
    ],
)  # fmt: skip
def test_integers_that_no_float_can_hold(source: str, value: Any) -> None:
    assert ending(source, {"n": HUGE, "m": -HUGE, "f": 1.5}) == value


@pytest.mark.parametrize(
    "source",
    [
        "n == n2", "let a = n; a.push(1); 1", "`${n}`", "n", "#{a: n}.to_json()",
        "#{a: n} == #{a: n2}", "m.to_json()",
    ],
)  # fmt: skip
def test_data_that_nests_too_deeply_is_refused(source: str) -> None:
    scope = {"n": deep(70), "n2": deep(70), "m": {"a": deep(70)}}
    assert ending(source, scope) == "limit_depth"


def test_maps_that_nest_too_deeply_are_refused() -> None:
    one: Any = {}
    other: Any = {}
    for _ in range(70):
        one, other = {"a": one}, {"a": other}
    assert ending("a == b", {"a": one, "b": other}) == "limit_depth"


def test_a_map_of_the_host_is_shown_without_its_entries() -> None:
    assert ending("`${s} ${type_of(s)}`", {"s": Store()}) == "#{…} map"
    assert ending("s == s", {"s": Store()}) == "function_not_found"
    assert ending("s", {"s": Store()}) == "not_serialisable"


def test_a_char_reaches_the_host_as_a_string() -> None:
    assert ending("s.set(\"k\", 'c')", {"s": Store()}) is None


def test_an_error_of_the_host_passes_through_try() -> None:
    program = compile_script('try { s.get("zz") } catch (e) { 1 }')
    with pytest.raises(KeyError, match="zz"):
        program.run({"s": Store()})


def test_a_map_of_another_class_is_a_map() -> None:
    scope = {"m": OrderedDict(a=1)}
    assert ending("[m.len(), m.keys(), type_of(m)]", scope) == [1, ["a"], "map"]


def test_recursion_past_the_interpreters_own_limit_is_a_limit_of_ours() -> None:
    limits = Limits(wall_ms=None, operations=None, call_levels=1_000_000)
    assert ending("fn f(x) { f(x + 1) + 1 } f(0)", {}, limits) == "limit_call_levels"
    caught = "fn f(x) { try { f(x + 1) } catch (e) { 0 } } f(0)"
    assert ending(caught, {}, limits) == "limit_call_levels"


def test_errors_of_the_interpreter_become_errors_of_the_language() -> None:
    for error, kind in ((OverflowError(), "arithmetic"), (RecursionError(), "limit_call_levels")):
        settled = settle_error(error)
        assert settled is not None
        assert settled.kind == kind
    assert settle_error(KeyError()) is None
    assert settle_error(KeyError("x")) is None
    assert settle_error(ValueError("x")) is None


def test_a_text_that_is_no_unicode_is_refused() -> None:
    with pytest.raises(FlowSyntaxError, match="Not a Unicode text") as caught:
        compile_script("1 + '\ud800'")
    assert caught.value.span is not None
    assert caught.value.span.column == 6


@pytest.mark.parametrize("error", [RecursionError, MemoryError, SyntaxError])
def test_a_text_that_the_interpreter_cannot_compile_is_refused(
    error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_arguments: Any, **_more: Any) -> Any:
        raise error

    monkeypatch.setattr(code, "compile", fails, raising=False)
    with pytest.raises(FlowSyntaxError, match="nests too deeply"):
        compile_script("1")


@pytest.mark.parametrize(
    "source",
    [
        "(" * 600, "1" + "+1" * 1_100, "x" + ".a" * 1_100, "-" * 200 + "x", "x" + "[0]" * 1_100,
        '"' + "x" * 300_000 + '"',
    ],
)  # fmt: skip
def test_texts_past_the_limits_of_form_are_refused(source: str) -> None:
    limits = Limits(wall_ms=None, source_bytes=1 << 20, string_bytes=1_000)
    with pytest.raises(GrammarError) as caught:
        compile_script(source, limits=limits)
    assert caught.value.kind == "parse"
    assert caught.value.span is not None


ASKING = (
    "map", "filter", "for_each", "reduce", "reduce_rev", "some", "all", "find", "find_map",
    "index_of", "drain", "retain", "dedup", "sort", "order",
)  # fmt: skip
CHANGES = ("clear()", "pop()", "shift()", "push(9)", "truncate(1)", "reverse()")


@pytest.mark.parametrize("function", ASKING)
@pytest.mark.parametrize("change", CHANGES)
def test_a_function_may_change_the_array_it_is_asked_about(function: str, change: str) -> None:
    for parameters in ("", "x", "x, y"):
        for answer in ("true", "false", "()", "-1", "this"):
            source = f"let a = [3, 1, 2]; a.{function}(|{parameters}| {{ a.{change}; {answer} }})"
            limits = Limits(wall_ms=None, operations=20_000)
            ending(source, {}, limits)  # any value and any error of ours will do


@pytest.mark.parametrize("function", ["map", "filter", "drain", "retain"])
def test_a_function_may_change_the_map_it_is_asked_about(function: str) -> None:
    for change in ("clear()", 'remove("b")', 'set("d", 1)'):
        source = f"let m = #{{a: 1, b: 2}}; m.{function}(|k, v| {{ m.{change}; true }})"
        assert set(ending(source, {})) <= {"a", "b", "d"}


def test_turns_end_with_the_array() -> None:
    assert ending("let a = [1, 2, 3]; a.for_each(|| a.clear()); a", {}) == []
    assert ending("let a = [1, 2, 3]; a.find(|x| { a.clear(); true })", {}) is None
    assert ending("let a = [1, 2, 3]; a.find_map(|x| { a.clear(); () }); a", {}) == []


def test_sizes_of_many_values_are_remembered_and_forgotten() -> None:
    many = "".join(f"let a{i} = []; for j in 0..40 {{ a{i}.push(`${{j}}`); }}" for i in range(80))
    assert ending(f"{many} a79.len()", {}) == 40


@pytest.mark.parametrize(
    ("source", "value"),
    [("1.1", "type_mismatch"), ("n > 1e-320", True), ("n >= 5e-324", True), ("n < 1e300", True)],
)
def test_conditions_with_numbers_at_the_edge(source: str, value: Any) -> None:
    try:
        got: Any = compile_condition(source).run({"n": 1.0}, Budget(Limits(wall_ms=None)))
    except EvaluationError as error:
        got = error.kind
    assert got == value


def test_operators_do_without_the_shortcuts_of_compiled_code() -> None:
    c = Budget()
    assert operators.add(c, 1, 2) == 3
    assert operators.subtract(c, 3, 2) == 1
    assert operators.multiply(c, 3, 2) == 6
    assert operators.subtract(c, HUGE, 1.5) == float("inf")
    assert operators.multiply(c, -HUGE, 1.5) == float("-inf")
    assert comparison.less(1, 2) is True
    assert comparison.less(True, False) is False
    assert comparison.less(HUGE, 1.5) is False
    assert comparison.greater(HUGE, 1.5) is True
    assert comparison.less(1, float("nan")) is False

"""Programs seen from outside: results, scopes, libraries, host maps, limits."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

from grammar import (
    Budget,
    BudgetExceededError,
    EvaluationError,
    FlowCheckError,
    FlowSyntaxError,
    HostMap,
    Limits,
    ValueMismatchError,
    compile_condition,
    compile_functions,
    compile_script,
)

ORDER = {"event_type": "order.created", "payload": {"total": 150, "items": [1, 2]}}


class Store(HostMap):
    """A host map that fails for keys it has not loaded."""

    class NotLoadedError(Exception):
        pass

    def __init__(self, entries: dict[str, Any], missing: frozenset[str] = frozenset()) -> None:
        self.entries = entries
        self.missing = missing

    def get(self, key: str) -> Any:
        if key in self.missing:
            raise Store.NotLoadedError(key)
        return self.entries.get(key)

    def set(self, key: str, value: Any) -> None:
        self.entries[key] = value

    def remove(self, key: str) -> None:
        self.entries.pop(key, None)

    def contains(self, key: str) -> bool:
        return key in self.entries


class LazyScope(dict[str, Any]):
    def __missing__(self, key: str) -> Any:
        if key == "late":
            return 7
        raise KeyError(key)


def test_condition_gives_a_bool_and_reads_its_names() -> None:
    program = compile_condition("event.event_type == 'order.created' && event.payload.total > 100")
    assert program.names == frozenset({"event"})
    assert program.run({"event": ORDER}) is True
    assert program.run({"event": {"event_type": "x"}}) is False


def test_condition_without_the_value_it_needs_is_an_error() -> None:
    with pytest.raises(ValueMismatchError) as caught:
        compile_condition("event.payload.total").run({"event": ORDER})
    assert caught.value.kind == "type_mismatch"


def test_result_shares_nothing_with_the_scope() -> None:
    scope = {"event": copy.deepcopy(ORDER)}
    result = compile_script("event.payload").run(scope)
    result["items"].append(3)
    assert scope["event"] == ORDER


def test_script_changes_its_own_view_only() -> None:
    scope = {"event": copy.deepcopy(ORDER)}
    result = compile_script("event.payload.total = 1; event.payload.total").run(scope)
    assert (result, scope["event"]) == (1, ORDER)


def test_scope_may_supply_names_late() -> None:
    assert compile_script("late + 1").run(LazyScope()) == 8
    with pytest.raises(EvaluationError) as caught:
        compile_script("let total = 1; totl").run(LazyScope())
    assert caught.value.kind == "variable_not_found"


def test_missing_name_in_a_try_is_caught() -> None:
    script = "try { nope } catch (e) { e.variable }"
    assert compile_script(script).run({}) == "nope"


def test_state_is_read_and_written_through_the_host() -> None:
    store = Store({"n": 1})
    script = (
        'state.set("n", state.get("n", 0) + 1); state.m = #{a: [1]}; state.m.a.push(2); state.n'
    )
    assert compile_script(script).run({"state": store}) == 2
    assert store.entries == {"n": 2, "m": {"a": [1, 2]}}


def test_state_answers_like_a_map() -> None:
    store = Store({"k": "v"})
    script = """
        let r = [state["k"], state.k, state.get("x"), state.get("x", 5), "k" in state];
        state.remove("k");
        r + [state.contains("k")]
    """
    assert compile_script(script).run({"state": store}) == ["v", "v", None, 5, True, False]


def test_what_is_set_is_detached_from_the_script() -> None:
    store = Store({})
    compile_script('let a = [1]; state.set("a", a); a.push(2);').run({"state": store})
    assert store.entries == {"a": [1]}


def test_host_exceptions_pass_through_try_untouched() -> None:
    store = Store({}, frozenset({"k"}))
    program = compile_script('try { state.get("k") } catch { 1 }')
    with pytest.raises(Store.NotLoadedError) as caught:
        program.run({"state": store})
    assert caught.value.args == ("k",)


def test_library_functions_are_called_and_named_in_errors() -> None:
    shared = compile_functions("fn add(a, b) { a + b }\nfn bad(x) { x.nope() }", name="shared.rhai")
    assert compile_script("add(1, 2)", library=shared).run({}) == 3
    with pytest.raises(EvaluationError) as caught:
        compile_script("bad(1)", library=shared).run({})
    assert caught.value.functions == ("bad",)
    assert "shared.rhai:2:15" in caught.value.render()


def test_script_functions_win_over_the_librarys() -> None:
    shared = compile_functions("fn f() { 1 }", name="shared.rhai")
    assert compile_script("fn f() { 2 } f()", library=shared).run({}) == 2


def test_libraries_call_each_other_after_a_merge() -> None:
    one = compile_functions("fn one() { two() + 1 }", name="one.rhai")
    two = compile_functions("fn two() { 2 }", name="two.rhai")
    assert compile_script("one()", library=one.merge(two)).run({}) == 3


def test_a_merge_leaves_the_libraries_it_joins_alone() -> None:
    base = compile_functions("fn one() { two() }", name="one.rhai")
    blue = base.merge(compile_functions("fn two() { 'blue' }", name="blue.rhai"))
    red = base.merge(compile_functions("fn two() { 'red' }", name="red.rhai"))
    assert [compile_script("one()", library=item).run({}) for item in (blue, red)] == [
        "blue",
        "red",
    ]
    with pytest.raises(EvaluationError):
        compile_script("one()", library=base).run({})


def test_merge_names_both_places_of_a_duplicate() -> None:
    one = compile_functions("fn same(a) { 1 }", name="one.rhai")
    two = compile_functions("\nfn same(b) { 2 }", name="two.rhai")
    with pytest.raises(FlowCheckError, match=r"one\.rhai:1:1 and two\.rhai:2:1"):
        one.merge(two)


def test_library_text_holds_functions_only() -> None:
    with pytest.raises(FlowSyntaxError, match="Only function definitions"):
        compile_functions("fn f() { 1 }\nlet x = 1;", name="shared.rhai")


def test_all_problems_are_reported_at_once() -> None:
    with pytest.raises(FlowCheckError) as caught:
        compile_script("break;\nconst A = 1; A = 2;\nfor x in #{} {}")
    assert [item.span.line for item in caught.value.diagnostics] == [1, 2, 3]
    assert caught.value.render().count("-->") == 3


@pytest.mark.parametrize(
    ("limits", "script", "kind"),
    [
        (Limits(operations=100), "loop {}", "limit_operations"),
        (Limits(operations=100), "[1,2,3].map(|x| { let i = 0; while i < 99 { i += 1; } })", "limit_operations"),
        (Limits(wall_ms=1, operations=None), "loop {}", "limit_time"),
        (Limits(call_levels=8), "fn f() { f() } f()", "limit_call_levels"),
        (Limits(call_levels=8), "let f = |g| g.call(g); f.call(f)", "limit_call_levels"),
        (Limits(string_bytes=10), "let s = 'abc'; s += s; s += s; s", "limit_data_size"),
        (Limits(string_bytes=10), "let s = 'abcd'; [s, s, s]", "limit_data_size"),
        (Limits(array_elements=5), "let a = []; for i in 0..9 { a.push(i); }", "limit_data_size"),
        (Limits(array_elements=5), "let a = [1, 2]; [a, a]", "limit_data_size"),
        (Limits(map_entries=2), "let m = #{a: 1}; m.b = 2; m.c = 3;", "limit_data_size"),
        (Limits(data_depth=4), "let a = []; for i in 0..9 { a = [a]; }", "limit_depth"),
        (Limits(output_bytes=10), "for i in 0..9 { print('abc'); }", "limit_output"),
        (Limits(wall_ms=None), "let a = [1]; loop { a = [a, a]; }", "limit_data_size"),
    ],
)  # fmt: skip
def test_limits_are_named_and_cannot_be_caught(limits: Limits, script: str, kind: str) -> None:
    for text in (script, f"fn z() {{}} try {{ {script} }} catch {{ 1 }}"):
        if text.count("fn ") > 1:
            continue
        with pytest.raises(BudgetExceededError) as caught:
            compile_script(text, limits=limits).run({})
        assert caught.value.kind == kind


def test_budget_counts_and_collects() -> None:
    budget = Budget()
    compile_script("print(1); for i in 0..10 { i }; print('two');").run({}, budget)
    assert budget.printed == ("1", "two")
    assert budget.operations > 10


@pytest.mark.parametrize(
    ("limits", "text"),
    [
        (Limits(source_bytes=5), "1 + 1 + 1"),
        (Limits(expression_depth=4), "[[[[[1]]]]]"),
        (Limits(), "1" + " + 1" * 70),
        (Limits(functions=1), "fn a() {} fn b() {}"),
    ],
)
def test_oversized_texts_are_refused(limits: Limits, text: str) -> None:
    with pytest.raises((FlowSyntaxError, FlowCheckError)) as caught:
        compile_script(text, limits=limits)
    assert caught.value.kind == "parse"


def test_errors_point_into_the_text() -> None:
    with pytest.raises(EvaluationError) as caught:
        compile_script("let x = 5;\nx.foo()", name="flow.rhai").run({})
    assert str(caught.value) == "Function not found: foo (i64) (line 2, position 3)"
    assert caught.value.render().splitlines()[1:4] == [
        "  --> flow.rhai:2:3", "  | x.foo()", "  |   ^^^",
    ]  # fmt: skip
    assert pickle.loads(pickle.dumps(caught.value)).kind == "function_not_found"  # noqa: S301


def test_programs_run_again_without_memory() -> None:
    program = compile_script("let n = 0; let f = || { n += 1; n }; f.call(); f.call()")
    assert [program.run({}) for _ in range(3)] == [2, 2, 2]


def test_a_function_is_no_result() -> None:
    with pytest.raises(ValueMismatchError) as caught:
        compile_script("[|x| x]").run({})
    assert caught.value.kind == "not_serialisable"


def test_host_integers_beyond_64_bits_are_values_but_not_operands() -> None:
    huge = 10**30
    assert compile_script("[x, x == x, x > 1]").run({"x": huge}) == [huge, True, True]
    with pytest.raises(EvaluationError) as caught:
        compile_script("x * 2").run({"x": huge})
    assert caught.value.kind == "arithmetic"

"""Inputs one after the other: what stays, what does not, and when an input is whole."""

from typing import Any

import pytest

from grammar import (
    DEFAULT_LIMITS,
    Budget,
    BudgetExceededError,
    Dialogue,
    EvaluationError,
    FlowCheckError,
    FlowSyntaxError,
    GrammarError,
    HostMap,
    Limits,
    compile_functions,
    is_unfinished,
    show_value,
)


def answers(*inputs: str, scope: dict[str, Any] | None = None) -> Any:
    """The value of the last input."""
    dialogue = Dialogue(scope or {})
    return [dialogue.run(text) for text in inputs][-1]


@pytest.mark.parametrize(
    ("inputs", "value"),
    [
        (["1 + 1"], 2),
        ([""], None),
        (["let x = 1"], None),
        (["let x = 1", "x + 1"], 2),
        (["let x = 1", "x = 5", "x"], 5),
        (["let x = 1", "x += 5; x"], 6),
        (["let x = 1", 'let x = "s"', "x.len"], 1),
        (["let a = [1]", "a.push(2)", "a"], [1, 2]),
        (["let m = #{}", "m.a = 1", "m"], {"a": 1}),
        (["let a = [1]", "let b = a; b.push(2)", "a"], [1]),
        (["let x = 1", "for i in 0..3 { x += i }", "x"], 4),
        (["let x = 1", "{ let x = 2; }", "x"], 1),
        (["if true { 1 } else { 2 }"], 1),
        (['switch 2 { 2 => "two", _ => "other" }'], "two"),
        (["try { throw 1 } catch (e) { e + 1 }"], 2),
        (["const K = 3", "K * 2"], 6),
        (["const K = 3", "let K = 4", "K = 5", "K"], 5),
        (["fn f(a) { a * 2 }", "f(4)"], 8),
        (["fn f(a) { a * 2 } f(4)"], 8),
        (["fn f(a) { a * 2 }", "fn f(a) { a * 3 }", "f(4)"], 12),
        (["fn f(a) { a } fn g(a) { a + 1 }", "fn f(a) { 0 }", "f(4) + g(4)"], 5),
        (["fn f() { 1 }", "fn f(a) { a }", "f() + f(2)"], 3),
        (["fn twice(x) { once(x) * 2 }", "fn once(x) { x + 1 }", "twice(1)"], 4),
        (["fn bump() { this += 1; }", "let x = 1", "x.bump()", "x"], 2),
        (["let x = 2", "let f = |a| a * x", "f.call(3)"], 6),
        (["let x = 2", "let f = |a| a * x", "x = 5", "f.call(3)"], 6),
        (["let x = 1", 'is_def_var("x")'], True),
        (["return 5"], 5),
        (["exit(4)"], 4),
        (["let x = 1", "x = 2; return 9", "x"], 1),
    ],
)  # fmt: skip
def test_what_an_input_declares_is_there_for_the_next(inputs: list[str], value: Any) -> None:
    assert answers(*inputs) == value


def test_a_name_of_the_scope_can_be_read_and_changed() -> None:
    given = {"payload": {"n": 1}, "odd name": 2}
    assert answers("payload.n = 7", "payload.n", scope=given) == 7
    assert given == {"payload": {"n": 1}, "odd name": 2}


@pytest.mark.parametrize(
    ("text", "error", "kind"),
    [
        ("y = x; y.foo.bar", EvaluationError, "dot_expr"),
        ("x = 2; throw 3", EvaluationError, "thrown"),
        ("x = 2; 1 +", FlowSyntaxError, "parse"),
        ("K = 4", FlowCheckError, "parse"),
        ("fn g() { 1 } fn g() { 2 }", FlowCheckError, "parse"),
        ("fn f() { 9 } x = 2; throw 3", EvaluationError, "thrown"),
        ("x = 2; loop { }", BudgetExceededError, "limit_operations"),
    ],
)
def test_an_input_that_fails_changes_nothing(
    text: str, error: type[GrammarError], kind: str
) -> None:
    dialogue = Dialogue({}, limits=Limits(wall_ms=None))
    dialogue.run("let x = 1; const K = 3; let y = 0; fn f() { 1 }")
    before = dialogue.variables
    with pytest.raises(error) as caught:
        dialogue.run(text)
    assert caught.value.kind == kind
    assert dialogue.variables == before == {"x": 1, "K": 3, "y": 0}
    assert dialogue.functions == (("f", 0),)
    assert dialogue.run("f()") == 1


def test_an_error_names_its_input_and_its_place_in_it() -> None:
    dialogue = Dialogue({})
    dialogue.run("let x = 1")
    dialogue.run("// a remark\n  fn f(a) {\n    a.no()\n  }")
    with pytest.raises(GrammarError) as caught:
        dialogue.run("x;\nf(x)")
    assert caught.value.source is not None
    assert caught.value.source.name == "<input 2>"
    assert caught.value.span is not None
    assert (caught.value.span.line, caught.value.span.column) == (3, 7)


def test_a_library_is_there_and_cannot_be_defined_over() -> None:
    library = compile_functions("fn tax(x) { x / 5 }", name="tax.rhai")
    dialogue = Dialogue({}, library=library)
    assert dialogue.run("tax(10)") == 2
    with pytest.raises(FlowCheckError, match="defined twice"):
        dialogue.run("fn tax(x) { x }")
    assert dialogue.run("fn more(x) { tax(x) + 1 } more(10)") == 3


class Store(HostMap):
    """A host's map."""

    def __init__(self) -> None:
        self.entries: dict[str, Any] = {}

    def get(self, key: str) -> Any:
        return self.entries.get(key)

    def set(self, key: str, value: Any) -> None:
        self.entries[key] = value

    def remove(self, key: str) -> None:
        self.entries.pop(key, None)

    def contains(self, key: str) -> bool:
        return key in self.entries


def test_a_map_of_the_host_is_never_copied() -> None:
    store = Store()
    assert answers('state.set("n", 1)', 'state.get("n") + 1', scope={"state": store}) == 2
    assert store.entries == {"n": 1}


def test_too_many_variables_are_refused() -> None:
    dialogue = Dialogue({}, limits=Limits(variables=3, wall_ms=None))
    dialogue.run("let a = 1")
    dialogue.run("let b = 1")
    dialogue.run("let c = 1")
    with pytest.raises(BudgetExceededError) as caught:
        dialogue.run("let d = 1")
    assert caught.value.kind == "limit_variables"
    assert set(dialogue.variables) == {"a", "b", "c"}


def test_a_budget_of_the_caller_collects_what_is_printed() -> None:
    budget = Budget(DEFAULT_LIMITS)
    assert Dialogue({}).run('print("a"); debug("b"); 1', budget) == 1
    assert budget.printed == ("a", '"b"')


@pytest.mark.parametrize(
    ("text", "unfinished"),
    [
        ("", False), ("1", False), ("1 +", False), ("fn f() {", True), ("fn f() { }", False),
        ("[1,", True), ("#{a: [1]", True), ("f(", True), ("x?[", True), ("`text", True),
        ("`text ${1", True), ("`text ${1}`", False), ('#"raw', True), ('#"raw"#', False),
        ("/* remark", True), ("/* a /* b */", True), ("// {", False), ('"text', False),
        ("'text", False), ('"{"', False), (") {", True), ("{ ~", False),
    ],
)  # fmt: skip
def test_an_input_goes_on_until_what_it_opened_is_closed(text: str, unfinished: bool) -> None:
    assert is_unfinished(text) is unfinished


def test_values_are_shown_as_scripts_write_them() -> None:
    value = Dialogue({}).run('[1, 2.0, "a", (), #{k: |x| x}, 0..3]')
    assert show_value(value).startswith('[1, 2.0, "a", (), #{"k": Fn(anon$')
    assert show_value("x" * 500_000) == '"' + "x" * 500_000 + '"'

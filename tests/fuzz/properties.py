"""What must hold for any text. In: one text. Out: nothing, or an exception that is a finding.

A text that begins with `?` is read the other way: as a condition instead of a script, escaped for
HTML instead of plain. Nothing here needs the fuzzer, so the seeds are ordinary test cases too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from grammar import (
    Budget,
    GrammarError,
    Limits,
    compile_condition,
    compile_functions,
    compile_script,
    compile_template,
    format_script,
)

OPERATIONS = 5_000
LIMITS = Limits(operations=OPERATIONS, wall_ms=None, output_bytes=5_000)
LIBRARY = compile_functions(
    "fn twice(x) { x + x } fn grow() { this.push(1); } fn down(n) { if n > 0 { down(n - 1) } }",
    name="shared.rhai",
)
PARTIALS = {"p": "[{{a}}{{item}}]\n", "q": "{{#each a}}{{> p}}{{@index}}{{/each}}", "r": "{{> r}}"}
OTHER = "?"

Outcome = tuple[str, str]
"""What a run gave: `value` and its form, or the error's kind and its text."""


def scope() -> dict[str, Any]:
    """Data of every kind, made anew for each run."""
    items = [{"sku": "a", "price": 9.5, "count": 2}, {"sku": "b", "price": 1, "count": 1}]
    event = {"event_type": "order.created", "payload": {"total": 150, "items": items}, "no": None}
    return {
        "event": event, "payload": event["payload"], "huge": 10**400, "now": 1_772_362_805,
        "deep": [[[[[1]]]]], "text": "héllo <b>", "flag": True, "big": list(range(600)),
        "a": [1, "x", {"y": 2.5}], "b": {"length": 2, "a": "z"}, "c": "p",
    }  # fmt: skip


SCOPE_FORM = repr(scope())


def check_script(text: str) -> None:
    """A script or condition ends in a value or a named error, twice the same, scope untouched."""
    if text.startswith(OTHER):
        compiler: Callable[..., Any] = compile_condition
        text = text[1:]
    else:
        compiler = compile_script
        check_layout(text)
    try:
        program = compiler(text, library=LIBRARY, limits=LIMITS)
    except GrammarError as error:
        check_error(error)
        return
    budget = Budget(LIMITS)
    first = outcome(program.run, budget)
    if first[0] == "value":
        assert budget.operations <= OPERATIONS, budget.operations
    assert outcome(program.run, None) == first


def check_layout(text: str) -> None:
    """Formatting refuses what does not parse; what it prints it would print again."""
    try:
        printed = format_script(text)
    except GrammarError as error:
        check_error(error)
    else:
        assert format_script(printed) == printed


def check_template(text: str) -> None:
    """A template ends in text (or one tag's value) or a named error, scope untouched."""
    is_html = text.startswith(OTHER)
    try:
        template = compile_template(
            text.removeprefix(OTHER), partials=PARTIALS, limits=LIMITS,
            escape="html" if is_html else "none",
        )  # fmt: skip
    except GrammarError as error:
        check_error(error)
        return
    first = outcome(template.render, Budget(LIMITS))
    assert outcome(template.render, None) == first
    outcome(template.evaluate, None)


def outcome(run: Callable[..., Any], budget: Budget | None) -> Outcome:
    """Run once on fresh data, which must stay as it is."""
    given = scope()
    try:
        value = run(given, budget)
    except GrammarError as error:
        check_error(error)
        result = (error.kind, str(error))
    else:
        check_plain(value)
        result = ("value", repr(value))
    assert repr(given) == SCOPE_FORM, "the scope was changed"
    return result


def check_error(error: GrammarError) -> None:
    assert error.kind
    assert error.span is not None, error.message
    assert error.message in error.render()


def check_plain(value: Any) -> None:
    """A result is JSON data of plain types, whatever stood in the scope."""
    assert type(value) in {type(None), bool, int, float, str, list, dict}, type(value)
    if type(value) is list:
        for item in value:
            check_plain(item)
    elif type(value) is dict:
        for key, item in value.items():
            assert type(key) is str, type(key)
            check_plain(item)

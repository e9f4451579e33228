"""Errors show themselves, keep their first place, and survive the way to another process."""

import pickle
from typing import cast

import pytest

from grammar import (
    Diagnostic,
    EvaluationError,
    FlowCheckError,
    FlowSyntaxError,
    GrammarError,
    SourceText,
    Span,
    compile_script,
)

PLACE = SourceText("a.rhai", "let a = 1;\nno")
SPAN = Span(11, 13, 2, 1)


def test_an_error_without_a_place_says_so_by_naming_none() -> None:
    error = GrammarError("It is wrong", kind="parse")
    assert str(error) == "It is wrong"
    assert error.render() == "parse: It is wrong"


def test_an_error_with_a_hint_and_no_place() -> None:
    error = FlowSyntaxError("It is wrong", hint="do it right")
    assert error.render() == "parse: It is wrong\n  hint: do it right"


def test_the_innermost_place_wins() -> None:
    error = EvaluationError("It is wrong", kind="thrown")
    error.locate(SPAN, PLACE)
    error.locate(Span(0, 1, 1, 1), SourceText("other", "x"))
    assert str(error) == "It is wrong (line 2, position 1)"
    assert "--> a.rhai:2:1\n  | no\n  | ^^" in error.render()


def test_a_check_shows_every_finding() -> None:
    with pytest.raises(FlowCheckError) as caught:
        compile_script("break;\nfor x in 1 { }", name="a.rhai")
    shown = caught.value.render()
    assert shown.count("--> a.rhai:") == 2
    assert "hint: a map has `keys()`" in shown


def test_findings_are_cut_at_their_limit() -> None:
    with pytest.raises(FlowCheckError) as caught:
        compile_script("break;\n" * 80)
    assert len(caught.value.diagnostics) == 50


def test_a_check_error_survives_pickling() -> None:
    error = FlowCheckError((Diagnostic("parse", "Wrong", SPAN),), source=PLACE)
    again = cast("FlowCheckError", pickle.loads(pickle.dumps(error)))  # noqa: S301 - our own bytes
    assert again.render() == error.render()
    assert again.diagnostics == error.diagnostics


def test_a_run_error_survives_pickling() -> None:
    error = EvaluationError("Wrong", kind="thrown", span=SPAN, source=PLACE)
    error.thrown_value = [1]
    again = cast("EvaluationError", pickle.loads(pickle.dumps(error)))  # noqa: S301 - our own bytes
    assert (again.kind, again.thrown_value, again.render()) == ("thrown", [1], error.render())

"""Runs seen step by step."""

import sys
from typing import Any

import pytest

from grammar import EvaluationError, Step, compile_script, traced, tracing


def steps_of(source: str, **scope: Any) -> list[str]:
    steps: list[Step] = []
    program = compile_script(source)
    with traced(steps.append):
        program.run(scope)
    return [shown(step) for step in steps]


def shown(step: Step) -> str:
    where = f"{step.span.line}" if step.function is None else f"{step.function}:{step.span.line}"
    return f"{where} gives {step.value}" if step.is_return else where


def test_lines_that_compute_are_steps_in_the_order_of_the_run() -> None:
    assert steps_of("let a = n + 1;\nlet b = a * 2;\nb - a", n=1) == ["1", "2", "3"]


def test_a_line_is_a_step_once_in_each_turn_of_a_loop() -> None:
    source = "let t = 0;\nfor i in n {\n  t += i * 2;\n}\nt + 1"
    assert steps_of(source, n=[1, 2]) == ["2", "3", "3", "5"]


def test_the_end_of_a_function_is_a_step_with_its_value() -> None:
    source = "fn f(x) {\n  x * 2\n}\nf(3)"
    assert steps_of(source) == ["4", "f:2", "f:2 gives 6"]


def test_a_closure_has_an_empty_name() -> None:
    assert steps_of("n.map(|x|\n x + 1)", n=[1]) == ["1", ":2", ":2 gives 2"]


def test_a_function_that_fails_gives_nothing() -> None:
    source = "fn f(x) {\n  x.no\n}\ntry {\n  f(1)\n} catch (e) {\n  e.message.len()\n}"
    assert steps_of(source)[:2] == ["5", "f:2"]
    assert not [step for step in steps_of(source) if "gives" in step]


def test_a_function_that_catches_gives_its_value() -> None:
    source = "fn f(x) {\n  try {\n    x.no\n  } catch (e) {\n    7\n  }\n}\nf(1)"
    assert steps_of(source)[-1] == "f:2 gives 7"


def test_the_steps_before_an_error_are_told() -> None:
    steps: list[Step] = []
    program = compile_script("let a = n + 1;\na.no")
    with pytest.raises(EvaluationError), traced(steps.append):
        program.run({"n": 1})
    assert [shown(step) for step in steps] == ["1", "2"]


def test_reports_end_at_their_limit_and_the_run_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracing, "STEPS_MAX", 3)
    assert len(steps_of("let t = 0;\nfor i in n {\n  t += i;\n}\nt", n=list(range(20)))) == 3


def test_what_followed_the_interpreter_before_follows_it_again() -> None:
    before = sys.gettrace()
    assert steps_of("1") == []
    assert sys.gettrace() is before

"""Follows a run step by step. In: what runs a program. Out: its steps, while it runs.

A step is a line of a script on which something is computed that could fail, or the end of a
function with its value. Programs are the same with and without: the interpreter itself reports.
Refuses to report more than STEPS_MAX steps; the run goes on.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import FrameType
from typing import Any, Final

from grammar.runtime.unit import RuntimeUnit
from grammar.span import SourceText, Span

STEPS_MAX: Final = 10_000


@dataclass(frozen=True, slots=True)
class Step:
    """One step. `function` is None for the script itself, and empty for a closure.

    `is_return` marks the end of a function, whose `value` it has.
    """

    source: SourceText
    span: Span
    function: str | None
    is_return: bool = False
    value: Any = None


@contextmanager
def traced(report: Callable[[Step], None]) -> Iterator[None]:
    """Report the steps of every program that this thread runs inside."""
    before = sys.gettrace()
    follower = _Follower(report)
    sys.settrace(follower.enter)
    try:
        yield
    finally:
        sys.settrace(before)  # pragma: no cover - coverage looks again from here on


class _Follower:  # pragma: no cover - it runs in the place of coverage's own
    """Turns the interpreter's reports into steps."""

    def __init__(self, report: Callable[[Step], None]) -> None:
        self._report = report
        self._left = STEPS_MAX

    def enter(self, frame: FrameType, _event: str, _argument: Any) -> Any:
        """Follow only frames of scripts: they have a unit, and no name of a module."""
        space = frame.f_globals
        if space.get("U") is None or "__name__" in space:
            return None
        return _FrameFollower(space["U"], frame, self.tell).follow

    def tell(self, step: Step) -> None:
        """Pass a step on, while there is room for it."""
        if self._left:
            self._left -= 1
            self._report(step)


class _FrameFollower:  # pragma: no cover - as above
    """Follows one call of one function, or the script itself."""

    def __init__(self, unit: RuntimeUnit, frame: FrameType, tell: Callable[[Step], None]) -> None:
        self._unit = unit
        self._function = unit.function_names.get(frame.f_code.co_name)
        self._tell = tell
        self._last: Span | None = None
        self._at = -1
        self._has_failed = False

    def follow(self, frame: FrameType, event: str, argument: Any) -> Any:
        """Take one report of the interpreter."""
        if event == "line":
            self._has_failed = False
            self._line(frame.f_lineno - 2, frame.f_lasti)
        elif event == "exception":
            self._has_failed = True
        elif self._function is not None and self._last is not None and not self._has_failed:
            end = Step(self._unit.source, self._last, self._function, is_return=True)
            self._tell(replace(end, value=argument))
        return self.follow

    def _line(self, number: int, at: int) -> None:
        # Code runs forwards: the same line further back in it is the next turn of a loop.
        if not 0 <= number < len(self._unit.spans):
            return
        span = self._unit.spans[number]
        is_next_turn = at <= self._at
        self._at = at
        if self._last is None or self._last.line != span.line or is_next_turn:
            self._tell(Step(self._unit.source, span, self._function))
        self._last = span

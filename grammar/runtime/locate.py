"""Finds the place of an error. In: an exception. Out: the script frames it passed.

Compiled code has span numbers for lines, so the traceback already knows every place. Refuses
nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from grammar.span import Span


@dataclass(frozen=True, slots=True)
class ScriptFrame:
    """One frame of a script: `function` is None for the script itself, empty for a closure."""

    unit: Any
    span: Span
    function: str | None


def frames_of(error: BaseException) -> list[ScriptFrame]:
    """Give the script frames of an error's traceback, outermost first."""
    frames: list[ScriptFrame] = []
    trace = error.__traceback__
    while trace is not None:
        unit = trace.tb_frame.f_globals.get("U")
        if unit is not None and "__name__" not in trace.tb_frame.f_globals:
            number = trace.tb_lineno - 2
            name = trace.tb_frame.f_code.co_name
            if 0 <= number < len(unit.spans):
                function = unit.function_names.get(name)
                frames.append(ScriptFrame(unit, unit.spans[number], function))
        trace = trace.tb_next
    return frames

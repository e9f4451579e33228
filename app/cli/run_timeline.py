"""The steps of a run as a timeline, for people at a terminal.

In: the steps of a run's record, how long the run took. Out: lines, one a step: when it began, a bar
for how long it took, what it was and what it came to. What the steps say is made harmless.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from rich.text import Text

from app.cli.output import printable, shortened

BAR_CELLS: Final = 24
NAME_CHARS_MAX: Final = 40
SECOND_MS: Final = 999.5
SHORT_MS: Final = 10
VALUE_CHARS_MAX: Final = 1500
"""Of a value's preview; the record keeps no more than a little of it anyway."""

_BEFORE: Final = "·"
_TAKEN: Final = "█"
_STYLES: Final = {"failed": "red", "slept": "cyan", "called": "dim"}


def span_text(microseconds: int) -> str:
    """Write how long something took, in three digits or so."""
    ms = microseconds / 1000
    if 0 < ms < 1:
        return f"{microseconds} µs"
    if ms < SECOND_MS:
        return f"{ms:.1f} ms" if ms < SHORT_MS and microseconds % 1000 else f"{ms:.0f} ms"
    seconds = microseconds // 1_000_000
    days, hours, minutes = seconds // 86_400, seconds // 3600 % 24, seconds // 60 % 60
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes:02} min"
    return f"{minutes} min {seconds % 60:02} s" if minutes else f"{ms / 1000:.2f} s"


def bar(at_us: int, took_us: int, whole_us: int) -> str:
    """Draw where in the whole something began, and how long it took; at least a cell of it."""
    whole = max(whole_us, 1)
    begins = min(BAR_CELLS - 1, max(0, at_us) * BAR_CELLS // whole)
    cells = max(1, round(max(0, took_us) * BAR_CELLS / whole))
    cells = min(cells, BAR_CELLS - begins)
    return _BEFORE * begins + _TAKEN * cells + _BEFORE * (BAR_CELLS - begins - cells)


def timeline_lines(
    steps: Sequence[Mapping[str, Any]], run_ms: int, *, with_values: bool
) -> Iterator[Text]:
    """Give the lines; ``run_ms`` is the whole run's time, in milliseconds."""
    ends = [step["at_ms"] * 1000 + step["took_us"] for step in steps]
    whole_us = max([run_ms * 1000, *ends])
    rows = [_columns(step) for step in steps]
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(4)]
    for step, row in zip(steps, rows, strict=True):
        offset, took, node, name = row
        yield Text.assemble(
            f"  {offset:>{widths[0]}}  ",
            (bar(step["at_ms"] * 1000, step["took_us"], whole_us), "dim"),
            f"  {took:>{widths[1]}}  {node:<{widths[2]}}  {name:<{widths[3]}}  ",
            (printable(_end(step)), _STYLES.get(step["outcome"], "")),
            (_marks(step), "dim"),
        )
        if with_values:
            yield from _value_lines(step)


def _columns(step: Mapping[str, Any]) -> tuple[str, str, str, str]:
    return (
        f"+{span_text(max(0, step['at_ms']) * 1000)}",
        span_text(max(0, step["took_us"])),
        shortened(printable(step["node"]), NAME_CHARS_MAX),
        shortened(printable(step["step"]), NAME_CHARS_MAX),
    )


def _end(step: Mapping[str, Any]) -> str:
    code = step.get("code")
    return step["outcome"] if code is None else f"{step['outcome']} {code}"


def _marks(step: Mapping[str, Any]) -> str:
    marks = [f"try {step['attempt']}"] if step["attempt"] > 1 else []
    marks += ["journalled"] if step["is_journalled"] else []
    marks += ["replayed"] if step["is_replayed"] else []
    return f"  ({', '.join(marks)})" if marks else ""


def _value_lines(step: Mapping[str, Any]) -> Iterator[Text]:
    for name, label in (("input", "in "), ("output", "out")):
        value = step.get(name)
        if value is not None:
            shown = printable(json.dumps(value, ensure_ascii=False))
            yield Text(f"      {label}  {shortened(shown, VALUE_CHARS_MAX)}", style="dim")

"""Conversions between values and text, and `range`. Refuses malformed text (arithmetic, parse)."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Any, Final

from grammar.budget import Budget
from grammar.errors import EvaluationError
from grammar.runtime.faults import arithmetic, mismatch, too_deep
from grammar.runtime.registry import ANY, CHAR, FLOAT, INT, MAP, STRING, Entry
from grammar.runtime.sizes import sized, sized_text
from grammar.runtime.text import debug, display, float_text
from grammar.values import INT_MAX, INT_MIN, Char, Steps

_SHOWN_MAX: Final = 40
_RADIX: Final = range(2, 37)
_DIGITS_MAX: Final = 80
_FLOAT: Final = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_FLOAT_NAMES: Final = re.compile(r"[+-]?(?:inf|infinity|nan)", re.IGNORECASE)
_STEPS_MAX: Final = 1 << 62


def to_string(c: Budget, _d: int, x: Any) -> str:
    """`to_string(x) -> string`. As `print` shows it."""
    return display(c, x)


def to_debug(c: Budget, _d: int, x: Any) -> str:
    """`to_debug(x) -> string`. As `debug` shows it."""
    return debug(c, x)


def parse_int(_c: Budget, _d: int, s: str, radix: int = 10) -> int:
    """`parse_int(s[, radix]) -> int`. The number in a text. Raises arithmetic."""
    text = s.strip()
    if radix not in _RADIX:
        raise arithmetic(f"Invalid radix: '{radix}'")
    digits = text[1:] if text[:1] in ("+", "-") else text
    shown = text[:_SHOWN_MAX]
    if not digits:
        raise arithmetic(
            f"Error parsing integer number '{shown}': cannot parse integer from empty string"
        )
    if not (digits.isascii() and digits.isalnum()):
        raise arithmetic(f"Error parsing integer number '{shown}': invalid digit found in string")
    digits = digits.lstrip("0") or "0"
    if len(digits) > _DIGITS_MAX:
        raise arithmetic(f"Error parsing integer number '{shown}': number too large")
    try:
        value = int(digits, radix)
    except ValueError:
        raise arithmetic(
            f"Error parsing integer number '{shown}': invalid digit found in string"
        ) from None
    value = -value if text[0] == "-" else value
    if not INT_MIN <= value <= INT_MAX:
        raise arithmetic(f"Error parsing integer number '{shown}': number too large")
    return value


def parse_float(_c: Budget, _d: int, s: str) -> float:
    """`parse_float(s) -> float`. The number in a text; blanks are trimmed. Raises arithmetic."""
    text = s.strip()
    if _FLOAT.fullmatch(text) or _FLOAT_NAMES.fullmatch(text):
        return float(text)
    raise arithmetic(
        f"Error parsing floating-point number '{text[:_SHOWN_MAX]}': invalid float literal"
    )


def char_code(_c: Budget, _d: int, x: str) -> int:
    """`to_int(char) -> int`. The code point."""
    return ord(x)


def to_json(c: Budget, _d: int, m: Any) -> str:
    """`to_json(map) -> string`. JSON text. Keys in their order; a char stands in single quotes."""
    pieces: list[str] = []
    _write_json(c, m, pieces, c.limits.data_depth)
    return sized_text(c, "".join(pieces))


def _write_json(c: Budget, value: Any, pieces: list[str], depth: int) -> None:
    if depth <= 0:
        raise too_deep(c.limits.data_depth)
    if isinstance(value, dict):
        c.charge(1 + len(value))
        pieces.append("{")
        for at, key in enumerate(sorted(value)):
            pieces.append(("," if at else "") + json.dumps(key, ensure_ascii=False) + ":")
            _write_json(c, value[key], pieces, depth - 1)
        pieces.append("}")
    elif isinstance(value, list):
        c.charge(1 + len(value))
        pieces.append("[")
        for at, item in enumerate(value):
            pieces.append("," if at else "")
            _write_json(c, item, pieces, depth - 1)
        pieces.append("]")
    else:
        pieces.append(_json_scalar(c, value))


def _json_scalar(c: Budget, value: Any) -> str:
    if isinstance(value, Char):
        return f"'{value}'"
    if value is None:
        return "null"
    if isinstance(value, float):
        return float_text(value)
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    return debug(c, value)


def parse_json(c: Budget, _d: int, s: str) -> Any:
    """`parse_json(s) -> map`. Raises parse for no JSON, type_mismatch for no object."""
    c.charge(1 + len(s) // 8)
    if s.count("[") + s.count("{") > c.limits.data_depth and _depth(s) > c.limits.data_depth:
        raise too_deep(c.limits.data_depth)
    try:
        value = json.loads(s, parse_int=_json_int)
    except (ValueError, RecursionError) as fault:
        raise EvaluationError(f"Invalid JSON: {str(fault)[:_SHOWN_MAX]}", kind="parse") from None
    if not isinstance(value, dict):
        raise mismatch(value, "map")
    return sized(c, value)


def _json_int(text: str) -> int | float:
    if len(text) > _DIGITS_MAX:
        return float(text)
    value = int(text)
    return value if INT_MIN <= value <= INT_MAX else float(text)


def _depth(text: str) -> int:
    depth = deepest = 0
    for item in text:
        if item in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif item in "]}":
            depth -= 1
    return deepest


def int_range(_c: Budget, _d: int, first: int, last: int, step: int = 1) -> Steps:
    """`range(a, b[, step])`. For `for`: a up to b, without b. Raises arithmetic for a step of 0."""
    if step == 0:
        raise arithmetic("Step value cannot be zero")
    return Steps(range(first, last, step))


def float_range(_c: Budget, _d: int, first: float, last: float, step: float) -> Steps:
    """`range(a, b, step)`. The same of floats. Raises arithmetic for a step of 0."""
    if step == 0 or math.isnan(step):
        raise arithmetic("Step value cannot be zero")
    return Steps(_FloatSteps(first, last, step))


class _FloatSteps:
    """Floats from a start by a step; can be walked more than once."""

    def __init__(self, first: float, last: float, step: float) -> None:
        self._first, self._last, self._step = first, last, step

    def __iter__(self) -> Iterator[float]:
        value, step = self._first, self._step
        while value < self._last if step > 0 else value > self._last:
            yield value
            value += step


ENTRIES: Final = (
    Entry("to_string", (ANY,), to_string), Entry("to_debug", (ANY,), to_debug),
    Entry("parse_int", (STRING,), parse_int), Entry("parse_int", (STRING, INT), parse_int),
    Entry("parse_float", (STRING,), parse_float), Entry("to_int", (CHAR,), char_code),
    Entry("to_json", (MAP,), to_json), Entry("parse_json", (STRING,), parse_json),
    Entry("range", (INT, INT), int_range), Entry("range", (INT, INT, INT), int_range),
    Entry("range", (FLOAT, FLOAT, FLOAT), float_range),
)  # fmt: skip

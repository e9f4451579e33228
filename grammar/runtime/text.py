"""Values as text. In: values. Out: what `print`, interpolation and `debug` show (LANGUAGE.md 3).

Refuses (BudgetExceededError): nesting and length past the limits.
"""

from __future__ import annotations

import math
from typing import Any, Final

from grammar.budget import Budget
from grammar.runtime.faults import too_deep
from grammar.runtime.sizes import sized_text
from grammar.values import Char, Function, HostMap, Range

_PLAIN_MAX: Final = 1e13
_PLAIN_MIN: Final = 1e-13
_ESCAPES: Final = {
    ord("\\"): "\\\\", ord('"'): '\\"', ord("\n"): "\\n", ord("\r"): "\\r", ord("\t"): "\\t",
    0: "\\0",
}  # fmt: skip


def display(c: Budget, value: Any) -> str:
    """Show a value as `print` does: unit is empty, strings are bare."""
    kind = type(value)
    if kind is str or kind is Char:
        return str(value)
    if kind is int:
        return str(value)
    if value is None:
        return ""
    return debug(c, value)


def debug(c: Budget, value: Any) -> str:
    """Show a value as `debug` does: strings are quoted, unit is `()`."""
    pieces: list[str] = []
    _write(c, value, pieces, c.limits.data_depth)
    return sized_text(c, "".join(pieces))


def _write(c: Budget, value: Any, pieces: list[str], depth: int) -> None:
    if isinstance(value, list):
        _open(c, value, depth)
        pieces.append("[")
        for at, item in enumerate(value):
            if at:
                pieces.append(", ")
            _write(c, item, pieces, depth - 1)
        pieces.append("]")
    elif isinstance(value, dict):
        _open(c, value, depth)
        pieces.append("#{")
        for at, key in enumerate(sorted(value)):
            pieces.append(f'{", " if at else ""}"{key.translate(_ESCAPES)}": ')
            _write(c, value[key], pieces, depth - 1)
        pieces.append("}")
    else:
        pieces.append(_scalar(value))


def _open(c: Budget, value: Any, depth: int) -> None:
    if depth <= 0:
        raise too_deep(c.limits.data_depth)
    c.charge(1 + len(value))


def _scalar(value: Any) -> str:
    if value is None:
        return "()"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return float_text(value)
    if isinstance(value, Char):
        return str(value)
    if isinstance(value, str):
        return f'"{value.translate(_ESCAPES)}"'
    return _special(value)


def _special(value: Any) -> str:
    if isinstance(value, Range):
        return f"{value.first}..{'=' if value.is_inclusive else ''}{value.last}"
    if isinstance(value, Function):
        return f"Fn({value.name})"
    if isinstance(value, HostMap):
        return "#{…}"
    return str(value)


def float_text(value: float) -> str:
    """Show a float: shortest digits that read back, never without a fraction or exponent."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    if value == 0:
        return "0.0"
    sign = "-" if value < 0 else ""
    digits, exponent = _shortest(abs(value))
    if not _PLAIN_MIN <= abs(value) <= _PLAIN_MAX:
        mantissa = digits[0] + (f".{digits[1:]}" if len(digits) > 1 else "")
        return f"{sign}{mantissa}e{exponent}"
    if exponent < 0:
        return f"{sign}0.{'0' * (-exponent - 1)}{digits}"
    whole = digits[: exponent + 1].ljust(exponent + 1, "0")
    return f"{sign}{whole}.{digits[exponent + 1 :] or '0'}"


def _shortest(value: float) -> tuple[str, int]:
    mantissa, _, exponent = f"{value!r}".partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = whole + fraction
    shift = int(exponent or "0") + len(whole) - 1
    stripped = digits.lstrip("0")
    shift -= len(digits) - len(stripped)
    return stripped.rstrip("0") or "0", shift

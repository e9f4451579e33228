"""Functions of numbers. Floats follow IEEE 754 and never fail; integers are checked.

Where plain Rhai takes only floats (`floor`, `sqrt`), so does this. Refuses wrong types
(function_not_found), integers beyond 64 bits (arithmetic).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

from grammar.budget import Budget
from grammar.runtime.access import PROPERTIES
from grammar.runtime.faults import arithmetic
from grammar.runtime.registry import FLOAT, INT, NUMBER, RANGE, Entry
from grammar.values import INT_MAX, INT_MIN, Range

_MASK: Final = (1 << 64) - 1


def absolute(_c: Budget, _d: int, x: Any) -> Any:
    """`abs(x)`. Without its sign. Raises arithmetic for the smallest integer."""
    if type(x) is int and not INT_MIN < x <= INT_MAX:
        raise arithmetic("Absolute value overflow")
    return abs(x)


def sign(_c: Budget, _d: int, x: Any) -> int:
    """`sign(x) -> int`. One of -1, 0 and 1. Raises arithmetic for NaN."""
    if x != x:  # noqa: PLR0124 - NaN
        raise arithmetic("Sign of NaN is undefined")
    return int(x > 0) - int(x < 0)


def minimum(_c: Budget, _d: int, a: Any, b: Any) -> Any:
    """`min(a, b)`. The smaller; of an integer and a float, as a float."""
    result = min(a, b)
    return result if type(a) is type(b) else float(result)


def maximum(_c: Budget, _d: int, a: Any, b: Any) -> Any:
    """`max(a, b)`. The larger; of an integer and a float, as a float."""
    result = max(a, b)
    return result if type(a) is type(b) else float(result)


def to_int(_c: Budget, _d: int, x: float) -> int:
    """`to_int(x) -> int`. Truncates; NaN gives 0. Raises arithmetic outside 64 bits."""
    if type(x) is int:
        return x
    if math.isnan(x):
        return 0
    if math.isinf(x) or not INT_MIN <= (whole := math.trunc(x)) <= INT_MAX:
        raise arithmetic(f"Integer overflow: to_int({x})")
    return whole


def to_float(_c: Budget, _d: int, x: Any) -> float:
    """`to_float(x) -> float`. The nearest float."""
    return float(x)


def to_hex(_c: Budget, _d: int, x: int) -> str:
    """`to_hex(x) -> string`. In base 16, as two's complement."""
    return f"{x & _MASK:x}"


def to_octal(_c: Budget, _d: int, x: int) -> str:
    """`to_octal(x) -> string`. In base 8, as two's complement."""
    return f"{x & _MASK:o}"


def to_binary(_c: Budget, _d: int, x: int) -> str:
    """`to_binary(x) -> string`. In base 2, as two's complement."""
    return f"{x & _MASK:b}"


def pi(_c: Budget, _d: int) -> float:
    """`PI() -> float`. The ratio of a circle to its diameter."""
    return math.pi


def euler(_c: Budget, _d: int) -> float:
    """`E() -> float`. The base of natural logarithms."""
    return math.e


def hypotenuse(_c: Budget, _d: int, a: float, b: float) -> float:
    """`hypot(a, b) -> float`. The square root of `a * a + b * b`."""
    return math.hypot(a, b)


def arc_tangent(_c: Budget, _d: int, y: float, x: float) -> float:
    """`atan(y, x) -> float`. The angle of the point (x, y), in radians."""
    return math.atan2(y, x)


def logarithm(_c: Budget, _d: int, x: float, base: Any = 10.0) -> float:
    """`log(x[, base]) -> float`. Base 10 without one; NaN where it is undefined."""
    top, bottom = _natural_log(x), _natural_log(float(base))
    return math.nan if bottom == 0 else top / bottom


def _natural_log(x: float) -> float:
    if x == 0:
        return -math.inf
    return math.nan if x < 0 else math.log(x)


def contains(_c: Budget, _d: int, span: Range, x: int) -> bool:
    """`contains(range, x) -> bool`. Whether x lies in it."""
    return x in span.numbers


_MEANINGS: Final = {
    "sqrt": "The square root", "exp": "The power of e", "ln": "The natural logarithm",
    "sin": "The sine of radians", "cos": "The cosine of radians", "tan": "The tangent of radians",
    "asin": "The arc sine, in radians", "acos": "The arc cosine, in radians",
    "atan": "The arc tangent, in radians", "sinh": "The hyperbolic sine",
    "cosh": "The hyperbolic cosine", "tanh": "The hyperbolic tangent",
    "asinh": "The inverse hyperbolic sine", "acosh": "The inverse hyperbolic cosine",
    "atanh": "The inverse hyperbolic tangent", "to_degrees": "Radians as degrees",
    "to_radians": "Degrees as radians", "is_zero": "Whether it is zero",
    "floor": "Rounded down", "ceiling": "Rounded up",
    "round": "Rounded to the nearest, halves away from zero", "int": "Without its fraction",
    "fraction": "Without its whole part", "is_nan": "Whether it is no number",
    "is_finite": "Whether it is finite", "is_infinite": "Whether it is infinite",
    "is_odd": "Whether it is odd", "is_even": "Whether it is even", "start": "Its first number",
    "end": "Its end", "is_empty": "Whether there is no number in it",
    "is_inclusive": "Whether it has its end", "is_exclusive": "Whether it lacks its end",
}  # fmt: skip


def _safe(name: str, function: Callable[[float], float]) -> Entry:
    def run(_c: Budget, _d: int, x: float) -> float:
        try:
            return function(x)
        except OverflowError:
            return -math.inf if name == "sinh" and x < 0 else math.inf
        except ValueError:
            return math.copysign(math.inf, x) if name == "atanh" and abs(x) == 1 else math.nan

    run.__doc__ = f"`{name}(x) -> float`. {_MEANINGS[name]}; NaN where it is undefined."
    return Entry(name, (FLOAT,), run)


def _property(name: str, types: Any, kind: type) -> Entry:
    getter = PROPERTIES[kind, name]

    def run(_c: Budget, _d: int, x: Any) -> Any:
        return getter(x)

    run.__doc__ = f"`{name}(x)`. {_MEANINGS[name]}; also the property `x.{name}`."
    return Entry(name, types, run)


ENTRIES: Final = (
    Entry("abs", (NUMBER,), absolute), Entry("sign", (NUMBER,), sign),
    Entry("min", (NUMBER, NUMBER), minimum), Entry("max", (NUMBER, NUMBER), maximum),
    Entry("to_int", (NUMBER,), to_int), Entry("to_float", (NUMBER,), to_float),
    Entry("to_hex", (INT,), to_hex), Entry("to_octal", (INT,), to_octal),
    Entry("to_binary", (INT,), to_binary), Entry("PI", (), pi), Entry("E", (), euler),
    Entry("hypot", (FLOAT, FLOAT), hypotenuse), Entry("atan", (FLOAT, FLOAT), arc_tangent),
    Entry("log", (FLOAT,), logarithm), Entry("log", (FLOAT, NUMBER), logarithm),
    Entry("contains", (RANGE, INT), contains),
    *(
        _safe(name, function)
        for name, function in (
            ("sqrt", math.sqrt), ("exp", math.exp), ("ln", _natural_log), ("sin", math.sin),
            ("cos", math.cos), ("tan", math.tan), ("asin", math.asin), ("acos", math.acos),
            ("atan", math.atan), ("sinh", math.sinh), ("cosh", math.cosh), ("tanh", math.tanh),
            ("asinh", math.asinh), ("acosh", math.acosh), ("atanh", math.atanh),
            ("to_degrees", math.degrees), ("to_radians", math.radians),
        )
    ),
    *(
        _property(name, (FLOAT,), float)
        for name in (
            "is_zero", "floor", "ceiling", "round", "int", "fraction", "is_nan", "is_finite",
            "is_infinite",
        )
    ),
    *(_property(name, (INT,), int) for name in ("is_zero", "is_odd", "is_even")),
    *(
        _property(name, (RANGE,), Range)
        for name in ("start", "end", "is_empty", "is_inclusive", "is_exclusive")
    ),
)  # fmt: skip

"""Equality and order. In: two values. Out: a bool (LANGUAGE.md section 2).

Refuses (function_not_found): pairs without an answer, such as two functions, or order of arrays.
"""

from __future__ import annotations

import math
import sys
from typing import Any, Final

from grammar.budget import Budget
from grammar.runtime.faults import no_function, too_deep
from grammar.values import Function, HostMap, Range, Steps

EPSILON: Final = sys.float_info.epsilon
"""Rhai takes floats for equal whose relative difference is at most this."""


def near(a: float, b: float) -> bool:
    """Tell whether two different floats count as equal."""
    if not (math.isfinite(a) and math.isfinite(b)):
        return False
    return abs(a - b) <= EPSILON * max(abs(a), abs(b))


def equal(c: Budget, a: Any, b: Any) -> bool:
    """`a == b`. Deep; numbers compare as numbers, other different types are unequal."""
    return _equal(c, a, b, c.limits.data_depth, "==")


def unequal(c: Budget, a: Any, b: Any) -> bool:
    """`a != b`."""
    return not _equal(c, a, b, c.limits.data_depth, "!=")


def _equal(c: Budget, a: Any, b: Any, depth: int, operator: str) -> bool:
    if isinstance(a, str):
        return isinstance(b, str) and a == b
    if a is None or b is None or isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, int | float):
        return _numbers(a, b)
    if isinstance(a, list) and isinstance(b, list):
        return _arrays(c, a, b, depth, operator)
    if isinstance(a, dict) and isinstance(b, dict):
        return _maps(c, a, b, depth, operator)
    return _others(a, b, operator)


def _numbers(a: Any, b: Any) -> bool:
    if not isinstance(b, int | float):
        return False
    if isinstance(a, int) and isinstance(b, int):
        return a == b
    try:
        x, y = float(a), float(b)
    except OverflowError:
        return False
    return x == y or near(x, y)


def _arrays(c: Budget, a: list[Any], b: list[Any], depth: int, operator: str) -> bool:
    if len(a) != len(b):
        return False
    if depth <= 0:
        raise too_deep(c.limits.data_depth)
    c.charge(1 + len(a))
    for x, y in zip(a, b, strict=True):  # noqa: SIM110 - a generator would double the frames
        if not _equal(c, x, y, depth - 1, operator):
            return False
    return True


def _maps(c: Budget, a: dict[str, Any], b: dict[str, Any], depth: int, operator: str) -> bool:
    if len(a) != len(b):
        return False
    if depth <= 0:
        raise too_deep(c.limits.data_depth)
    c.charge(1 + len(a))
    for key, value in a.items():
        if key not in b or not _equal(c, value, b[key], depth - 1, operator):
            return False
    return True


def _others(a: Any, b: Any, operator: str) -> bool:
    if isinstance(a, Range) and isinstance(b, Range):
        if a.is_inclusive != b.is_inclusive:
            raise no_function(operator, (a, b))
        return a == b
    if isinstance(a, Function | HostMap | Steps) and type(a) is type(b):
        raise no_function(operator, (a, b))
    return False


def _order(operator: str, a: Any, b: Any) -> int | None:
    """Compare: negative, zero, positive, or None when every comparison is false."""
    if isinstance(a, str) and isinstance(b, str):
        return (a > b) - (a < b)
    ka, kb = type(a), type(b)
    if ka in (int, float) and kb in (int, float):
        return _number_order(a, b)
    if ka is bool and kb is bool:
        return int(a) - int(b)
    if ka is kb and not isinstance(a, Range) and a is not None:
        raise no_function(operator, (a, b))
    if isinstance(a, Range) and isinstance(b, Range):
        raise no_function(operator, (a, b))
    return None


def _number_order(a: Any, b: Any) -> int | None:
    if type(a) is int and type(b) is int:
        return int(a > b) - int(a < b)
    try:
        x, y = float(a), float(b)
    except OverflowError:
        return int(a > b) - int(a < b)
    if math.isnan(x) or math.isnan(y):
        return None
    return 0 if near(x, y) else (x > y) - (x < y)


def less(a: Any, b: Any) -> bool:
    """`a < b`."""
    order = _order("<", a, b)
    return order is not None and order < 0


def less_equal(a: Any, b: Any) -> bool:
    """`a <= b`."""
    order = _order("<=", a, b)
    return order is not None and order <= 0


def greater(a: Any, b: Any) -> bool:
    """`a > b`."""
    order = _order(">", a, b)
    return order is not None and order > 0


def greater_equal(a: Any, b: Any) -> bool:
    """`a >= b`."""
    order = _order(">=", a, b)
    return order is not None and order >= 0

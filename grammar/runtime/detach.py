"""Results as plain data. In: a script's result. Out: JSON-like data that shares nothing.

Refuses: functions and ranges (not_serialisable), nesting and size past the limits.
"""

from __future__ import annotations

from typing import Any

from grammar.budget import Budget
from grammar.errors import ValueMismatchError
from grammar.runtime.faults import too_deep, type_name
from grammar.values import Char

_PLAIN = frozenset((type(None), bool, int, float, str))


def detach(c: Budget, value: Any) -> Any:
    """Copy a result; chars become strings, map keys come in their order."""
    if type(value) in _PLAIN:
        return value
    return _detach(c, value, c.limits.data_depth)


def _detach(c: Budget, value: Any, depth: int) -> Any:
    if isinstance(value, Char):
        return str(value)
    is_list = isinstance(value, list)
    if not is_list and not isinstance(value, dict):
        raise ValueMismatchError(
            f"A result cannot hold a value of type {type_name(value)}", kind="not_serialisable"
        )
    if depth <= 0:
        raise too_deep(c.limits.data_depth)
    c.charge(1 + len(value) // 4)
    below = depth - 1
    if is_list:
        return [item if type(item) in _PLAIN else _detach(c, item, below) for item in value]
    return {
        key: item if type(item) in _PLAIN else _detach(c, item, below)
        for key, item in value.items()
    }

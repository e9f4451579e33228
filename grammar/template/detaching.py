"""Copies values out of host data. In: a JSON value of the scope. Out: one that shares nothing.

Refuses (HelperFaultError) what is no JSON value, such as a host map, and nesting past the data
limit.
"""

from __future__ import annotations

from typing import Any

from grammar.budget import Budget
from grammar.template.formatting import HelperFaultError
from grammar.values import HostMap


def detach(value: Any, budget: Budget) -> Any:
    """Return a copy of arrays and maps, through all levels; other values are immutable."""
    return _copy(value, budget, budget.limits.data_depth)


def _copy(value: Any, budget: Budget, levels: int) -> Any:
    if value is None or isinstance(value, str | int | float):
        return value
    if not isinstance(value, dict | list | tuple):
        name = "A host map" if isinstance(value, HostMap) else type(value).__name__
        raise HelperFaultError(f"{name} is no value; name a key", kind="not_serialisable")
    if levels == 0:
        raise HelperFaultError("The value is nested too deeply", kind="limit_depth")
    budget.charge(1 + len(value) // 4)
    if isinstance(value, dict):
        return {key: _copy(item, budget, levels - 1) for key, item in value.items()}
    return [_copy(item, budget, levels - 1) for item in value]

"""Helpers that compare and combine. In: any values. Out: true or false, never an error.

Values of different types are unequal and in no order, except integers and floats; a boolean is
no number. Truth is that of `#if`. Refuses nothing; comparing text, arrays and maps is charged by
size.
"""

from __future__ import annotations

from typing import Any, Final

from grammar.budget import Budget
from grammar.template.reading import truthy

COMPARED_DEPTH_MAX: Final = 64


def eq(budget: Budget, left: Any, right: Any) -> bool:
    """`eq a b`: equal, deeply for arrays and maps; below 64 levels unequal."""
    return _equal(budget, left, right, 0)


def ne(budget: Budget, left: Any, right: Any) -> bool:
    """`ne a b`: not `eq a b`."""
    return not _equal(budget, left, right, 0)


def lt(budget: Budget, left: Any, right: Any) -> bool:
    """`lt a b`: a is less than b; both numbers, or both text (by code point)."""
    return _ordered(budget, left, right) and bool(left < right)


def lte(budget: Budget, left: Any, right: Any) -> bool:
    """`lte a b`: a is at most b; both numbers, or both text."""
    return _ordered(budget, left, right) and bool(left <= right)


def gt(budget: Budget, left: Any, right: Any) -> bool:
    """`gt a b`: a is greater than b; both numbers, or both text."""
    return _ordered(budget, left, right) and bool(left > right)


def gte(budget: Budget, left: Any, right: Any) -> bool:
    """`gte a b`: a is at least b; both numbers, or both text."""
    return _ordered(budget, left, right) and bool(left >= right)


def both(_budget: Budget, *values: Any) -> bool:
    """`and a b …`: all are true, in the sense of `#if`."""
    return all(truthy(value) for value in values)


def either(_budget: Budget, *values: Any) -> bool:
    """`or a b …`: one of them is true, in the sense of `#if`."""
    return any(truthy(value) for value in values)


def negated(_budget: Budget, value: Any) -> bool:
    """`not a`: a is false, in the sense of `#if`."""
    return not truthy(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _ordered(budget: Budget, left: Any, right: Any) -> bool:
    if isinstance(left, str):
        budget.charge(len(left) // 64)
        return isinstance(right, str)
    return _is_number(left) and _is_number(right)


def _equal(budget: Budget, left: Any, right: Any, depth: int) -> bool:
    if isinstance(left, dict) and isinstance(right, dict):
        budget.charge(1 + len(left))
        return (
            depth < COMPARED_DEPTH_MAX
            and left.keys() == right.keys()
            and all(_equal(budget, left[key], right[key], depth + 1) for key in left)
        )
    if isinstance(left, list | tuple) and isinstance(right, list | tuple):
        budget.charge(1 + len(left))
        return (
            depth < COMPARED_DEPTH_MAX
            and len(left) == len(right)
            and all(_equal(budget, a, b, depth + 1) for a, b in zip(left, right, strict=True))
        )
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, str):
        budget.charge(len(left) // 64)
        return bool(left == right)
    if _is_number(left) or left is None:
        return bool(left == right)
    return left is right

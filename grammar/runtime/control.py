"""Scope, loops, cases and errors of running code. In: values and errors. Out: the same.

Refuses: iterating what cannot be iterated, names the scope does not have, `this` without a value.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from grammar.budget import Budget
from grammar.errors import BudgetExceededError, EvaluationError, ValueMismatchError
from grammar.runtime.faults import (
    arithmetic,
    no_variable,
    thrown,
    too_many_calls,
    type_name,
    unbound_this,
)
from grammar.runtime.locate import frames_of
from grammar.runtime.sizes import copy_value, sized_text
from grammar.runtime.text import display
from grammar.values import Char, Range, Steps

MISSING: Final = object()
_CATCH_COST: Final = 20


class ExitRun(Exception):  # noqa: N818 - the end of a run, not a fault
    """`exit(value)`: ends the whole script; no `try` of a script sees it."""

    def __init__(self, value: Any) -> None:
        super().__init__("exit")
        self.value = value


CATCHABLE: Final = (EvaluationError, ArithmeticError, KeyError)
UNCATCHABLE: Final = BudgetExceededError


def iterate(value: Any) -> Iterable[Any]:
    """Give what a `for` loop walks. Raises for_not_iterable."""
    if isinstance(value, list):
        return value
    if type(value) is str:
        return map(Char, value)
    if isinstance(value, Range):
        return value.numbers
    if isinstance(value, Steps):
        values: Iterable[Any] = value.values
        return values
    raise ValueMismatchError(
        f"For loop expects an iterable value, not {type_name(value)}", kind="for_not_iterable",
        hint="a map has `keys()` and `values()`" if isinstance(value, dict) else None,
    )  # fmt: skip


def iterate_copy(value: Any) -> Iterable[Any]:
    """Give a snapshot of what a `for` loop walks, because its body may change it."""
    return value.copy() if isinstance(value, list) else iterate(value)


def host_copy(c: Budget, scope: Mapping[str, Any], name: str) -> Any:
    """Copy a name of the scope that the script is going to change; MISSING if there is none."""
    try:
        return copy_value(c, scope[name])
    except KeyError:
        return MISSING


def present(value: Any, name: str) -> Any:
    """Give back a value of the scope. Raises variable_not_found."""
    if value is MISSING:
        raise no_variable(name)
    return value


def is_in_scope(scope: Mapping[str, Any], name: str) -> bool:
    """Tell whether the scope supplies a name."""
    try:
        scope[name]
    except KeyError:
        return False
    return True


def this_value(cell: list[Any] | None) -> Any:
    """Read `this`. Raises unbound_this."""
    if cell is None:
        raise unbound_this()
    return cell[0]


def this_cell(cell: list[Any] | None) -> list[Any]:
    """Give the place of `this`. Raises unbound_this."""
    if cell is None:
        raise unbound_this()
    return cell


def join(c: Budget, parts: tuple[str, ...]) -> str:
    """Join the parts of an interpolated text."""
    return sized_text(c, "".join(parts))


def arm_of(table: Mapping[Any, int], value: Any, default: int) -> int:
    """Find the arm of a switch over plain literals; a case matches its own type only."""
    kind = type(value)
    if kind is int or kind is str or kind is bool:
        return table.get((kind, value), default)
    return default


def case_fits(value: Any, case: Any) -> bool:
    """Tell whether a value matches a case: type-strict, but a range also takes a float inside."""
    if isinstance(case, Range):
        if type(value) is int or type(value) is float:
            inside = case.first <= value < case.last
            return inside or (case.is_inclusive and bool(value == case.last))
        return bool(value == case)
    if isinstance(case, list):
        return (
            isinstance(value, list)
            and len(value) == len(case)
            and all(case_fits(x, y) for x, y in zip(value, case, strict=True))
        )
    if isinstance(case, dict):
        return (
            isinstance(value, dict)
            and value.keys() == case.keys()
            and all(case_fits(value[key], item) for key, item in case.items())
        )
    return type(value) is type(case) and bool(value == case)


def throw(c: Budget, value: Any) -> EvaluationError:
    """Build the error that `throw` raises."""
    return thrown(value, display(c, value))


def settle_error(error: Exception) -> EvaluationError | None:
    """Turn what running code may raise into a script's error; None: it is the host's own."""
    if isinstance(error, EvaluationError):
        return error
    if isinstance(error, ArithmeticError):
        return arithmetic("A number is too large")
    if isinstance(error, RecursionError):
        return too_many_calls(0)
    if isinstance(error, KeyError) and error.args:
        frames = frames_of(error)
        if frames and error.args[0] in frames[-1].unit.names:
            return no_variable(str(error.args[0]))
    return None


def caught(c: Budget, error: Exception, unit: Any) -> EvaluationError:
    """Take an error into a `catch`. Raises it again when it is the host's own."""
    settled = settle_error(error)
    if settled is None:
        raise error
    c.charge(_CATCH_COST)
    frames = frames_of(error)
    if frames and settled.span is None:
        settled.locate(frames[-1].span, frames[-1].unit.source)
    settled.functions = tuple(
        frame.function for frame in reversed(frames[1:]) if frame.function is not None
    )
    settled.called_at = frames[0].span if frames else None
    del unit
    return settled


_RHAI_KINDS: Final = {
    "variable_not_found": "ErrorVariableNotFound", "function_not_found": "ErrorFunctionNotFound",
    "type_mismatch": "ErrorMismatchDataType", "dot_expr": "ErrorDotExpr",
    "indexing_type": "ErrorIndexingType", "index_not_found": "ErrorIndexNotFound",
    "array_bounds": "ErrorArrayBounds", "string_bounds": "ErrorStringBounds",
    "arithmetic": "ErrorArithmetic", "for_not_iterable": "ErrorFor",
    "assign_to_constant": "ErrorAssignmentToConstant",
    "mutate_constant": "ErrorNonPureMethodCallOnConstant", "unbound_this": "ErrorUnboundThis",
}  # fmt: skip
_NO_PLACE: Final = frozenset(("arithmetic",))


def error_value(c: Budget, error: EvaluationError, unit: Any) -> Any:
    """Give the value a `catch (e)` binds (LANGUAGE.md section 5)."""
    del c, unit
    if error.kind == "thrown":
        return error.thrown_value
    place = error.span
    if error.functions:
        tails = (f"\nin call to function '{name}'" if name else "\nin closure call"
                 for name in error.functions)  # fmt: skip
        entry: dict[str, Any] = {
            "error": "ErrorInFunctionCall", "function": error.functions[-1], "source": "",
            "message": error.message + "".join(tails),
        }  # fmt: skip
        place = error.called_at
        if place is not None:
            entry |= {"line": place.line, "position": place.column}
        return entry
    entry = {"error": _RHAI_KINDS.get(error.kind, error.kind), "message": error.message}
    entry |= dict(error.details)
    if place is not None and error.kind not in _NO_PLACE:
        entry |= {"line": place.line, "position": place.column}
    return entry

"""The errors that running code raises. In: what was asked of which values. Out: errors.

One constructor for each kind, so that the words are the same wherever it happens. Refuses nothing.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any, Final

from grammar.errors import BudgetExceededError, EvaluationError, ValueMismatchError
from grammar.values import Char, Function, HostMap, Range, Steps

_SUGGESTIONS: Final = 1
_PUT: Final = "unknown function `{name}`: put `fn {name}` into scripts/"
_NAMES: Final[dict[type, str]] = {
    type(None): "()", bool: "bool", int: "i64", float: "f64", str: "string", Char: "char",
    list: "array", dict: "map", Function: "Fn", Steps: "iterator",
}  # fmt: skip
_SIGNATURE_STRING: Final = "&str | ImmutableString | String"


def type_name(value: Any) -> str:
    """Name a value's type as `type_of` does."""
    name = _NAMES.get(type(value))
    if name is not None:
        return name
    if isinstance(value, Range):
        return "range=" if value.is_inclusive else "range"
    return "map" if isinstance(value, HostMap | dict) else "unknown"


def signature(name: str, arguments: Iterable[Any]) -> str:
    """Write a call with the types of its arguments: `+ (i64, bool)`."""
    types = (type_name(value) for value in arguments)
    shown = ", ".join(_SIGNATURE_STRING if item == "string" else item for item in types)
    return f"{name} ({shown})"


def no_function(name: str, arguments: Iterable[Any], known: Iterable[str] = ()) -> EvaluationError:
    """Build function_not_found, which `add_hint` completes."""
    shown = signature(name, arguments)
    error = ValueMismatchError(
        f"Function not found: {shown}", kind="function_not_found", details={"function": shown}
    )
    error.candidates = (name, known)
    return error


def no_variable(name: str, known: Iterable[str] = ()) -> EvaluationError:
    """Build variable_not_found, which `add_hint` completes."""
    error = EvaluationError(
        f"Variable not found: {name}", kind="variable_not_found", details={"variable": name}
    )
    error.candidates = (name, known)
    return error


def add_hint(error: EvaluationError, known: Iterable[str] = ()) -> None:
    """Name the closest known name, once an error leaves the script: the search is slow."""
    if error.candidates is None or error.hint is not None:
        return
    name, names = error.candidates
    pool = {str(item) for item in (*names, *known)} - {name}
    error.candidates = None
    if name in names:
        return
    close = difflib.get_close_matches(name, sorted(pool), n=_SUGGESTIONS)
    hints = [f"did you mean `{item}`?" for item in close]
    if error.kind == "function_not_found" and name.isidentifier():
        hints.append(f"or put `fn {name}` into scripts/" if hints else _PUT.format(name=name))
    error.hint = " ".join(hints) or None


def mismatch(actual: Any, expected: str) -> EvaluationError:
    """Build type_mismatch."""
    name = type_name(actual)
    return ValueMismatchError(
        f"Data type incorrect: {name} (expecting {expected})", kind="type_mismatch",
        details={"requested": expected, "actual": name},
    )  # fmt: skip


def no_property(value: Any, name: str, *, is_write: bool = False) -> EvaluationError:
    """Build dot_expr."""
    owner = type_name(value)
    text = (
        f"No writable property '{name}' - a setter is not registered for type '{owner}'"
        if is_write
        else f"Unknown property '{name}' - a getter is not registered for type '{owner}'"
    )
    return ValueMismatchError(text, kind="dot_expr", details={"property": name})


def no_index(value: Any, index: Any) -> EvaluationError:
    """Build indexing_type."""
    return ValueMismatchError(
        f"Indexer unavailable: {type_name(value)} [{type_name(index)}]", kind="indexing_type"
    )


def out_of_bounds(kind: str, index: int, length: int) -> EvaluationError:
    """Build array_bounds or string_bounds."""
    what, unit = ("array", "element") if kind == "array_bounds" else ("string", "character")
    count = f"{length} {unit}{'' if length == 1 else 's'}" if length else f"no {unit}s"
    lead = "only " if length else ""
    return EvaluationError(
        f"{what.capitalize()} index {index} out of bounds: {lead}{count} in {what}",
        kind=kind, details={"index": index, "length": length},
    )  # fmt: skip


def arithmetic(message: str) -> EvaluationError:
    """Build arithmetic."""
    return EvaluationError(message, kind="arithmetic")


def thrown(value: Any, text: str) -> EvaluationError:
    """Build what `throw` raises."""
    error = EvaluationError(f"Runtime error: {text}" if text else "Runtime error", kind="thrown")
    error.thrown_value = value
    return error


def constant_changed(name: str) -> EvaluationError:
    """Build assign_to_constant."""
    return EvaluationError(f"Cannot modify constant {name}", kind="assign_to_constant")


def constant_mutated(method: str) -> EvaluationError:
    """Build mutate_constant."""
    return EvaluationError(
        f"Non-pure method '{method}' cannot be called on constant", kind="mutate_constant"
    )


def unbound_this() -> EvaluationError:
    """Build unbound_this."""
    return EvaluationError("'this' not bound", kind="unbound_this")


def too_large(what: str, cap: int) -> BudgetExceededError:
    """Build limit_data_size."""
    return BudgetExceededError(
        f"Size of {what} too large: the limit is {cap}", kind="limit_data_size"
    )


def too_deep(cap: int) -> BudgetExceededError:
    """Build limit_depth."""
    return BudgetExceededError(
        f"Arrays and maps nest too deeply: the limit is {cap}", kind="limit_depth"
    )


def too_many_calls(cap: int) -> BudgetExceededError:
    """Build limit_call_levels."""
    return BudgetExceededError(
        f"Stack overflow: the limit is {cap} calls", kind="limit_call_levels"
    )

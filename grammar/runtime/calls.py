"""Calls that are resolved while running. In: a name or function value, and arguments. Out: values.

The order is that of LANGUAGE.md section 6: a map's own function, then script functions, then the
library. A cell is a list of one: the place a receiver lives in, so that a call can replace it.
Refuses: unknown functions, calls beyond the level limit, changes of constants.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from grammar.budget import Budget
from grammar.runtime.access import passes_host, store_path, walk
from grammar.runtime.control import ExitRun
from grammar.runtime.faults import (
    constant_mutated,
    mismatch,
    no_function,
    no_variable,
    too_many_calls,
    type_name,
)
from grammar.runtime.sizes import copy_value, grow
from grammar.runtime.text import debug, display
from grammar.runtime.unit import RuntimeUnit
from grammar.values import Function

Arguments = tuple[Any, ...]
_CALL_COST: Final = 2


def enter(c: Budget, d: int) -> int:
    """Go one call level down: check the levels that are left below. Raises limit_call_levels."""
    if d < 0:
        raise too_many_calls(c.limits.call_levels)
    return d


def call_function(
    c: Budget, d: int, function: Function, arguments: Arguments, this: list[Any] | None = None
) -> Any:
    """Call a function value; `this` is a cell or None."""
    given = (*function.curried, *arguments)
    code = function.variants.get(len(given))
    if code is None:
        raise no_function("" if function.is_closure else function.name, given)
    return code(c, enter(c, d - 1), this, *function.bound, *given)


def arity_of(function: Function) -> frozenset[int]:
    """Give the counts of further arguments a function takes."""
    used = len(function.curried)
    return frozenset(count - used for count in function.variants)


def call_named(c: Budget, d: int, u: RuntimeUnit, name: str, arguments: Arguments) -> Any:
    """Call `name(…)`."""
    code = u.functions.get((name, len(arguments)))
    if code is not None:
        return code(c, enter(c, d - 1), None, *arguments)
    special = _SPECIAL.get(name)
    if special is not None:
        return special(c, d, u, arguments)
    c.left -= _CALL_COST
    entry = u.library.find(name, arguments)
    result = entry.function(c, d, *arguments)
    return result[1] if entry.replaces else result


def function_cell(
    c: Budget, d: int, u: RuntimeUnit, cell: list[Any], name: str, arguments: Arguments
) -> Any:
    """Call a library function that may change the value in a cell."""
    c.left -= _CALL_COST
    value = cell[0]
    entry = u.library.find(name, (value, *arguments))
    if entry.replaces:
        cell[0], result = entry.function(c, d, value, *arguments)
        return result
    if entry.changes:
        arguments = tuple(copy_value(c, item) for item in arguments)
        result = entry.function(c, d, value, *arguments)
        for item in arguments:
            grow(c, value, item)
        return result
    return entry.function(c, d, value, *arguments)


def method(c: Budget, d: int, u: RuntimeUnit, value: Any, name: str, arguments: Arguments) -> Any:
    """Call `value.name(…)` on a value that has no place of its own."""
    return method_cell(c, d, u, [value], name, arguments)


def method_cell(
    c: Budget, d: int, u: RuntimeUnit, cell: list[Any], name: str, arguments: Arguments
) -> Any:
    """Call `receiver.name(…)`, the receiver being the value in a cell."""
    value = cell[0]
    if isinstance(value, dict):
        held = value.get(name)
        if isinstance(held, Function):
            return call_function(c, d, held, arguments, cell)
    code = u.functions.get((name, len(arguments)))
    if code is not None:
        return code(c, enter(c, d - 1), cell, *arguments)
    if name in _METHODS:
        return _METHODS[name](c, d, u, cell, arguments)
    if name in _SPECIAL:
        return _SPECIAL[name](c, d, u, (value, *arguments))
    return function_cell(c, d, u, cell, name, arguments)


_CELL_CALLS: Final = {"method_cell": method_cell, "function_cell": function_cell}


def change_path(
    c: Budget, d: int, u: RuntimeUnit, path: tuple[str, list[Any], str, Arguments], name: str,
    arguments: Arguments,
) -> Any:  # fmt: skip
    """Call a method on the value at the end of a chain, and store it back if it was replaced."""
    function, cell, kinds, keys = path
    holders = walk(cell, (kinds, keys))
    end = [holders[-1]]
    result = _CELL_CALLS[function](c, d, u, end, name, arguments)
    if end[0] is not holders[-1] or passes_host(holders[:-1]):
        store_path(c, cell, (kinds, keys), holders[:-1], end[0])
    return result


def constant_method(
    c: Budget, d: int, u: RuntimeUnit, value: Any, name: str, arguments: Arguments
) -> Any:
    """Call a method on a constant. Raises mutate_constant when it would change it."""
    if name in u.library.mutators and (name, len(arguments)) not in u.functions:
        entry = u.library.find(name, (value, *arguments))
        if entry.changes:
            raise constant_mutated(name)
    return method(c, d, u, value, name, arguments)


def function_value(u: RuntimeUnit, name: str) -> Function:
    """Give the function a bare name stands for. Raises variable_not_found."""
    variants = u.variants(name)
    if not variants:
        raise no_variable(name, u.names)
    return Function(name, variants)


def _named(c: Budget, d: int, u: RuntimeUnit, name: str) -> Function:  # noqa: ARG001
    """Make `Fn("name")`: script functions, and the library's under every count."""
    variants: dict[int, Callable[..., Any]] = {}
    for entry in u.library.entries:
        if entry.name == name:
            variants[len(entry.parameters)] = _library_call(u, name)
    variants.update(u.variants(name))
    return Function(name, variants)


def _library_call(u: RuntimeUnit, name: str) -> Callable[..., Any]:
    def run(c: Budget, d: int, _this: Any, *arguments: Any) -> Any:
        return call_named(c, d, u, name, arguments)

    return run


def _call_method(c: Budget, d: int, _u: RuntimeUnit, cell: list[Any], arguments: Arguments) -> Any:
    value = cell[0]
    if isinstance(value, Function):
        return call_function(c, d, value, arguments)
    if not arguments:
        raise no_function("call", (value,))
    function = arguments[0]
    if not isinstance(function, Function):
        raise mismatch(function, "Fn")
    return call_function(c, d, function, arguments[1:], cell)


def _curry_method(
    _c: Budget, _d: int, _u: RuntimeUnit, cell: list[Any], arguments: Arguments
) -> Any:
    value = cell[0]
    if not isinstance(value, Function):
        raise mismatch(value, "Fn")
    return Function(
        value.name, value.variants, value.bound, (*value.curried, *arguments), value.is_closure
    )


_METHODS: Final = {"call": _call_method, "curry": _curry_method}


def _one(name: str, arguments: Arguments) -> Any:
    if len(arguments) != 1:
        raise no_function(name, arguments)
    return arguments[0]


def _print(c: Budget, _d: int, _u: RuntimeUnit, arguments: Arguments) -> None:
    c.emit(display(c, _one("print", arguments)) if arguments else "")


def _debug(c: Budget, _d: int, _u: RuntimeUnit, arguments: Arguments) -> None:
    c.emit(debug(c, _one("debug", arguments)) if arguments else "", "debug")


def _type_of(_c: Budget, _d: int, _u: RuntimeUnit, arguments: Arguments) -> str:
    value = _one("type_of", arguments)
    return type_name(value)


def _call(c: Budget, d: int, u: RuntimeUnit, arguments: Arguments) -> Any:
    if not arguments:
        raise no_function("call", arguments)
    return _call_method(c, d, u, [arguments[0]], arguments[1:])


def _curry(c: Budget, d: int, u: RuntimeUnit, arguments: Arguments) -> Any:
    if not arguments:
        raise no_function("curry", arguments)
    return _curry_method(c, d, u, [arguments[0]], arguments[1:])


def _fn(c: Budget, d: int, u: RuntimeUnit, arguments: Arguments) -> Any:
    name = _one("Fn", arguments)
    if type(name) is not str:
        raise no_function("Fn", arguments)
    return _named(c, d, u, name)


def _exit(_c: Budget, _d: int, _u: RuntimeUnit, arguments: Arguments) -> Any:
    if len(arguments) > 1:
        raise no_function("exit", arguments)
    raise ExitRun(arguments[0] if arguments else None)


def _is_def_fn(_c: Budget, _d: int, u: RuntimeUnit, arguments: Arguments) -> bool:
    match arguments:
        case (str() as name, int() as count):
            return (name, count) in u.functions
    raise no_function("is_def_fn", arguments)


def _is_def_var(_c: Budget, _d: int, u: RuntimeUnit, arguments: Arguments) -> bool:
    name = _one("is_def_var", arguments)
    return name in u.names


_SPECIAL: Final = {
    "print": _print, "debug": _debug, "type_of": _type_of, "call": _call, "curry": _curry,
    "Fn": _fn, "exit": _exit, "is_def_fn": _is_def_fn, "is_def_var": _is_def_var,
}  # fmt: skip


def pick_arguments(function: Function, item: Any, index: int) -> tuple[Arguments, list[Any] | None]:
    """Choose what a callback gets (LANGUAGE.md section 9): item, item and index, or `this`."""
    takes = arity_of(function)
    if 1 in takes:
        return (item,), None
    if 2 in takes:  # noqa: PLR2004 - item and index
        return (item, index), None
    return (), [item]

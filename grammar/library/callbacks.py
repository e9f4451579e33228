"""Functions of arrays that call a function of the script for each element.

Each call is charged and counts as a call level. What a callback gets: LANGUAGE.md section 9.
Refuses wrong types (function_not_found); errors of the callback pass through, except in sorting.
"""

from __future__ import annotations

from functools import cmp_to_key
from typing import Any, Final

from grammar.budget import Budget
from grammar.errors import BudgetExceededError, EvaluationError
from grammar.library import arrays
from grammar.library.positions import clamp
from grammar.runtime.calls import arity_of, call_function, pick_arguments
from grammar.runtime.registry import ANY, ARRAY, FUNCTION, INT, Entry
from grammar.runtime.sizes import copy_value, sized
from grammar.values import Function

Array = list[Any]
_TURN: Final = 3
_PAIR: Final = 2
_WITH_INDEX: Final = 3


def _ask(c: Budget, d: int, f: Function, item: Any, index: int) -> Any:
    c.charge(_TURN)
    arguments, this = pick_arguments(f, item, index)
    return call_function(c, d, f, arguments, this)


def map_items(c: Budget, d: int, a: Array, f: Function) -> Array:
    """`map(a, f) -> array`. What f gives for each item. Raises limit_data_size."""
    return sized(c, [_ask(c, d, f, item, at) for at, item in enumerate(list(a))])  # type: ignore[no-any-return]


def filter_items(c: Budget, d: int, a: Array, f: Function) -> Array:
    """`filter(a, f) -> array`. The items for which f gives true, and only true."""
    return [item for at, item in enumerate(list(a)) if _ask(c, d, f, item, at) is True]


def for_each(c: Budget, d: int, a: Array, f: Function) -> None:
    """`for_each(a, f)`. The item is `this`, changeable in place; one parameter gets the index."""
    takes = arity_of(f)
    for at in range(len(a)):
        c.charge(_TURN)
        if at >= len(a):
            return
        cell = [a[at]]
        call_function(c, d, f, (at,) if 1 in takes else (), cell)
        if at < len(a) and cell[0] is not a[at]:
            a[at] = copy_value(c, cell[0])


def reduce(c: Budget, d: int, a: Array, f: Function, start: Any = None) -> Any:
    """`reduce(a, f[, init])`. The last f(result, item[, index]); without init the first is unit."""
    return _reduce(c, d, list(enumerate(a)), (f, start))


def reduce_rev(c: Budget, d: int, a: Array, f: Function, start: Any = None) -> Any:
    """`reduce_rev(a, f[, init])`. As `reduce`, from the last item to the first."""
    return _reduce(c, d, list(enumerate(a))[::-1], (f, start))


def _reduce(c: Budget, d: int, items: list[tuple[int, Any]], what: tuple[Function, Any]) -> Any:
    f, result = what
    takes = arity_of(f)
    for at, item in items:
        c.charge(_TURN)
        if _PAIR in takes or _WITH_INDEX not in takes:
            result = call_function(c, d, f, (result, item))
        else:
            result = call_function(c, d, f, (result, item, at))
    return result


def some(c: Budget, d: int, a: Array, f: Function) -> bool:
    """`some(a, f) -> bool`. Whether f gives true for an item."""
    return any(_ask(c, d, f, item, at) is True for at, item in enumerate(list(a)))


def all_items(c: Budget, d: int, a: Array, f: Function) -> bool:
    """`all(a, f) -> bool`. Whether f gives true for every item."""
    return all(_ask(c, d, f, item, at) is True for at, item in enumerate(list(a)))


def find(c: Budget, d: int, a: Array, f: Function, start: int = 0) -> Any:
    """`find(a, f[, start])`. The first item for which f gives true, or unit."""
    at = find_index(c, d, a, f, start)
    return a[at] if 0 <= at < len(a) else None


def find_index(c: Budget, d: int, a: Array, f: Function, start: int = 0) -> int:
    """`index_of(a, f[, start]) -> int`. The position of that item, or -1."""
    for at in range(clamp(start, len(a)), len(a)):
        if at < len(a) and _ask(c, d, f, a[at], at) is True:
            return at
    return -1


def find_map(c: Budget, d: int, a: Array, f: Function, start: int = 0) -> Any:
    """`find_map(a, f[, start])`. The first result that is not unit, or unit."""
    for at in range(clamp(start, len(a)), len(a)):
        if at < len(a):
            result = _ask(c, d, f, a[at], at)
            if result is not None:
                return result
    return None


def index_of(c: Budget, d: int, a: Array, what: Any, start: int = 0) -> int:
    """`index_of(a, v | f[, start]) -> int`. The first equal, or for which f gives true; or -1."""
    if isinstance(what, Function):
        return find_index(c, d, a, what, start)
    return arrays.index_of(c, d, a, what, start)


def drain(c: Budget, d: int, a: Array, f: Function) -> Array:
    """`drain(a, f) -> array`. Removes and gives the items for which f gives true."""
    taken, left = _partition(c, d, a, f)
    a[:] = left
    return taken


def retain(c: Budget, d: int, a: Array, f: Function) -> Array:
    """`retain(a, f) -> array`. Keeps the items for which f gives true, gives the rest."""
    kept, rest = _partition(c, d, a, f)
    a[:] = kept
    return rest


def _partition(c: Budget, d: int, a: Array, f: Function) -> tuple[Array, Array]:
    yes: Array = []
    no: Array = []
    for at, item in enumerate(list(a)):
        (yes if _ask(c, d, f, item, at) is True else no).append(item)
    return yes, no


def dedup_by(c: Budget, d: int, a: Array, f: Function) -> None:
    """`dedup(a, f)`. Removes neighbours for which f(a, b) gives true."""
    kept: Array = []
    for item in list(a):
        c.charge(_TURN)
        if not kept or call_function(c, d, f, (item, kept[-1])) is not True:
            kept.append(item)
    a[:] = kept


def zip_items(c: Budget, d: int, a: Array, b: Array, f: Function) -> Array:
    """`zip(a, b, f) -> array`. What f(x, y) gives for each pair, as long as the shorter."""
    result = []
    for x, y in zip(list(a), list(b), strict=False):
        c.charge(_TURN)
        result.append(call_function(c, d, f, (x, y)))
    return sized(c, result)  # type: ignore[no-any-return]


def order_by(c: Budget, d: int, a: Array, f: Function) -> Array:
    """`order(a, f) -> array`. A sorted copy; f(x, y) gives true or less than 0: x first."""

    def compare(x: Any, y: Any) -> int:
        c.charge(_TURN)
        try:
            answer = call_function(c, d, f, (x, y))
        except BudgetExceededError:
            raise
        except EvaluationError:
            answer = None
        if type(answer) is int:
            return answer
        if type(answer) is bool:
            return -1 if answer else 1
        return 0

    return sorted(a, key=cmp_to_key(compare))


def sort_by(c: Budget, d: int, a: Array, f: Function) -> None:
    """`sort(a, f)`. Sorts a; otherwise as `order`."""
    a[:] = order_by(c, d, a, f)


def _change(name: str, parameters: tuple[Any, ...], function: Any) -> Entry:
    return Entry(name, parameters, function, changes=True)


ENTRIES: Final = (
    Entry("map", (ARRAY, FUNCTION), map_items), Entry("filter", (ARRAY, FUNCTION), filter_items),
    _change("for_each", (ARRAY, FUNCTION), for_each), Entry("reduce", (ARRAY, FUNCTION), reduce),
    Entry("reduce", (ARRAY, FUNCTION, ANY), reduce),
    Entry("reduce_rev", (ARRAY, FUNCTION), reduce_rev),
    Entry("reduce_rev", (ARRAY, FUNCTION, ANY), reduce_rev), Entry("some", (ARRAY, FUNCTION), some),
    Entry("all", (ARRAY, FUNCTION), all_items), Entry("find", (ARRAY, FUNCTION), find),
    Entry("find", (ARRAY, FUNCTION, INT), find), Entry("find_map", (ARRAY, FUNCTION), find_map),
    Entry("find_map", (ARRAY, FUNCTION, INT), find_map), Entry("index_of", (ARRAY, ANY), index_of),
    Entry("index_of", (ARRAY, ANY, INT), index_of), _change("drain", (ARRAY, FUNCTION), drain),
    _change("retain", (ARRAY, FUNCTION), retain), _change("dedup", (ARRAY, FUNCTION), dedup_by),
    Entry("zip", (ARRAY, ARRAY, FUNCTION), zip_items), _change("sort", (ARRAY, FUNCTION), sort_by),
    _change("sort_by", (ARRAY, FUNCTION), sort_by), Entry("order", (ARRAY, FUNCTION), order_by),
    Entry("order_by", (ARRAY, FUNCTION), order_by),
)  # fmt: skip

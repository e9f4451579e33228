"""Reading and writing parts of values. In: values, keys, values to store. Out: values.

LANGUAGE.md section 8. Refuses: properties and indexes a type does not have, positions outside,
keys of the wrong type.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

from grammar.budget import Budget
from grammar.runtime.faults import mismatch, no_index, no_property, out_of_bounds
from grammar.runtime.sizes import copy_value, grow, sized_text
from grammar.values import Char, HostMap, Range

Operator = Callable[[Budget, Any, Any], Any]
_INT: Final = "i64"


class OpenRange:
    """A range without an end: `a..`, legal only as an index."""

    __slots__ = ("first", "is_inclusive")

    def __init__(self, first: Any, is_inclusive: bool) -> None:  # noqa: FBT001
        self.first = first
        self.is_inclusive = is_inclusive


def get_property(value: Any, name: str) -> Any:
    """Read `value.name`."""
    if isinstance(value, dict):
        return value.get(name)
    if isinstance(value, HostMap):
        return value.get(name)
    getter = PROPERTIES.get((type(value), name))
    if getter is None:
        raise no_property(value, name)
    return getter(value)


def get_index(value: Any, index: Any) -> Any:
    """Read `value[index]`."""
    if isinstance(value, list):
        return value[_position(value, index, "array_bounds")]
    if isinstance(value, str) and not isinstance(value, Char):
        return _get_text(value, index)
    if isinstance(value, dict | HostMap):
        if not isinstance(index, str):
            raise mismatch(_as_range(index), "string")
        return value.get(index)
    raise no_index(value, _as_range(index))


def _as_range(index: Any) -> Any:
    return Range(0, 0, is_inclusive=False) if isinstance(index, OpenRange) else index


def _position(value: Any, index: Any, kind: str) -> int:
    if type(index) is not int:
        raise mismatch(_as_range(index), _INT)
    length = len(value)
    if -length <= index < length:
        return index
    raise out_of_bounds(kind, index, length)


def text_slice(value: str, index: Range | OpenRange) -> tuple[int, int]:
    """Clamp a range to a text: the positions of its start and end."""
    length = len(value)
    first = index.first if type(index.first) is int else 0
    first = max(0, length + first) if first < 0 else min(first, length)
    if isinstance(index, OpenRange):
        return first, length
    last = index.last
    last = length + last if last < 0 else last
    last = last + 1 if index.is_inclusive else last
    return first, max(first, min(last, length))


def _get_text(value: str, index: Any) -> Any:
    if isinstance(index, Range | OpenRange):
        first, last = text_slice(value, index)
        return value[first:last]
    return Char(value[_position(value, index, "string_bounds")])


def _set_text(c: Budget, value: str, index: Any, new: Any) -> str:
    if isinstance(index, Range | OpenRange):
        if not isinstance(new, str):
            raise mismatch(new, "string")
        first, last = text_slice(value, index)
        return sized_text(c, value[:first] + new + value[last:])
    at = _position(value, index, "string_bounds") % len(value)
    if not isinstance(new, Char):
        raise mismatch(new, "char")
    return value[:at] + new + value[at + 1 :]


def assign_path(
    c: Budget, cell: list[Any], path: tuple[str, tuple[Any, ...]], value: Any,
    operator: Operator | None,
) -> None:  # fmt: skip
    """Assign the end of a chain rooted in a cell; strings are replaced on the way back."""
    kinds, keys = path
    holders = [cell[0]]
    for kind, key in zip(kinds[:-1], keys[:-1], strict=True):
        holder = holders[-1]
        if kind.isupper() and holder is None:
            return
        holders.append(_get(holder, kind, key))
    if kinds[-1].isupper() and holders[-1] is None:
        return
    if operator is not None:
        value = operator(c, _get(holders[-1], kinds[-1], keys[-1]), value)
    store_path(c, cell, (kinds, keys), holders, value)


def store_path(
    c: Budget, cell: list[Any], path: tuple[str, tuple[Any, ...]], holders: list[Any], value: Any
) -> None:
    """Store a value at the end of a chain whose holders are known."""
    kinds, keys = path
    new = value
    through_host = passes_host(holders)
    for at in range(len(keys) - 1, -1, -1):
        held = holders[at]
        new = _put(c, held, kinds[at], keys[at], new)
        if new is held and not through_host:
            break
    else:
        cell[0] = new
    grow(c, cell[0], value)


def passes_host(holders: list[Any]) -> bool:
    """Tell whether a chain passes a host map, which must be told of every change below it."""
    return any(isinstance(holder, HostMap) for holder in holders)


def walk(cell: list[Any], path: tuple[str, tuple[Any, ...]]) -> list[Any]:
    """Give the root and every value a chain passes, the last one included."""
    holders = [cell[0]]
    for kind, key in zip(*path, strict=True):
        holders.append(_get(holders[-1], kind, key))
    return holders


def _get(holder: Any, kind: str, key: Any) -> Any:
    value = get_property(holder, key) if kind in "pP" else get_index(holder, key)
    return _detached(value) if isinstance(holder, HostMap) else value


def _detached(value: Any) -> Any:
    if isinstance(value, list):
        return [_detached(item) for item in value]
    if isinstance(value, dict):
        return {key: _detached(item) for key, item in value.items()}
    return value


def _put(c: Budget, holder: Any, kind: str, key: Any, value: Any) -> Any:
    """Store one part; give back the holder, or what replaces it."""
    if isinstance(holder, dict):
        if not isinstance(key, str):
            raise mismatch(_as_range(key), "string")
        holder[str(key)] = value
        return holder
    if isinstance(holder, HostMap):
        holder.set(str(key), plain(copy_value(c, value)))
        return holder
    if kind in "pP":
        raise no_property(holder, key, is_write=True)
    if isinstance(holder, list):
        holder[_position(holder, key, "array_bounds")] = value
        return holder
    if isinstance(holder, str) and not isinstance(holder, Char):
        return _set_text(c, holder, key, value)
    raise no_index(holder, _as_range(key))


def plain(value: Any) -> Any:
    """Turn chars into strings, in place, inside a value that nothing else has."""
    if isinstance(value, Char):
        return str(value)
    if isinstance(value, list):
        value[:] = [plain(item) for item in value]
    elif isinstance(value, dict):
        for key, item in value.items():
            value[key] = plain(item)
    return value


def _round(rounding: Callable[[float], int], value: float) -> float:
    return math.copysign(float(rounding(value)), value) if math.isfinite(value) else value


def _half_away(value: float) -> int:
    whole = math.trunc(value)
    return whole + (0 if abs(value - whole) < 0.5 else 1 if value > 0 else -1)  # noqa: PLR2004


PROPERTIES: Final[dict[tuple[type, str], Callable[[Any], Any]]] = {
    (str, "len"): len, (str, "length"): len, (list, "len"): len, (list, "length"): len,
    (str, "is_empty"): lambda value: not value, (list, "is_empty"): lambda value: not value,
    (str, "bytes"): lambda value: len(value.encode()),
    (str, "chars"): lambda value: [Char(item) for item in value],
    (int, "is_zero"): lambda value: value == 0, (int, "is_odd"): lambda value: value % 2 == 1,
    (int, "is_even"): lambda value: value % 2 == 0,
    (float, "is_zero"): lambda value: value == 0,
    (float, "floor"): lambda value: _round(math.floor, value),
    (float, "ceiling"): lambda value: _round(math.ceil, value),
    (float, "round"): lambda value: _round(_half_away, value),
    (float, "int"): lambda value: _round(math.trunc, value),
    (float, "fraction"): lambda value: math.fmod(value, 1.0) if math.isfinite(value) else math.nan,
    (float, "is_nan"): math.isnan, (float, "is_finite"): math.isfinite,
    (float, "is_infinite"): math.isinf,
    (Range, "start"): lambda value: value.first, (Range, "end"): lambda value: value.last,
    (Range, "is_empty"): lambda value: not value.numbers,
    (Range, "is_inclusive"): lambda value: value.is_inclusive,
    (Range, "is_exclusive"): lambda value: not value.is_inclusive,
}  # fmt: skip

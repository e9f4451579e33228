"""Functions of maps, `state` and other host maps included. Keys go in their order.

Refuses wrong types (function_not_found) and sizes past the limits (limit_data_size).
"""

from __future__ import annotations

from typing import Any, Final

from grammar.budget import Budget
from grammar.runtime.access import plain
from grammar.runtime.calls import arity_of, call_function
from grammar.runtime.registry import ANY, FUNCTION, HOST, MAP, TEXT, Entry
from grammar.runtime.sizes import copy_value, sized
from grammar.values import Function, HostMap

Map = dict[str, Any]
_TURN: Final = 3
_BOTH: Final = 2


def length(_c: Budget, _d: int, m: Map) -> int:
    """`len(m) -> int`. The count of entries."""
    return len(m)


def is_empty(_c: Budget, _d: int, m: Map) -> bool:
    """`is_empty(m) -> bool`. Whether there is no entry."""
    return not m


def contains(_c: Budget, _d: int, m: Map, key: str) -> bool:
    """`contains(m, key) -> bool`. Whether there is such a key."""
    return key in m


def get(_c: Budget, _d: int, m: Map, key: str, default: Any = None) -> Any:
    """`get(m, key[, default])`. The value, or the default (unit)."""
    return m.get(key, default)


def set_item(_c: Budget, _d: int, m: Map, key: str, value: Any) -> None:
    """`set(m, key, v)`. Puts v under the key. Raises limit_data_size."""
    m[str(key)] = value


def remove(_c: Budget, _d: int, m: Map, key: str) -> Any:
    """`remove(m, key)`. Removes and gives the value; unit when there is none."""
    return m.pop(key, None)


def clear(_c: Budget, _d: int, m: Map) -> None:
    """`clear(m)`. Removes all."""
    m.clear()


def keys(c: Budget, _d: int, m: Map) -> list[Any]:
    """`keys(m) -> array`. The keys, in their order."""
    c.charge(1 + len(m) // 4)
    return sized(c, sorted(m))  # type: ignore[no-any-return]


def values(c: Budget, _d: int, m: Map) -> list[Any]:
    """`values(m) -> array`. The values, in the order of their keys."""
    c.charge(1 + len(m) // 4)
    return sized(c, [m[key] for key in sorted(m)])  # type: ignore[no-any-return]


def mixin(_c: Budget, _d: int, m: Map, other: Map) -> None:
    """`mixin(m, other)`. Puts all entries of the other into m; they win."""
    m.update(other)


def fill_with(_c: Budget, _d: int, m: Map, other: Map) -> None:
    """`fill_with(m, other)`. Adds only the keys that m lacks."""
    for key, value in other.items():
        m.setdefault(key, value)


def _ask(c: Budget, d: int, f: Function, key: str, value: Any) -> Any:
    c.charge(_TURN)
    takes = arity_of(f)
    if 1 in takes or _BOTH not in takes:
        return call_function(c, d, f, (key,), [value])
    return call_function(c, d, f, (key, value))


def map_values(c: Budget, d: int, m: Map, f: Function) -> Map:
    """`map(m, f) -> map`. What f(key, value) gives; one parameter gets the key."""
    entries = sorted(m.items())  # keys are unique, so that values are never compared
    return sized(c, {key: _ask(c, d, f, key, value) for key, value in entries})  # type: ignore[no-any-return]


def filter_entries(c: Budget, d: int, m: Map, f: Function) -> Map:
    """`filter(m, f) -> map`. The entries for which f(key[, value]) gives true."""
    entries = sorted(m.items())
    return {key: value for key, value in entries if _ask(c, d, f, key, value) is True}


def drain(c: Budget, d: int, m: Map, f: Function) -> Map:
    """`drain(m, f) -> map`. Removes and gives the entries for which f gives true."""
    taken = filter_entries(c, d, m, f)
    for key in taken:
        m.pop(key, None)
    return taken


def retain(c: Budget, d: int, m: Map, f: Function) -> Map:
    """`retain(m, f) -> map`. Keeps the entries for which f gives true, gives the rest."""
    kept = filter_entries(c, d, m, f)
    rest = {key: value for key, value in m.items() if key not in kept}
    for key in rest:
        m.pop(key, None)
    return rest


def host_get(c: Budget, _d: int, m: HostMap, key: str, default: Any = None) -> Any:
    """`state.get(key[, default])`. What is stored under the key, or the default (unit)."""
    value = m.get(str(key))
    del c
    return default if value is None else value


def host_set(c: Budget, _d: int, m: HostMap, key: str, value: Any) -> None:
    """`state.set(key, v)`. Stores a copy of v."""
    m.set(str(key), plain(copy_value(c, value)))


def host_contains(_c: Budget, _d: int, m: HostMap, key: str) -> bool:
    """`state.contains(key) -> bool`. Whether there is such a key."""
    return m.contains(str(key))


def host_remove(_c: Budget, _d: int, m: HostMap, key: str) -> Any:
    """`state.remove(key)`. Removes and gives the value; unit when there is none."""
    value = m.get(str(key))
    m.remove(str(key))
    return value


def _change(name: str, parameters: tuple[Any, ...], function: Any) -> Entry:
    return Entry(name, parameters, function, changes=True)


ENTRIES: Final = (
    Entry("len", (MAP,), length), Entry("is_empty", (MAP,), is_empty),
    Entry("contains", (MAP, TEXT), contains), Entry("get", (MAP, TEXT), get),
    Entry("get", (MAP, TEXT, ANY), get), _change("set", (MAP, TEXT, ANY), set_item),
    _change("remove", (MAP, TEXT), remove), _change("clear", (MAP,), clear),
    Entry("keys", (MAP,), keys), Entry("values", (MAP,), values),
    _change("mixin", (MAP, MAP), mixin), _change("fill_with", (MAP, MAP), fill_with),
    Entry("map", (MAP, FUNCTION), map_values), Entry("filter", (MAP, FUNCTION), filter_entries),
    _change("drain", (MAP, FUNCTION), drain), _change("retain", (MAP, FUNCTION), retain),
    Entry("get", (HOST, TEXT), host_get), Entry("get", (HOST, TEXT, ANY), host_get),
    Entry("set", (HOST, TEXT, ANY), host_set), Entry("contains", (HOST, TEXT), host_contains),
    Entry("remove", (HOST, TEXT), host_remove),
)  # fmt: skip

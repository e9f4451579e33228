"""Functions of arrays that call nothing back. Refuses wrong types (function_not_found).

What goes into an array was copied before, and its size is checked after (limit_data_size).
"""

from __future__ import annotations

from typing import Any, Final

from grammar.budget import Budget
from grammar.library.positions import clamp, range_of, slice_of
from grammar.runtime.comparison import equal
from grammar.runtime.faults import no_function
from grammar.runtime.registry import ANY, ARRAY, INT, RANGE, Entry
from grammar.runtime.sizes import check_length, copy_value
from grammar.values import Char, Range

Array = list[Any]


def length(_c: Budget, _d: int, a: Array) -> int:
    """`len(a) -> int`. The count of elements."""
    return len(a)


def is_empty(_c: Budget, _d: int, a: Array) -> bool:
    """`is_empty(a) -> bool`. Whether there is no element."""
    return not a


def get(_c: Budget, _d: int, a: Array, at: int) -> Any:
    """`get(a, i)`. The element; unit outside."""
    return a[at] if -len(a) <= at < len(a) else None


def set_item(_c: Budget, _d: int, a: Array, at: int, value: Any) -> None:
    """`set(a, i, v)`. Changes the element there; nothing outside."""
    if -len(a) <= at < len(a):
        a[at] = value


def push(_c: Budget, _d: int, a: Array, value: Any) -> None:
    """`push(a, v)`. Puts v behind the last. Raises limit_data_size."""
    a.append(value)


def append(_c: Budget, _d: int, a: Array, more: Array) -> None:
    """`append(a, b)`. Puts all elements of b behind the last. Raises limit_data_size."""
    a.extend(more)


def insert(_c: Budget, _d: int, a: Array, at: int, value: Any) -> None:
    """`insert(a, i, v)`. Puts v before that position, or at the nearest end."""
    a.insert(clamp(at, len(a)), value)


def pad(c: Budget, _d: int, a: Array, count: int, value: Any) -> None:
    """`pad(a, len, v)`. Changes a to at least that many. Raises limit_data_size."""
    missing = count - len(a)
    if missing > 0:
        check_length(c, count, what="array")
        a.extend(copy_value(c, value) for _ in range(missing))


def clear(_c: Budget, _d: int, a: Array) -> None:
    """`clear(a)`. Removes all."""
    a.clear()


def truncate(_c: Budget, _d: int, a: Array, count: int) -> None:
    """`truncate(a, n)`. Keeps the first n."""
    del a[max(0, count) :]


def chop(_c: Budget, _d: int, a: Array, count: int) -> None:
    """`chop(a, n)`. Keeps the last n."""
    del a[: max(0, len(a) - max(0, count))]


def reverse(c: Budget, _d: int, a: Array) -> None:
    """`reverse(a)`. Turns the order around."""
    c.charge(len(a) // 8)
    a.reverse()


def pop(_c: Budget, _d: int, a: Array) -> Any:
    """`pop(a)`. Removes and gives the last; unit when empty."""
    return a.pop() if a else None


def shift(c: Budget, _d: int, a: Array) -> Any:
    """`shift(a)`. Removes and gives the first; unit when empty."""
    c.charge(len(a) // 64)
    return a.pop(0) if a else None


def remove(_c: Budget, _d: int, a: Array, at: int) -> Any:
    """`remove(a, i)`. Removes and gives that one; unit outside."""
    return a.pop(at) if -len(a) <= at < len(a) else None


def splice(_c: Budget, _d: int, a: Array, start: int, count: int, new: Array) -> None:
    """`splice(a, start, len, b)`. Replaces a part. Raises limit_data_size."""
    first, last = slice_of(len(a), start, count)
    a[first:last] = new


def splice_range(_c: Budget, _d: int, a: Array, span: Range, new: Array) -> None:
    """`splice(a, range, b)`. Replaces a part. Raises limit_data_size."""
    first, last = range_of(len(a), span)
    a[first:last] = new


def extract(c: Budget, _d: int, a: Array, start: int, count: int | None = None) -> Array:
    """`extract(a, start[, len]) -> array`. A copy of a part; to the end without len."""
    first, last = slice_of(len(a), start, count)
    c.charge((last - first) // 8)
    return a[first:last]


def extract_range(c: Budget, _d: int, a: Array, span: Range) -> Array:
    """`extract(a, range) -> array`. A copy of the part of that range."""
    first, last = range_of(len(a), span)
    c.charge((last - first) // 8)
    return a[first:last]


def split(_c: Budget, _d: int, a: Array, at: int) -> Array:
    """`split(a, i) -> array`. Keeps the head, gives the tail."""
    first = clamp(at, len(a))
    tail = a[first:]
    del a[first:]
    return tail


def cut(_c: Budget, _d: int, a: Array, start: int, count: int) -> Array:
    """`drain(a, start, len) -> array`. Removes and gives a part."""
    first, last = slice_of(len(a), start, count)
    return _cut(a, first, last)


def cut_range(_c: Budget, _d: int, a: Array, span: Range) -> Array:
    """`drain(a, range) -> array`. Removes and gives a part."""
    first, last = range_of(len(a), span)
    return _cut(a, first, last)


def _cut(a: Array, first: int, last: int) -> Array:
    part = a[first:last]
    del a[first:last]
    return part


def keep(_c: Budget, _d: int, a: Array, start: int, count: int) -> Array:
    """`retain(a, start, len) -> array`. Keeps a part, gives the rest."""
    first, last = slice_of(len(a), start, count)
    return _keep(a, first, last)


def keep_range(_c: Budget, _d: int, a: Array, span: Range) -> Array:
    """`retain(a, range) -> array`. Keeps a part, gives the rest."""
    first, last = range_of(len(a), span)
    return _keep(a, first, last)


def _keep(a: Array, first: int, last: int) -> Array:
    rest = a[:first] + a[last:]
    a[:] = a[first:last]
    return rest


def contains(c: Budget, _d: int, a: Array, value: Any) -> bool:
    """`contains(a, v) -> bool`. Whether an element is `==` v."""
    return _index(c, a, value, 0) >= 0


def index_of(c: Budget, _d: int, a: Array, value: Any, start: int = 0) -> int:
    """`index_of(a, v[, start]) -> int`. The first position by `==`, or -1."""
    return _index(c, a, value, clamp(start, len(a)))


def _index(c: Budget, a: Array, value: Any, start: int) -> int:
    for at in range(start, len(a)):
        c.charge(1)
        if equal(c, a[at], value):
            return at
    return -1


def order(c: Budget, _d: int, a: Array) -> Array:
    """`order(a) -> array`. A sorted copy; raises function_not_found for mixed types."""
    return _sorted(c, a, reverse=False)


def order_desc(c: Budget, _d: int, a: Array) -> Array:
    """`order_desc(a) -> array`. A sorted copy, largest first."""
    return _sorted(c, a, reverse=True)


def sort(c: Budget, _d: int, a: Array) -> None:
    """`sort(a)`. Sorts a; raises function_not_found for mixed types."""
    a[:] = _sorted(c, a, reverse=False)


def sort_desc(c: Budget, _d: int, a: Array) -> None:
    """`sort_desc(a)`. Sorts a, largest first."""
    a[:] = _sorted(c, a, reverse=True)


def _sorted(c: Budget, a: Array, *, reverse: bool) -> Array:
    if len(a) <= 1:
        return list(a)
    c.charge(len(a) * len(a).bit_length())
    kind = type(a[0])
    if kind not in (int, float, str, Char, bool) or any(type(item) is not kind for item in a):
        error = no_function("sort", (a,))
        error.message = "Function not found: elements of different types cannot be sorted"
        raise error
    if kind is float:
        return sorted(a, key=lambda value: (value != value, value), reverse=reverse)  # noqa: PLR0124
    return sorted(a, reverse=reverse)


def dedup(c: Budget, _d: int, a: Array) -> None:
    """`dedup(a)`. Removes equal neighbours."""
    kept: Array = []
    for item in a:
        c.charge(1)
        if not kept or not equal(c, kept[-1], item):
            kept.append(item)
    a[:] = kept


def _change(name: str, parameters: tuple[Any, ...], function: Any) -> Entry:
    return Entry(name, parameters, function, changes=True)


ENTRIES: Final = (
    Entry("len", (ARRAY,), length), Entry("length", (ARRAY,), length),
    Entry("is_empty", (ARRAY,), is_empty),
    Entry("get", (ARRAY, INT), get), _change("set", (ARRAY, INT, ANY), set_item),
    _change("push", (ARRAY, ANY), push), _change("append", (ARRAY, ARRAY), append),
    _change("insert", (ARRAY, INT, ANY), insert), _change("pad", (ARRAY, INT, ANY), pad),
    _change("clear", (ARRAY,), clear), _change("truncate", (ARRAY, INT), truncate),
    _change("chop", (ARRAY, INT), chop), _change("reverse", (ARRAY,), reverse),
    _change("pop", (ARRAY,), pop), _change("shift", (ARRAY,), shift),
    _change("remove", (ARRAY, INT), remove), _change("splice", (ARRAY, INT, INT, ARRAY), splice),
    _change("splice", (ARRAY, RANGE, ARRAY), splice_range), Entry("extract", (ARRAY, INT), extract),
    Entry("extract", (ARRAY, INT, INT), extract), Entry("extract", (ARRAY, RANGE), extract_range),
    _change("split", (ARRAY, INT), split), _change("drain", (ARRAY, INT, INT), cut),
    _change("drain", (ARRAY, RANGE), cut_range), _change("retain", (ARRAY, INT, INT), keep),
    _change("retain", (ARRAY, RANGE), keep_range), Entry("contains", (ARRAY, ANY), contains),
    Entry("order", (ARRAY,), order), Entry("order_desc", (ARRAY,), order_desc),
    _change("sort", (ARRAY,), sort), _change("sort_desc", (ARRAY,), sort_desc),
    _change("dedup", (ARRAY,), dedup),
)  # fmt: skip

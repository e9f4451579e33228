"""Sizes and copies of values. In: a value and the budget. Out: the same, measured or copied.

Refuses (BudgetExceededError): values past the limits of LANGUAGE.md section 11. A full measure of
a growing value at every step would be quadratic, so `grow` remembers how much a value may still
grow before the next one is due.
"""

from __future__ import annotations

from typing import Any, Final

from grammar.budget import Budget, utf8_bytes
from grammar.runtime.faults import too_deep, too_large

_REMEMBERED_MAX: Final = 64
_UNLIMITED: Final = 1 << 62


def copy_value(c: Budget, value: Any) -> Any:
    """Copy arrays and maps, deeply; everything else cannot be changed and is given back."""
    kind = type(value)
    if kind is not list and not isinstance(value, dict):
        return value
    return _copy(c, value, c.limits.data_depth)


def _copy(c: Budget, value: Any, depth: int) -> Any:
    if depth <= 0:
        raise too_deep(c.limits.data_depth)
    c.charge(4 + len(value))
    below = depth - 1
    if isinstance(value, list):
        items = value.copy()
        for at, item in enumerate(items):
            if isinstance(item, list | dict):
                items[at] = _copy(c, item, below)
        return items
    entries = dict(value)
    for key, item in entries.items():
        if isinstance(item, list | dict):
            entries[key] = _copy(c, item, below)
    return entries


class Measure:
    """Elements, entries and string bytes of one value, through all levels."""

    __slots__ = ("array_elements", "map_entries", "string_bytes")

    def __init__(self) -> None:
        self.array_elements = 0
        self.map_entries = 0
        self.string_bytes = 0

    def add(self, c: Budget, value: Any, depth: int) -> None:
        """Count a value. Raises BudgetExceededError: limit_depth."""
        if isinstance(value, str):
            self.string_bytes += utf8_bytes(value)
            return
        is_list = isinstance(value, list)
        if not is_list and not isinstance(value, dict):
            return
        if depth <= 0:
            raise too_deep(c.limits.data_depth)
        c.charge(1 + len(value) // 4)
        if is_list:
            self.array_elements += len(value)
        else:
            self.map_entries += len(value)
        for item in value if is_list else value.values():
            if isinstance(item, str | list | dict):
                self.add(c, item, depth - 1)

    def check(self, c: Budget) -> None:
        """Raise BudgetExceededError (limit_data_size) when a limit is passed."""
        limits = c.limits
        if limits.array_elements is not None and self.array_elements > limits.array_elements:
            raise too_large("array", limits.array_elements)
        if limits.map_entries is not None and self.map_entries > limits.map_entries:
            raise too_large("object map", limits.map_entries)
        if limits.string_bytes is not None and self.string_bytes > limits.string_bytes:
            raise too_large("string", limits.string_bytes)


def sized(c: Budget, value: Any) -> Any:
    """Give back a new value after checking its size. Raises limit_data_size, limit_depth."""
    found = Measure()
    found.add(c, value, c.limits.data_depth)
    found.check(c)
    return value


def sized_text(c: Budget, text: str) -> str:
    """Give back a new string after checking its length. Raises limit_data_size."""
    length = len(text)
    cap = c.limits.string_bytes
    if cap is not None and length * 4 > cap and utf8_bytes(text) > cap:
        raise too_large("string", cap)
    if length > 64:  # noqa: PLR2004 - short strings are paid by the statement
        c.charge(length >> 6)
    return text


def check_length(c: Budget, length: int, *, what: str) -> None:
    """Check the length of something before it is built. Raises limit_data_size."""
    limits = c.limits
    cap = {"string": limits.string_bytes, "array": limits.array_elements}.get(
        what, limits.map_entries
    )
    if cap is not None and length > cap:
        raise too_large(what, cap)
    c.charge(1 + max(0, length if cap is None else min(length, cap)) // 16)


def grow(c: Budget, root: Any, added: Any) -> None:
    """Note that `added` went into `root`, at any level, and check `root` when it is due."""
    if isinstance(added, str):
        weight = 1 + len(added) * 4
    elif isinstance(added, list | dict):
        found = Measure()
        found.add(c, added, c.limits.data_depth)
        weight = 1 + found.array_elements + found.map_entries + found.string_bytes
    else:
        weight = 1
    grow_by(c, root, weight)


def grow_by(c: Budget, root: Any, weight: int) -> None:
    """Note that `root` grew by so many elements or bytes, and check it when that is due."""
    c.grown += weight
    if c.sizes is None:
        c.sizes = {}
    known = c.sizes.get(id(root))
    if known is not None and known[0] is root and c.grown <= known[1]:
        return
    found = Measure()
    found.add(c, root, c.limits.data_depth)
    found.check(c)
    if len(c.sizes) >= _REMEMBERED_MAX:
        c.sizes.clear()
    c.sizes[id(root)] = (root, c.grown + _slack(c, found), 0)


def _slack(c: Budget, found: Measure) -> int:
    limits = c.limits
    pairs = (
        (limits.array_elements, found.array_elements),
        (limits.map_entries, found.map_entries),
        (limits.string_bytes, found.string_bytes),
    )
    return min((cap - used for cap, used in pairs if cap is not None), default=_UNLIMITED)

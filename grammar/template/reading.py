"""What compiled templates call while they render. In: values of the scope. Out: values and items.

Reads in place: nothing of the host is changed, and no attribute of any object is ever read.
Refuses (HelperFaultError) to list a host map; everything that is merely missing is None.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat
from typing import Any, Final

from grammar.budget import Budget
from grammar.errors import BudgetExceededError
from grammar.template.formatting import CHARACTERS_AN_OPERATION, HelperFaultError
from grammar.values import HostMap

MISSES: Final = (KeyError, TypeError, IndexError)
"""What a subscript raises when compiled code's fast read does not apply; `read` then decides."""
INDEX_DIGITS_MAX: Final = 9


class Overlay(dict[str, Any]):
    """A partial's context: its own arguments before the entries of a scope that answers lazily."""

    __slots__ = ("_below",)

    def __init__(self, below: dict[str, Any], own: dict[str, Any]) -> None:
        super().__init__(dict.copy(below))
        self.update(own)
        self._below = below

    def __missing__(self, key: str) -> Any:
        return self._below[key]


def read(value: Any, keys: tuple[str, ...]) -> Any:
    """Follow keys from a value; None where one is missing. Host exceptions pass through."""
    for key in keys:
        if value is None:
            return None
        value = read_key(value, key)
    return value


def read_key(value: Any, key: Any) -> Any:
    """Read one key: of a map, an index or `length` of an array or string, else None."""
    text = key if type(key) is str else _key_text(key)
    if text is None:
        return None
    if isinstance(value, dict):
        try:
            return value[text]
        except KeyError:
            return None
    if isinstance(value, HostMap):
        return value.get(text)
    return _read_item(value, text) if isinstance(value, list | tuple | str) else None


def _key_text(key: Any) -> str | None:
    """Return the key that a computed value spells; None for what spells none."""
    if isinstance(key, str):
        return str(key)
    if isinstance(key, bool):
        return "true" if key else "false"
    if isinstance(key, int | float) and abs(key) < 10**INDEX_DIGITS_MAX and key == int(key):
        return str(int(key))
    return None


def _read_item(value: Sequence[Any], text: str) -> Any:
    if text == "length":
        return len(value)
    if not (text.isascii() and text.isdigit() and len(text) <= INDEX_DIGITS_MAX):
        return None
    index = int(text)
    return value[index] if index < len(value) and str(index) == text else None


def truthy(value: Any) -> bool:
    """Tell what `#if` takes as true: not null, false, 0, NaN, "" or []; an empty map is true."""
    if isinstance(value, dict):
        return True
    return bool(value) and value == value  # noqa: PLR0124 - NaN is the one unequal to itself


def truthy_or_zero(value: Any) -> bool:
    """Tell what `#with`, and `#if` with `includeZero=true`, take as true: 0 as well."""
    return truthy(value) or (value == 0 and not isinstance(value, bool))


def each_values(value: Any, budget: Budget, cost: int) -> Sequence[Any]:
    """Return the items `#each` walks over, charged in advance: `cost` operations a turn."""
    if isinstance(value, HostMap):
        raise HelperFaultError("A host map cannot be listed; name a key", kind="for_not_iterable")
    if not isinstance(value, dict | list | tuple):
        return ()
    budget.charge(len(value) * cost)
    return list(value.values()) if isinstance(value, dict) else value


def each_keys(value: Any) -> Sequence[Any]:
    """Return the keys that belong to `each_values`: a map's keys, or indexes from 0."""
    return list(value) if isinstance(value, dict) else range(len(value) if value else 0)


def section_values(value: Any, context: Any, budget: Budget, cost: int) -> Sequence[Any]:
    """Return the contexts of a plain `{{#name}}`: an array's items, else one, or none if false."""
    if isinstance(value, list | tuple):
        return each_values(value, budget, cost)
    if value is None or value is False:
        return ()
    return (context,) if value is True else (value,)


def overlay(context: Any, own: dict[str, Any], budget: Budget) -> dict[str, Any]:
    """Return a partial's context with its arguments in front. Charges by the context's size."""
    if not isinstance(context, dict):
        return own
    budget.charge(1 + len(context) // 8)
    return {**context, **own} if type(context) is dict else Overlay(context, own)


def enter(budget: Budget, level: int, cost: int) -> None:
    """Open a template's function. Raises BudgetExceededError past the limit of call levels."""
    if level > budget.limits.call_levels:
        raise BudgetExceededError(
            f"Partials nested too deeply: the limit is {budget.limits.call_levels}",
            kind="limit_call_levels",
        )
    budget.charge(cost)


def frame_value(frame: Any, up: int, slot: int) -> Any:
    """Read `@index`, `@key`, `@first` or `@last` (slots 0 to 3) of a loop of the caller."""
    for _ in repeat(None, up):
        frame = None if frame is None else frame[4]
    return None if frame is None else frame[slot]


def indented(pieces: list[str], indent: str, budget: Budget) -> str:
    """Return a partial's text with `indent` before each line, not after the last line's end."""
    text = joined(pieces, budget)
    breaks = text.count("\n")
    _check_output(len(text) + breaks * len(indent), budget)
    budget.charge(1 + breaks + len(text) // CHARACTERS_AN_OPERATION)
    lines = text.split("\n")
    last = lines.pop()
    shown = [indent + line for line in lines]
    return "\n".join([*shown, indent + last if last else last])


def joined(pieces: list[str], budget: Budget) -> str:
    """Join rendered pieces. Raises BudgetExceededError before a text past the limit is built."""
    _check_output(sum(map(len, pieces)), budget)
    return "".join(pieces)


def _check_output(characters: int, budget: Budget) -> None:
    cap = budget.limits.output_bytes
    if cap is not None and characters > cap - budget.output_bytes:
        raise BudgetExceededError(f"Too much output: the limit is {cap} bytes", kind="limit_output")

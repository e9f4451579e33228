"""The table of library functions. In: entries. Out: the entry for a name and argument types.

Every library function is one Entry; `docs/language.md` is made from their docstrings. Refuses
(function_not_found): a name, a count or types that no entry takes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from grammar.runtime.faults import no_function
from grammar.values import Char, Function, HostMap, Range

Types: TypeAlias = frozenset[type] | None

ANY: Final[Types] = None
INT: Final[Types] = frozenset((int,))
FLOAT: Final[Types] = frozenset((float,))
NUMBER: Final[Types] = frozenset((int, float))
BOOL: Final[Types] = frozenset((bool,))
STRING: Final[Types] = frozenset((str,))
CHAR: Final[Types] = frozenset((Char,))
TEXT: Final[Types] = frozenset((str, Char))
ARRAY: Final[Types] = frozenset((list,))
MAP: Final[Types] = frozenset((dict,))
HOST: Final[Types] = frozenset((HostMap,))
RANGE: Final[Types] = frozenset((Range,))
FUNCTION: Final[Types] = frozenset((Function,))


@dataclass(frozen=True, slots=True)
class Entry:
    """One library function. It gets the budget, the call levels left, and the arguments.

    `changes`: it may change its first argument; a string cannot be changed in place, so such an
    entry for strings gives (new string, result).
    """

    name: str
    parameters: tuple[Types, ...]
    function: Callable[..., Any]
    changes: bool = False
    replaces: bool = False


class LibraryTable:
    """Entries by name and count of arguments, then by the type of the first."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self.entries = tuple(entries)
        self.names = frozenset(entry.name for entry in self.entries)
        self.mutators = frozenset(entry.name for entry in self.entries if entry.changes)
        self._table: dict[tuple[str, int], dict[type | None, list[Entry]]] = {}
        for entry in self.entries:
            rows = self._table.setdefault((entry.name, len(entry.parameters)), {})
            first = entry.parameters[0] if entry.parameters else None
            for kind in first if first is not None else (None,):
                rows.setdefault(kind, []).append(entry)

    def find(self, name: str, arguments: tuple[Any, ...]) -> Entry:
        """Find the entry for a call. Raises function_not_found."""
        rows = self._table.get((name, len(arguments)))
        if rows is not None:
            kind = class_of(arguments[0]) if arguments else None
            entries: list[Entry] = [*rows.get(kind, ()), *(rows.get(None, ()) if kind else ())]
            for entry in entries:
                if _fits(entry, arguments):
                    return entry
        raise no_function(name, arguments, self.names)


def class_of(value: Any) -> type:
    """Give the type under which a value is looked up."""
    kind = type(value)
    if kind is dict or kind is str or kind is list:
        return kind
    if isinstance(value, dict):
        return dict
    return HostMap if isinstance(value, HostMap) else kind


def _fits(entry: Entry, arguments: tuple[Any, ...]) -> bool:
    for types, value in zip(entry.parameters, arguments, strict=True):
        if types is not None and class_of(value) not in types:
            return False
    return True

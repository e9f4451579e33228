"""The values scripts compute with. In: host JSON data. Out: the few types that JSON lacks.

Null, booleans, integers, floats, strings, lists and dicts are Python's own and are read in
place. A char is a string of one code point that knows it is a char. Refuses nothing by itself:
which operation takes which value is decided in `grammar.library`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

INT_MIN: Final = -(2**63)
INT_MAX: Final = 2**63 - 1


class Char(str):
    """One code point. Equal to, ordered like and joined like the string of it (LANGUAGE.md 2)."""

    __slots__ = ()


class HostMap(ABC):
    """A map whose entries the host supplies and stores, like `state`.

    Values are JSON data; what a script reads is never changed in place, what it sets is handed
    over detached. A method may raise any exception of the host: it passes through the script,
    `try` included, untouched.
    """

    __slots__ = ()

    @abstractmethod
    def get(self, key: str) -> Any:
        """Return the value under `key`, or None."""

    @abstractmethod
    def set(self, key: str, value: Any) -> None:
        """Store a value."""

    @abstractmethod
    def remove(self, key: str) -> None:
        """Forget a key; a missing one is no error."""

    @abstractmethod
    def contains(self, key: str) -> bool:
        """Tell whether the key has a value."""


@dataclass(frozen=True, slots=True)
class Range:
    """Integers from `first` up to `last`, with `last` when inclusive. Never spelled out."""

    first: int
    last: int
    is_inclusive: bool

    @property
    def numbers(self) -> range:
        """The integers, lazily."""
        return range(self.first, self.last + 1 if self.is_inclusive else self.last)


@dataclass(frozen=True, slots=True)
class Steps:
    """What `range(a, b, step)` gives: it can only be iterated."""

    values: Any


@dataclass(frozen=True, slots=True, eq=False)
class Function:
    """A function value: a closure, or functions of one name for several counts of arguments.

    `bound` are the cells of captured variables, `curried` the arguments given already.
    """

    name: str
    variants: Mapping[int, Callable[..., Any]]
    bound: tuple[Any, ...] = ()
    curried: tuple[Any, ...] = ()
    is_closure: bool = False

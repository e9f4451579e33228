"""Odd values for scopes of the language. In: a size. Out: deep data, shared data, a host map."""

from typing import Any

from grammar.values import HostMap


class Drawer(HostMap):
    """A host map that can only be read."""

    def get(self, key: str) -> Any:
        return {"k": "v"}.get(key)

    def set(self, key: str, value: Any) -> None:
        raise AssertionError("the language only reads this map")

    def remove(self, key: str) -> None:
        raise AssertionError("the language only reads this map")

    def contains(self, key: str) -> bool:
        raise AssertionError("the language only reads this map")


def nested(levels: int, width: int = 1) -> Any:
    """Arrays in arrays around a 1; wider than 1, every item is the same array."""
    value: Any = 1
    for _ in range(levels):
        value = [value] * width
    return value

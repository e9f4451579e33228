"""`error(message)`: the documentation's way to return a failure. In: a message. Out: a map."""

from __future__ import annotations

from typing import Any, Final

from grammar.budget import Budget
from grammar.runtime.registry import ANY, Entry


def error(_c: Budget, _d: int, message: Any) -> dict[str, Any]:
    """`error(message) -> map`: `#{error: message}`. Nothing is raised."""
    return {"error": message}


ENTRIES: Final = (Entry("error", (ANY,), error),)

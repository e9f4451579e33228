"""What running code knows of its text. In: compiled text. Out: functions by name, spans by line.

Refuses nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from grammar.dialect import Dialect
from grammar.runtime.registry import LibraryTable
from grammar.span import SourceText, Span


@dataclass(slots=True, eq=False)
class RuntimeUnit:
    """One loaded text. `functions` also holds the functions of the libraries it was linked to."""

    source: SourceText
    spans: tuple[Span, ...]
    names: frozenset[str]
    function_names: Mapping[str, str]
    library: LibraryTable
    dialect: Dialect
    entry: Callable[..., Any] | None = None
    functions: dict[tuple[str, int], Callable[..., Any]] = field(default_factory=dict)

    def variants(self, name: str) -> dict[int, Callable[..., Any]]:
        """Give the script functions of a name by their count of parameters."""
        return {count: code for (known, count), code in self.functions.items() if known == name}

"""Every library function, in one table for each dialect. In: a dialect. Out: its table.

`documented()` gives the entries in the order of the documentation. Refuses nothing.
"""

from __future__ import annotations

from functools import cache

from grammar.dialect import Dialect
from grammar.library import arrays, callbacks, conversions, errors, maps, numbers, strings
from grammar.runtime.registry import Entry, LibraryTable


@cache
def library_table(dialect: Dialect) -> LibraryTable:
    """Give the functions of a dialect."""
    if dialect is Dialect.RHAI:
        return LibraryTable((*documented(), *strings.RHAI_ENTRIES))
    return LibraryTable((*documented(), *strings.DIALECT_ENTRIES, *errors.ENTRIES))


def documented() -> tuple[Entry, ...]:
    """Give every entry that all dialects share, by type."""
    return (
        *strings.ENTRIES, *arrays.ENTRIES, *callbacks.ENTRIES, *maps.ENTRIES, *numbers.ENTRIES,
        *conversions.ENTRIES,
    )  # fmt: skip

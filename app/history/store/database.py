"""What the two databases do in ways of their own: the seam under `HistoryStore`.

In: connections, rows that are ready to be written, bounds of a search. Out: transactions, clauses,
counts. Everything else is one SQL for both.
"""

from collections.abc import Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from sqlalchemy import ColumnElement, FromClause, Table
from sqlalchemy.ext.asyncio import AsyncConnection

from app.history.store.search import Cursor


class ReadyRow(NamedTuple):
    """A row as it is written. There are thousands a second: it is as light as can be."""

    tenant_id: int
    run_id: str
    place: tuple[int, int]
    """Of two rows of a run, the one with the greater place stays."""
    values: tuple[Any, ...]
    """All columns of `RUNS` but the key, in the table's order."""
    body: bytes
    kind_id: int
    finished_ms: int
    error_text: str | None

    @property
    def key(self) -> tuple[int, str]:
        """By what a run is known: its tenant's number, and its id."""
        return (self.tenant_id, self.run_id)


@dataclass(frozen=True, slots=True)
class Bounds:
    """A stretch of time, its end not in it; and of those that ended with ``tie``, the ids below."""

    since_ms: int
    below_ms: int
    tie: Cursor | None = None


@dataclass(frozen=True, slots=True)
class TextSearch:
    """A text, folded, that is looked for in the errors of a tenant's runs of some kinds."""

    text: str
    tenant_id: int
    kinds: Sequence[int]


class Database(Protocol):
    """SQLite or PostgreSQL, opened."""

    def reading(self, what: str) -> AbstractAsyncContextManager[AsyncConnection]:
        """Open a transaction that only reads; ``what`` is what errors say was tried."""
        ...

    def writing(self, what: str) -> AbstractAsyncContextManager[AsyncConnection]:
        """Open a transaction that writes rows; it is committed when the block ends."""
        ...

    def changing(self, what: str) -> AbstractAsyncContextManager[AsyncConnection]:
        """Open a transaction that nobody else writes beside."""
        ...

    def numbers(self, name: str) -> FromClause:
        """Give the numbers of a parameter as a table of one column, ``value``."""
        ...

    def is_among(self, column: ColumnElement[int], name: str) -> ColumnElement[bool]:
        """Tell whether a column is one of the numbers of a parameter."""
        ...

    def as_numbers(self, numbers: Sequence[int]) -> Any:
        """Give numbers as such a parameter takes them."""
        ...

    def has_error_text(self, name: str) -> ColumnElement[bool]:
        """Tell whether the text of a run's error holds that of a parameter, read run by run."""
        ...

    def insert_new(self, table: Table) -> Any:
        """Give an insert that leaves out what is there."""
        ...

    async def write(self, connection: AsyncConnection, rows: Sequence[ReadyRow]) -> int:
        """Write rows of different runs, and give how many runs are new."""
        ...

    async def keys_by_text(
        self, connection: AsyncConnection, wanted: TextSearch, bounds: Bounds, limit: int
    ) -> Sequence[int]:
        """Give the keys of the latest runs whose error holds a text, found by the text's index."""
        ...

    async def old_keys(
        self, connection: AsyncConnection, before_ms: int, at_most: int
    ) -> Sequence[int]:
        """Give keys of runs that ended before a time."""
        ...

    async def forget(self, connection: AsyncConnection, keys: Iterable[int]) -> None:
        """Delete runs with all there is of them."""
        ...

    async def empty(self, connection: AsyncConnection) -> None:
        """Delete everything."""
        ...

    async def close(self) -> None:
        """Give the connections back."""
        ...

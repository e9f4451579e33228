"""The history in a SQLite file.

In: a path. Out: a `Database`. The file is readable by its owner alone. Readers go on beside the one
writer (WAL). A commit is not flushed to the disk (``synchronous = NORMAL``): the death of a process
loses nothing, a power cut may lose the last commits, never the file. The stream is the truth: a
rebuild brings them back. UnavailableError while another process holds the file for long.
"""

import json
import os
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Select,
    Table,
    bindparam,
    column,
    delete,
    event,
    func,
    insert,
    select,
    text,
)
from sqlalchemy.dialects import sqlite
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from app.errors import SettingsError
from app.history.store.database import Bounds, ReadyRow, TextSearch
from app.history.store.failures import asking
from app.history.store.tables import (
    DOCUMENTS,
    KINDS,
    RUNS,
    SQLITE_ERRORS,
    TENANTS,
)

READERS: Final = 4
BUSY_SECONDS: Final = 10.0
WAIT_SECONDS: Final = 30.0
"""For a connection of ours that others have."""
CHECKPOINT_PAGES: Final = 32_768
"""128 MiB: a page that many commits change is carried into the file once."""
WRITER_CACHE_KIB: Final = 128 * 1024
READER_CACHE_KIB: Final = 32 * 1024

_PRAGMAS: Final = (
    "journal_mode = WAL",
    "synchronous = NORMAL",
    f"wal_autocheckpoint = {CHECKPOINT_PAGES}",
    f"journal_size_limit = {CHECKPOINT_PAGES * 4096 * 2}",
    "temp_store = MEMORY",
    "secure_delete = ON",
)
_MAGIC: Final = b"SQLite format 3\0"
_WHO_BASE: Final = 20_000
_WHO_FIRST: Final = 0x4E00
"""Ideographs: characters that have no case, and that a message hardly has three of in a row."""

_KNOWN: Final = text(
    "SELECT r.id, r.tenant_id, r.run_id, r.sequence, r.position FROM json_each(:keys) AS k"
    " CROSS JOIN history_runs AS r ON r.tenant_id = json_extract(k.value, '$[0]')"
    " AND r.run_id = json_extract(k.value, '$[1]')"
)
# Many rows a second: handed to the driver as they are, in the order of the columns.
_ADD_RUN: Final = str(insert(RUNS).compile(dialect=sqlite.dialect()))
_ADD_DOCUMENT: Final = str(insert(DOCUMENTS).compile(dialect=sqlite.dialect()))
_ADD_ERROR: Final = "INSERT INTO history_errors (rowid, who, text) VALUES (?, ?, ?)"
_BY_TEXT: Final = text(
    "SELECT r.id FROM history_errors AS e CROSS JOIN history_runs AS r ON r.id = e.rowid"
    " WHERE e.history_errors MATCH :match AND r.tenant_id = :tenant_id"
    " AND r.kind_id IN (SELECT value FROM json_each(:kinds))"
    " AND r.finished_ms >= :since_ms AND (r.finished_ms < :below_ms"
    " OR (r.finished_ms = :tie_ms AND r.run_id < :tie_id))"
    " ORDER BY r.finished_ms DESC, r.run_id DESC LIMIT :limit"
)
_OLD: Final = text(
    "SELECT r.id FROM history_kinds AS k CROSS JOIN history_runs AS r"
    " ON r.kind_id = k.id AND r.finished_ms < :before_ms LIMIT :at_most"
)


class SqliteDatabase:
    """One file: a writer, and readers beside it."""

    def __init__(self, path: Path) -> None:
        self._writer = _engine(path, is_writer=True)
        self._readers = _engine(path, is_writer=False)

    def reading(self, what: str) -> AbstractAsyncContextManager[AsyncConnection]:
        """Open a transaction that only reads: all its statements see the same."""
        return _transaction(self._readers, what)

    def writing(self, what: str) -> AbstractAsyncContextManager[AsyncConnection]:
        """Open a transaction that writes: the only one there is."""
        return _transaction(self._writer, what)

    def changing(self, what: str) -> AbstractAsyncContextManager[AsyncConnection]:
        """Open a transaction that nobody else writes beside, as every one here."""
        return self.writing(what)

    def numbers(self, name: str) -> FromClause:
        """Give the numbers of a parameter, a JSON array, as a table."""
        return func.json_each(bindparam(name)).table_valued("value")

    def is_among(self, column: ColumnElement[int], name: str) -> ColumnElement[bool]:
        """Tell whether a column is one of the numbers of a parameter."""
        return column.in_(select(self.numbers(name).c.value))

    def as_numbers(self, numbers: Sequence[int]) -> Any:
        """Give numbers as a JSON array."""
        return json.dumps(list(numbers))

    def has_error_text(self, name: str) -> ColumnElement[bool]:
        """Look into the text that the full-text table keeps beside its index."""
        kept: Select[Any] = select(column("text")).select_from(text("history_errors"))
        one = kept.where(text("history_errors.rowid = history_runs.id")).scalar_subquery()
        return func.instr(one, bindparam(name)) > 0

    def insert_new(self, table: Table) -> Any:
        """Give an insert that leaves out what is there."""
        return sqlite.insert(table).on_conflict_do_nothing()

    async def write(self, connection: AsyncConnection, rows: Sequence[ReadyRow]) -> int:
        """Look up which runs are there, add the others, and those that are later here anew.

        Nobody writes beside us, so that the keys of new rows are ours to choose: all goes in as few
        statements as there are tables.
        """
        known = await _known(connection, rows)
        last = await connection.scalar(select(func.coalesce(func.max(RUNS.c.id), 0)))
        new: list[tuple[int, ReadyRow]] = []
        later: list[tuple[int, ReadyRow]] = []
        for row in rows:
            there = known.get(row.key)
            if there is None:
                new.append((int(last or 0) + len(new) + 1, row))
            elif row.place > there[1]:
                later.append((there[0], row))
        rows_of_runs = [(key, *row.values) for key, row in [*new, *later]]
        if later:
            await self.forget(connection, [key for key, _ in later])
        if rows_of_runs:
            await connection.exec_driver_sql(_ADD_RUN, rows_of_runs)
            await _add_rest(connection, [*new, *later])
        return len(new)

    async def keys_by_text(
        self, connection: AsyncConnection, wanted: TextSearch, bounds: Bounds, limit: int
    ) -> Sequence[int]:
        """Ask the full-text table, which knows of whom a text is."""
        text = wanted.text.replace('"', '""')
        tie = bounds.tie
        found = await connection.execute(
            _BY_TEXT,
            {
                "match": f'who : "{_who(wanted.tenant_id)}" AND text : "{text}"',
                "tenant_id": wanted.tenant_id,
                "kinds": self.as_numbers(wanted.kinds),
                "since_ms": bounds.since_ms,
                "below_ms": bounds.below_ms,
                "tie_ms": tie.finished_ms if tie else None,
                "tie_id": tie.run_id if tie else None,
                "limit": limit,
            },
        )
        return [int(row[0]) for row in found]

    async def old_keys(
        self, connection: AsyncConnection, before_ms: int, at_most: int
    ) -> Sequence[int]:
        """Go through all kinds, by their index."""
        found = await connection.execute(_OLD, {"before_ms": before_ms, "at_most": at_most})
        return [int(row[0]) for row in found]

    async def forget(self, connection: AsyncConnection, keys: Iterable[int]) -> None:
        """Delete runs, their documents and the texts of their errors."""
        packed = {"keys": self.as_numbers(list(keys))}
        await connection.execute(
            text("DELETE FROM history_errors WHERE rowid IN (SELECT value FROM json_each(:keys))"),
            packed,
        )
        for table, key in ((DOCUMENTS, DOCUMENTS.c.run_key), (RUNS, RUNS.c.id)):
            await connection.execute(delete(table).where(self.is_among(key, "keys")), packed)

    async def empty(self, connection: AsyncConnection) -> None:
        """Delete everything: whole tables, which is quick; the full-text table is made anew.

        Nothing is overwritten with zeros: what is built anew from the streams is no secret.
        """
        await connection.execute(text("PRAGMA secure_delete = OFF"))
        try:
            await connection.execute(text("DROP TABLE history_errors"))
            await connection.execute(text(SQLITE_ERRORS))
            for table in (DOCUMENTS, RUNS, KINDS, TENANTS):
                await connection.execute(delete(table))
        finally:
            await connection.execute(text("PRAGMA secure_delete = ON"))

    async def close(self) -> None:
        """Give the connections back; the last one carries the log into the file."""
        await self._readers.dispose()
        await self._writer.dispose()


def prepare_file(path: Path) -> None:
    """Make the file if there is none, for its owner alone; SQLite gives its log the same mode."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.fchmod(handle, 0o600)
            head = os.read(handle, len(_MAGIC))
        finally:
            os.close(handle)
    except OSError as error:
        raise SettingsError([f"the history's file {path} cannot be opened: {error}"]) from None
    if head not in {b"", _MAGIC}:
        raise SettingsError([f"the history's file {path} is none of SQLite's"])


async def _known(
    connection: AsyncConnection, rows: Sequence[ReadyRow]
) -> dict[tuple[int, str], tuple[int, tuple[int, int]]]:
    keys = json.dumps([row.key for row in rows])
    found = await connection.execute(_KNOWN, {"keys": keys})
    return {
        (tenant_id, run_id): (key, (sequence, position))
        for key, tenant_id, run_id, sequence, position in found
    }


async def _add_rest(connection: AsyncConnection, rows: Sequence[tuple[int, ReadyRow]]) -> None:
    """Add what stands beside the runs: documents, and texts of errors."""
    await connection.exec_driver_sql(_ADD_DOCUMENT, [(key, row.body) for key, row in rows])
    errors = [
        (key, _who(row.tenant_id), row.error_text)
        for key, row in rows
        if row.error_text is not None
    ]
    if errors:
        await connection.exec_driver_sql(_ADD_ERROR, errors)


def _who(tenant_id: int) -> str:
    """Write a tenant's number in three characters: one word of the full-text index."""
    rest, low = divmod(tenant_id, _WHO_BASE)
    high, middle = divmod(rest, _WHO_BASE)
    return "".join(chr(_WHO_FIRST + digit) for digit in (high, middle, low))


@asynccontextmanager
async def _transaction(engine: AsyncEngine, what: str) -> AsyncIterator[AsyncConnection]:
    with asking(what):
        async with engine.begin() as connection:
            yield connection


def _engine(path: Path, *, is_writer: bool) -> AsyncEngine:
    engine = create_async_engine(
        URL.create("sqlite+aiosqlite", database=str(path)),
        pool_size=1 if is_writer else READERS,
        max_overflow=0,
        pool_timeout=WAIT_SECONDS,
        hide_parameters=True,
        connect_args={"timeout": BUSY_SECONDS},
    )
    pragmas = [*_PRAGMAS, f"cache_size = -{WRITER_CACHE_KIB if is_writer else READER_CACHE_KIB}"]
    if not is_writer:
        pragmas.append("query_only = ON")

    def set_up(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # the driver begins no transactions of its own
        cursor = connection.cursor()
        for pragma in pragmas:
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if is_writer else "BEGIN")

    event.listen(engine.sync_engine, "connect", set_up)
    event.listen(engine.sync_engine, "begin", begin)
    return engine

"""The history in PostgreSQL.

In: an address. Out: a `Database`. Any number of processes write at once: a run's row is inserted or
changed in one statement, and whoever takes tenants or kinds away (erasure, reset) waits for those
who write, and they for it, by an advisory lock. UnavailableError when the server does not answer,
SettingsError when it lets us not in.
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final

import asyncpg
from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    FromClause,
    LargeBinary,
    Select,
    Table,
    Text,
    and_,
    any_,
    bindparam,
    column,
    delete,
    func,
    literal_column,
    or_,
    select,
    text,
    tuple_,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from actors.errors import UnavailableError
from app.errors import SettingsError
from app.history.store.database import Bounds, ReadyRow, TextSearch
from app.history.store.failures import RETRY_SECONDS, asking, told
from app.history.store.tables import DOCUMENTS, ERRORS, KINDS, RUNS, TENANTS, row_columns

CONNECTIONS: Final = 8
CONNECT_SECONDS: Final = 10.0
STATEMENT_SECONDS: Final = 60.0
WAIT_SECONDS: Final = 30.0
GATE: Final = 0x67726E7469630001
"""The advisory lock between writers (shared) and whoever changes tenants and kinds."""

_LETS_US_NOT_IN: Final = (
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.InsufficientPrivilegeError,
    asyncpg.UndefinedObjectError,
    asyncpg.ClientConfigurationError,
)
_OLD: Final = text(
    "SELECT r.id FROM history_kinds AS k CROSS JOIN LATERAL ("
    "SELECT id FROM history_runs WHERE kind_id = k.id AND finished_ms < :before_ms"
    " ORDER BY finished_ms LIMIT :at_most) AS r LIMIT :at_most"
)


class PostgresDatabase:
    """One database; ``secret`` is the password, kept out of every text."""

    def __init__(self, address: str, secret: str) -> None:
        self._secret = secret

        async def connect() -> Any:
            return await connect_to(address, secret, statement_seconds=STATEMENT_SECONDS)

        self._engine = create_async_engine(
            "postgresql+asyncpg://",
            async_creator=connect,
            pool_size=CONNECTIONS,
            max_overflow=0,
            pool_timeout=WAIT_SECONDS,
            pool_pre_ping=True,
            hide_parameters=True,
        )

    @property
    def engine(self) -> AsyncEngine:
        """For migrations."""
        return self._engine

    @asynccontextmanager
    async def reading(self, what: str) -> AsyncIterator[AsyncConnection]:
        """Open a transaction that only reads."""
        with asking(what, self._secret):
            async with self._engine.begin() as connection:
                yield connection

    def writing(self, what: str) -> AbstractAsyncContextManager[AsyncConnection]:
        """Open a transaction that writes rows, beside others."""
        return self._gated(what, func.pg_advisory_xact_lock_shared(GATE))

    def changing(self, what: str) -> AbstractAsyncContextManager[AsyncConnection]:
        """Open a transaction that nobody else writes beside."""
        return self._gated(what, func.pg_advisory_xact_lock(GATE))

    @asynccontextmanager
    async def _gated(self, what: str, gate: Any) -> AsyncIterator[AsyncConnection]:
        async with self.reading(what) as connection:
            await connection.execute(select(gate))
            yield connection

    def numbers(self, name: str) -> FromClause:
        """Give the numbers of a parameter, an array, as a table."""
        parameter = bindparam(name, type_=ARRAY(BigInteger))
        return func.unnest(parameter).table_valued("value").render_derived()

    def is_among(self, column: ColumnElement[int], name: str) -> ColumnElement[bool]:
        """Tell whether a column is one of the numbers of a parameter."""
        return column == any_(bindparam(name, type_=ARRAY(BigInteger)))

    def as_numbers(self, numbers: Sequence[int]) -> Any:
        """Give numbers as an array."""
        return list(numbers)

    def has_error_text(self, name: str) -> ColumnElement[bool]:
        """Look into the text that is kept of a run's error."""
        kept = select(ERRORS.c.text).where(ERRORS.c.run_key == RUNS.c.id).scalar_subquery()
        return func.strpos(kept, bindparam(name, type_=Text)) > 0

    def insert_new(self, table: Table) -> Any:
        """Give an insert that leaves out what is there."""
        return postgresql.insert(table).on_conflict_do_nothing()

    async def write(self, connection: AsyncConnection, rows: Sequence[ReadyRow]) -> int:
        """Insert or change runs in one statement, then write what stands beside them.

        It is done in the order of keys, so that no two writers wait for each other in a circle.
        """
        ordered = sorted(rows, key=lambda row: row.key)
        names = [f"row_{name}" for name in row_columns()]
        by_column = map(list, zip(*(row.values for row in ordered), strict=True))
        columns = dict(zip(names, by_column, strict=True))
        written = (await connection.execute(_UPSERT, columns)).all()
        by_key = {row.key: row for row in ordered}
        keyed = [(key, by_key[(tenant, run)]) for key, tenant, run, _ in written]
        changed = [key for key, _, _, is_new in written if not is_new]
        if changed:
            await connection.execute(
                delete(ERRORS).where(self.is_among(ERRORS.c.run_key, "keys")), {"keys": changed}
            )
        await _add_rest(connection, keyed)
        return len(written) - len(changed)

    async def keys_by_text(
        self, connection: AsyncConnection, wanted: TextSearch, bounds: Bounds, limit: int
    ) -> Sequence[int]:
        """Ask the trigram index, which knows of whom a text is."""
        found = await connection.execute(
            self._by_text(bounds),
            {
                "pattern": f"%{_escaped(wanted.text)}%",
                "tenant_id": wanted.tenant_id,
                "kinds": self.as_numbers(wanted.kinds),
                "limit": limit,
            },
        )
        return list(found.scalars())

    def _by_text(self, bounds: Bounds) -> Select[int]:
        is_in = ERRORS.c.finished_ms < bounds.below_ms
        if bounds.tie is not None:
            tie = bounds.tie
            is_tied = and_(ERRORS.c.finished_ms == tie.finished_ms, ERRORS.c.run_id < tie.run_id)
            is_in = or_(is_in, is_tied)
        return (
            select(ERRORS.c.run_key)
            .where(
                ERRORS.c.tenant_id == bindparam("tenant_id"),
                ERRORS.c.text.like(bindparam("pattern", type_=Text), escape="\\"),
                self.is_among(ERRORS.c.kind_id, "kinds"),
                ERRORS.c.finished_ms >= bounds.since_ms,
                is_in,
            )
            .order_by(ERRORS.c.finished_ms.desc(), ERRORS.c.run_id.desc())
            .limit(bindparam("limit"))
        )

    async def old_keys(
        self, connection: AsyncConnection, before_ms: int, at_most: int
    ) -> Sequence[int]:
        """Go through all kinds, by their index."""
        found = await connection.execute(_OLD, {"before_ms": before_ms, "at_most": at_most})
        return [int(row[0]) for row in found]

    async def forget(self, connection: AsyncConnection, keys: Iterable[int]) -> None:
        """Delete runs, their documents and the texts of their errors."""
        packed = {"keys": list(keys)}
        for table, key in (
            (ERRORS, ERRORS.c.run_key),
            (DOCUMENTS, DOCUMENTS.c.run_key),
            (RUNS, RUNS.c.id),
        ):
            await connection.execute(delete(table).where(self.is_among(key, "keys")), packed)

    async def empty(self, connection: AsyncConnection) -> None:
        """Delete everything: whole tables, which is quick and gives the disk back."""
        names = ", ".join(table.name for table in (ERRORS, DOCUMENTS, RUNS, KINDS, TENANTS))
        await connection.execute(text(f"TRUNCATE {names}"))

    async def close(self) -> None:
        """Give the connections back."""
        await self._engine.dispose()


async def connect_to(address: str, secret: str, *, statement_seconds: float | None) -> Any:
    """Connect as the address says, which is read as libpq reads it."""
    try:
        return await asyncpg.connect(
            address, timeout=CONNECT_SECONDS, command_timeout=statement_seconds
        )
    except _LETS_US_NOT_IN as error:
        raise SettingsError(
            [f"the history's database does not let us in: {told(error, secret)}"]
        ) from None
    except ValueError as error:
        raise SettingsError(
            [f"the history's database has an address that is none: {told(error, secret)}"]
        ) from None
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise UnavailableError(
            f"the history's database does not answer (connect): {told(error, secret)}",
            retry_after_seconds=RETRY_SECONDS,
        ) from None


def _escaped(text: str) -> str:
    for special in ("\\", "%", "_"):
        text = text.replace(special, f"\\{special}")
    return text


def _given(names_and_types: Sequence[tuple[str, Any]], prefix: str) -> FromClause:
    """Give rows as a table: a parameter for each column, with all its values."""
    parameters = [bindparam(f"{prefix}{name}", type_=ARRAY(kind)) for name, kind in names_and_types]
    columns = [column(name, kind) for name, kind in names_and_types]
    return func.unnest(*parameters).table_valued(*columns).render_derived()


def _build_upsert() -> Any:
    given = _given([(name, RUNS.c[name].type) for name in row_columns()], "row_")
    names = row_columns()
    insertion = postgresql.insert(RUNS).from_select(
        names, select(*[given.c[name] for name in names])
    )
    new = insertion.excluded
    return insertion.on_conflict_do_update(
        index_elements=[RUNS.c.tenant_id, RUNS.c.run_id],
        set_={name: new[name] for name in names},
        where=tuple_(new.sequence, new.position) > tuple_(RUNS.c.sequence, RUNS.c.position),
    ).returning(
        RUNS.c.id,
        RUNS.c.tenant_id,
        RUNS.c.run_id,
        # A row that was there is locked first, and that leaves its mark: this is how to tell.
        literal_column("history_runs.xmax = 0"),
    )


def _build_add_documents() -> Any:
    given = _given([("run_key", BigInteger()), ("body", LargeBinary())], "document_")
    insertion = postgresql.insert(DOCUMENTS).from_select(
        ["run_key", "body"], select(given.c.run_key, given.c.body)
    )
    return insertion.on_conflict_do_update(
        index_elements=[DOCUMENTS.c.run_key], set_={"body": insertion.excluded.body}
    )


def _build_add_errors() -> Any:
    names = [column.name for column in ERRORS.c]
    given = _given([(name, ERRORS.c[name].type) for name in names], "error_")
    return postgresql.insert(ERRORS).from_select(names, select(*[given.c[name] for name in names]))


_UPSERT: Final = _build_upsert()
_ADD_DOCUMENTS: Final = _build_add_documents()
_ADD_ERRORS: Final = _build_add_errors()


async def _add_rest(connection: AsyncConnection, rows: Sequence[tuple[int, ReadyRow]]) -> None:
    """Add what stands beside the runs: documents, and texts of errors."""
    if not rows:
        return
    await connection.execute(
        _ADD_DOCUMENTS,
        {"document_run_key": [key for key, _ in rows], "document_body": [r.body for _, r in rows]},
    )
    errors = [(key, row) for key, row in rows if row.error_text is not None]
    if errors:
        shared = ("finished_ms", "tenant_id", "kind_id", "run_id")
        await connection.execute(
            _ADD_ERRORS,
            {
                "error_run_key": [key for key, _ in errors],
                "error_text": [row.error_text for _, row in errors],
                **{f"error_{name}": [getattr(row, name) for _, row in errors] for name in shared},
            },
        )

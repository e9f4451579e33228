"""Opens the history: reads its address, brings its tables up to date.

In: ``sqlite:///path`` or ``postgresql://user:password@host/database``. Out: `HistoryStore`.
SettingsError for an address that is none, a database that was made by a newer version or lacks what
the search needs; UnavailableError when it does not answer. No text ever has the address's password.
"""

from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from sqlalchemy import exc, text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from app.errors import SettingsError
from app.history.store.failures import asking, told
from app.history.store.migrating import is_up_to_date, migrate
from app.history.store.postgres import PostgresDatabase, connect_to
from app.history.store.sqlite import SqliteDatabase, prepare_file
from app.history.store.store import HistoryStore

EXTENSIONS: Final = ("pg_trgm", "btree_gin")
MIGRATION_LOCK: Final = 0x67726E7469630002

_SQLITE: Final = "sqlite:///"
_POSTGRESQL: Final = ("postgresql://", "postgres://")
_HAS_FULL_TEXT: Final = text("SELECT 1 FROM pragma_module_list WHERE name = 'fts5'")
_FORMS: Final = "sqlite:///path or postgresql://user:password@host/database"


async def open_history(url: str) -> HistoryStore:
    """Open it, after migrations that two processes never run at once."""
    if url.startswith(_SQLITE):
        return await _open_sqlite(url.removeprefix(_SQLITE))
    if url.startswith(_POSTGRESQL):
        return await _open_postgresql(url)
    raise SettingsError([f"the history's database has an address like {_FORMS}, this has none"])


async def _open_sqlite(path: str) -> HistoryStore:
    if not path or path == ":memory:" or "?" in path:
        raise SettingsError(["the history's address is sqlite:/// and the path of a file"])
    file = Path(unquote(path))
    prepare_file(file)
    database = SqliteDatabase(file)
    try:
        async with database.writing("open the history") as connection:
            if not await connection.run_sync(is_up_to_date):
                await _check_full_text(connection)
                await connection.run_sync(migrate)
    except BaseException:
        await database.close()
        raise
    return HistoryStore(database)


async def _check_full_text(connection: AsyncConnection) -> None:
    if await connection.scalar(_HAS_FULL_TEXT) is None:
        raise SettingsError(["this Python's SQLite lacks fts5: keep the history in PostgreSQL"])


async def _open_postgresql(url: str) -> HistoryStore:
    secret = unquote(_password_of(url))

    async def connect() -> Any:
        return await connect_to(url, secret, statement_seconds=None)

    # Migrations may take longer than any statement of ours: they have a connection of their own.
    engine = create_async_engine(
        "postgresql+asyncpg://", async_creator=connect, poolclass=NullPool, hide_parameters=True
    )
    try:
        with asking("open the history", secret):
            async with engine.begin() as connection:
                lock = text("SELECT pg_advisory_xact_lock(:lock)")
                await connection.execute(lock, {"lock": MIGRATION_LOCK})
                if not await connection.run_sync(is_up_to_date):
                    await _make_extensions(connection, secret)
                    await connection.run_sync(migrate)
    finally:
        await engine.dispose()
    return HistoryStore(PostgresDatabase(url, secret))


async def _make_extensions(connection: AsyncConnection, secret: str) -> None:
    """Both come with PostgreSQL, and the owner of a database may create them."""
    for extension in EXTENSIONS:
        try:
            await connection.execute(text(f"CREATE EXTENSION IF NOT EXISTS {extension}"))
        except exc.DBAPIError as error:
            if error.connection_invalidated:
                raise
            said = f"the history's database lacks the extension {extension}: {told(error, secret)}"
            hint = f"have its owner run CREATE EXTENSION {extension}"
            raise SettingsError([f"{said}; {hint}"]) from None


def _password_of(url: str) -> str:
    try:
        return urlsplit(url).password or ""
    except ValueError:
        raise SettingsError([f"the history's database has an address like {_FORMS}"]) from None

"""Brings the tables of the history up to date, from the version that a database has to the newest.

In: a connection in a transaction that nobody else migrates beside. Out: nothing. SettingsError for
tables that a newer version of the program made. All migrations of one start are one transaction: a
failure leaves the database as it was.
"""

from pathlib import Path
from typing import Final

from sqlalchemy import Connection, Select, column, inspect, select, table

from app.errors import SettingsError
from app.history.store.tables import VERSION_TABLE
from app.history.store.versions import v0001_runs

NEWEST: Final = v0001_runs.revision

_VERSION: Final[Select[str]] = select(column("version_num")).select_from(table(VERSION_TABLE))
_SCRIPTS: Final = Path(__file__).parent
_VERSIONS: Final = _SCRIPTS / "versions"


def is_up_to_date(connection: Connection) -> bool:
    """Tell whether there is nothing to do, without loading what would do it."""
    return version_of(connection) == NEWEST


def version_of(connection: Connection) -> str | None:
    """Give the version of a database's tables; None: it has none."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    found: str | None = connection.scalar(_VERSION)
    return found


def migrate(connection: Connection) -> None:
    """Run what is missing."""
    # Imported here: half a second that a start with nothing to do is spared.
    from alembic.config import Config  # noqa: PLC0415
    from alembic.runtime.environment import EnvironmentContext  # noqa: PLC0415
    from alembic.script import ScriptDirectory  # noqa: PLC0415
    from alembic.util import CommandError  # noqa: PLC0415

    scripts = ScriptDirectory(str(_SCRIPTS), version_locations=[str(_VERSIONS)])
    try:
        # Alembic's own `upgrade` asks its scripts in the same way; no file of settings is needed.
        steps = scripts._upgrade_revs  # noqa: SLF001
        with EnvironmentContext(
            Config(), scripts, fn=lambda version, _: steps(NEWEST, version)
        ) as environment:
            environment.configure(connection=connection, version_table=VERSION_TABLE)
            environment.run_migrations()
    except CommandError as error:
        there = version_of(connection)
        text = f"the history's tables have version {there}, newer than {NEWEST}: {error}"
        raise SettingsError([text]) from None

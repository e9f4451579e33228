"""Where commands find the history of runs: the database that was named, or the data folder's.

In: what was said of where, the environment. Out: its URL, or None where there is no history to be
found. Refuses (CommandError) what is no database's URL, and never repeats one: it may hold a
password.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import quote

import typer

from app.cli.connecting import DATA_DIR_DEFAULT
from app.cli.reach import PANEL, Reach
from app.errors import CommandError
from app.settings.history import check_database_url
from app.settings.loading import load_settings

FILE: Final = "history.db"
"""In the data folder, unless the settings name a database."""
SETTINGS_FILE: Final = "greentic.toml"

DatabaseOption = Annotated[
    str | None,
    typer.Option(
        "--database-url",
        help="The history's database. Other users of this machine can read command lines: better "
        "GREENTIC_DATABASE_URL.",
        rich_help_panel=PANEL,
    ),
]


def find_history(
    reach: Reach, database_url: str | None, environment: Mapping[str, str]
) -> str | None:
    """Choose the database as `start` would. CommandError, SettingsError."""
    if database_url is not None:
        try:
            return check_database_url(database_url)
        except ValueError as error:
            raise CommandError(f"--database-url {error}") from None
    folder = _folder(reach, environment)
    beside = None if folder is None else folder.absolute().parent / SETTINGS_FILE
    settings = load_settings(beside if beside and beside.is_file() else None, environment, {})
    if settings.env != reach.bus_env:
        return None  # a history has the runs of one env, and this one is another's
    named = settings.history.database_url
    if named is not None:
        return named.get_secret_value()
    file = None if folder is None else folder.absolute() / FILE
    return f"sqlite:///{quote(str(file))}" if file is not None and file.is_file() else None


def _folder(reach: Reach, environment: Mapping[str, str]) -> Path | None:
    """Give the data folder that is meant; None: NATS is elsewhere, and so is its history."""
    if reach.data is not None:
        return reach.data
    if reach.nats_url is not None or environment.get("GREENTIC_NATS_URL"):
        return None
    return Path(environment.get("GREENTIC_DATA_DIR") or DATA_DIR_DEFAULT)

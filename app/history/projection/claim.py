"""Whose a database is: one in a file belongs to one process at a time, PostgreSQL to any number.

In: the database's URL. Out: a claim that lasts until it is given back or the process ends, however
it ends. ConflictError: another process has it.

SQLite itself would let two processes write in turn. But each has its own view of what it has read
from the streams, and two history processes beside one file are always a mistake.
"""

import fcntl
import os
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from app.errors import ConflictError, StoreError

SQLITE: Final = "sqlite:///"
LOCK_SUFFIX: Final = ".lock"
_MODE: Final = 0o600


class Claim:
    """A database that is ours. Make one with `claim_database`."""

    def __init__(self, file: int | None) -> None:
        self._file = file

    def give_back(self) -> None:
        """Let others have it."""
        file, self._file = self._file, None
        if file is not None:
            os.close(file)


def claim_database(url: str) -> Claim:
    """Claim it. ConflictError: another process has it; StoreError: its folder cannot be used."""
    path = file_of(url)
    if path is None:
        return Claim(None)
    lock = path.with_name(path.name + LOCK_SUFFIX)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _MODE)
    except OSError as error:
        raise StoreError(f"cannot use {lock} for the history: {error.strerror}") from None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(file)
        raise ConflictError(
            f"another process keeps the history in {path}: leave 'history' out of the roles of"
            " one of them, or use PostgreSQL, which several can share"
        ) from None
    return Claim(file)


def file_of(url: str) -> Path | None:
    """Give the file of a database in a file; None for any other."""
    return Path(url.removeprefix(SQLITE)) if url.startswith(SQLITE) else None


def shown_url(url: str) -> str:
    """Give a database's URL without its user's password."""
    if file_of(url) is not None:
        return url
    parts = urlsplit(url)
    login, at, place = parts.netloc.rpartition("@")
    user = login.partition(":")[0]
    return f"{parts.scheme}://{user}{at}{place}{parts.path}"

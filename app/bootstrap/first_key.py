"""The first platform key: made at the first start on a data folder, for the owner's eyes only.

In: the data folder and the keys. Out: the file ``platform.key`` with a key of ``platform-admin``.
Where there is such a file, or a platform key that is not revoked, it was not the first start, and
nothing is made. It gives nothing away: the folder holds the login to NATS itself. Refuses nothing;
what goes wrong is told, and ``greentic-events platform key add`` makes a key at any time.
"""

import os
from pathlib import Path
from typing import Final, TextIO

import structlog

from actors.errors import ActorsError
from app.audit.entry import OURSELVES
from app.control.keys import KeyDesk
from app.errors import AppError
from app.identity.scopes import PLATFORM_ADMIN
from app.stores.api_key import PLATFORM
from app.stores.api_keys import NewKey

KEY_FILE: Final = "platform.key"
KEY_NAME: Final = "first start"

_log = structlog.get_logger("app.keys")


async def make_first_key(desk: KeyDesk, data_dir: Path) -> None:
    """Make the key and its file where neither was ever made.

    The file comes first and is empty until the key is stored: a crash in between leaves a file
    without a key, and no key that nobody knows.
    """
    path = data_dir / KEY_FILE
    try:
        if path.exists() or await desk.list(PLATFORM):
            return
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        with os.fdopen(os.open(path, flags, 0o600), "w", encoding="ascii") as file:
            await _fill(desk, file, path)
        _log.info("platform_key.made", path=str(path))
    except (OSError, AppError, ActorsError) as error:
        code = getattr(error, "code", "os")
        _log.warning("platform_key.not_made", error_code=code, reason=str(error))


async def _fill(desk: KeyDesk, file: TextIO, path: Path) -> None:
    try:
        _, text = await desk.add(OURSELVES, NewKey(PLATFORM, KEY_NAME, [PLATFORM_ADMIN]))
    except BaseException:
        _forget(path)
        raise
    file.write(f"{text}\n")
    file.flush()
    os.fsync(file.fileno())


def _forget(path: Path) -> None:
    path.unlink(missing_ok=True)

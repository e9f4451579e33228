"""``emulators.json``: how other programs of the same user reach the emulators.

In: a data folder. Out: the URL, and the token that opens the control routes. The file is 0600 and
replaced in one step. Refuses, by treating it as absent, a file that names no server on loopback.
"""

import contextlib
import json
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from app.errors import SettingsError

FILE_NAME: Final = "emulators.json"
FILE_BYTES_MAX: Final = 16 * 1024
TOKEN_BYTES: Final = 24
LOOPBACK: Final = frozenset({"127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class EmulatorAccess:
    """Where the emulators are."""

    url: str
    token: str = field(repr=False)
    smtp_url: str = ""


def new_token() -> str:
    """Make a token."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def write_access(data_dir: Path, access: EmulatorAccess) -> None:
    """Write the file anew: a reader sees the old one or the new one. SettingsError."""
    path = data_dir / FILE_NAME
    fresh = path.with_name(f".{FILE_NAME}.{secrets.token_hex(8)}")
    document = {"url": access.url, "token": access.token, "smtp": access.smtp_url}
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        with os.fdopen(os.open(fresh, flags, 0o600), "w", encoding="utf-8") as file:
            file.write(json.dumps(document, indent=2) + "\n")
        fresh.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            fresh.unlink()
        raise SettingsError([f"cannot write {path}: {error.strerror}"]) from error


def read_access(data_dir: Path) -> EmulatorAccess | None:
    """Read the file; None where it is absent or not one of ours."""
    try:
        with (data_dir / FILE_NAME).open("rb") as file:
            document = json.loads(file.read(FILE_BYTES_MAX))
        url, token, smtp = document["url"], document["token"], document.get("smtp", "")
        is_ours = urlsplit(url).hostname in LOOPBACK and urlsplit(url).scheme == "http"
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    is_text = all(isinstance(each, str) for each in (url, token, smtp))
    return EmulatorAccess(url, token, smtp) if is_ours and is_text and token else None


def remove_access(data_dir: Path, access: EmulatorAccess) -> None:
    """Remove the file, unless another program has written its own by now."""
    if read_access(data_dir) == access:
        with contextlib.suppress(OSError):
            (data_dir / FILE_NAME).unlink()

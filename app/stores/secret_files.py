"""Tenants' secrets in mounted files: ``{directory}/{tenant}/{name}``, as Kubernetes mounts them.

In: an absolute folder. Out: the content of a tenant's file, read anew at each call, without one
line end. Refuses (PermanentError ``secret.unreadable``) what leads out of the tenant's folder, is
no regular file, is empty, no text, or over 64 KiB: it is a mistake, and a miss would hide it.

Links are followed as long as they end in the tenant's own folder. That folder may be a link too,
inside the mounted one, to a folder of the tenant's name: so a volume with a path for each tenant
is mounted, and so no tenant is given another's folder.
"""

import asyncio
import os
import stat
from pathlib import Path
from typing import Final

from actors.errors import PermanentError
from actors.ports import SECRET_BYTES_MAX
from actors.subjects import check_token
from app.stores.secrets import check_name

_READ: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
"""The links are resolved and judged before; a pipe must not hang the program."""
_ATTEMPTS: Final = 3
"""While a mounted folder is exchanged, what a link led to may be gone when it is opened."""
_LINE_ENDS: Final = (b"\r\n", b"\n")


class _RefusedError(Exception):
    """The file may not be used, for the reason in the text."""


class FileSecrets:
    """`actors.ports.Secrets` on a mounted folder."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    async def get(self, tenant: str, name: str) -> str | None:
        """Give the file's content, or None where there is no such file."""
        # Both are checked before they become parts of a path: neither is `..` or holds a slash.
        path = self._directory / check_token(tenant, "tenant") / check_name(name)
        try:
            content = await asyncio.to_thread(_read, self._directory, path)
            return None if content is None else content.decode()
        except UnicodeDecodeError:
            reason = "is no text in UTF-8"
        except _RefusedError as refused:
            reason = str(refused)
        except OSError as error:
            reason = f"cannot be read: {error.strerror}"
        text = f"the secret {name!r} cannot be opened: its mounted file {reason}"
        raise PermanentError(text, reason="secret.unreadable")


def _read(root: Path, path: Path) -> bytes | None:
    descriptor = _open(root, path)
    if descriptor is None:
        return None
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise _RefusedError("is no regular file")
        content = file.read(SECRET_BYTES_MAX + len(_LINE_ENDS[0]) + 1)
    for line_end in _LINE_ENDS:
        if content.endswith(line_end):
            content = content.removesuffix(line_end)
            break
    if not content:
        raise _RefusedError("is empty")
    if len(content) > SECRET_BYTES_MAX:
        raise _RefusedError(f"is longer than {SECRET_BYTES_MAX} bytes")
    return content


def _open(root: Path, path: Path) -> int | None:
    for _ in range(_ATTEMPTS):
        try:
            return os.open(_resolve(root, path), _READ)
        except FileNotFoundError:
            continue
    return None


def _resolve(root: Path, path: Path) -> Path:
    """Follow all links; FileNotFoundError for a link to nothing, which is a miss like no file."""
    try:
        top, folder = root.resolve(strict=True), path.parent.resolve(strict=True)
        real = (folder / path.name).resolve(strict=True)
    except NotADirectoryError:
        raise _RefusedError("has a file where the tenant's folder should be") from None
    except RuntimeError:  # Python 3.11 and 3.12 say so of a link that leads to itself
        raise _RefusedError("is a link that leads to itself") from None
    if not folder.is_relative_to(top) or folder == top or folder.name != path.parent.name:
        raise _RefusedError("lies in a folder that is not the tenant's own")
    if not real.is_relative_to(folder):
        raise _RefusedError("leads out of the tenant's folder")
    return real

"""The files of a bundle, read so that nothing outside its folder is ever touched.

In: paths relative to the bundle, with ``/`` between the parts. Out: their texts. Refuses paths and
symbolic links that lead out, files that are large, special or no UTF-8, and too many of them.
"""

import hashlib
import os
import stat
from pathlib import Path
from typing import Final

from app.bundle.problems import Problem

FILE_BYTES_MAX: Final = 1024 * 1024
FILES_MAX: Final = 5000
FOLDER_DEPTH_MAX: Final = 8
_BINARY_READ: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
"""Not blocking: a pipe with a flow's name must not hang the reader."""


class _RefusedError(Exception):
    """A file is not read; the text says why, after the file's name."""


class BundleFiles:
    """Reads a bundle's files, notes what was refused and hashes what was read."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self.problems: list[Problem] = []
        self._digests: dict[str, bytes] = {}

    @property
    def revision(self) -> str:
        """Content hash over the names and bytes of all that was read."""
        total = hashlib.sha256()
        for name, digest in sorted(self._digests.items()):
            total.update(f"{len(name.encode())}:{name}".encode() + digest)
        return total.hexdigest()

    def has_folder(self, folder: str) -> bool:
        """Tell whether the bundle has such a folder."""
        return self._is_inside(self.root / folder) and (self.root / folder).is_dir()

    def has_file(self, file: str) -> bool:
        """Tell whether the bundle has such a file."""
        return self._is_inside(self.root / file) and (self.root / file).is_file()

    def list_folders(self, folder: str) -> list[str]:
        """Name the folders directly inside a folder; none if there is no such folder."""
        if not self.has_folder(folder):
            return []
        entries = sorted(os.scandir(self.root / folder), key=lambda entry: entry.name)
        return [entry.name for entry in entries if entry.is_dir() and entry.name[0] != "."]

    def list_files(self, folder: str, suffix: str) -> list[str]:
        """Give the paths of all files below a folder that end in ``suffix``, sorted."""
        if not self.has_folder(folder):
            return []
        found: list[str] = []
        start = self.root / folder
        for current, folders, files in os.walk(start):
            depth = len(Path(current).relative_to(start).parts)
            folders[:] = sorted(name for name in folders if name[0] != ".")
            if depth >= FOLDER_DEPTH_MAX and folders:
                self._refuse(self._relative(current), f"is nested deeper than {FOLDER_DEPTH_MAX}")
                folders.clear()
            names = sorted(name for name in files if name.endswith(suffix) and name[0] != ".")
            found += [self._relative(Path(current) / name) for name in names]
            if len(found) > FILES_MAX:
                self._refuse(folder, f"has more than {FILES_MAX} {suffix} files")
                return found[:FILES_MAX]
        return sorted(found)

    def read_text(self, file: str) -> str | None:
        """Read a file, or note why it is refused and give None."""
        try:
            content, text = self._read(file)
        except _RefusedError as error:
            self._refuse(file, str(error))
            return None
        self._digests[file] = hashlib.sha256(content).digest()
        return text.replace("\r\n", "\n")

    def _read(self, file: str) -> tuple[bytes, str]:
        path = self.root / file
        if not self._is_inside(path):
            raise _RefusedError("leads out of the bundle")
        try:
            content = _read_bounded(path)
            return content, content.decode("utf-8-sig")
        except OSError as error:
            raise _RefusedError(f"cannot be read: {error.strerror}") from None
        except UnicodeDecodeError as error:
            raise _RefusedError(f"is no UTF-8 text (byte {error.start + 1})") from None

    def _relative(self, path: str | Path) -> str:
        return Path(path).relative_to(self.root).as_posix()

    def _is_inside(self, path: Path) -> bool:
        try:
            return path.resolve().is_relative_to(self.root)
        except (OSError, RuntimeError, ValueError):  # a loop of links, a NUL in a name
            return False

    def _refuse(self, file: str, why: str) -> None:
        self.problems.append(Problem("error", "bundle.file", f"{file} {why}", file))


def _read_bounded(path: Path) -> bytes:
    descriptor = os.open(path, _BINARY_READ)
    with os.fdopen(descriptor, "rb") as stream:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise _RefusedError("is no regular file")
        content = stream.read(FILE_BYTES_MAX + 1)
    if len(content) > FILE_BYTES_MAX:
        raise _RefusedError(f"is larger than {FILE_BYTES_MAX} bytes")
    return content

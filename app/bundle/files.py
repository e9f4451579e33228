"""The files of a bundle, read so that nothing outside it is ever touched.

In: paths relative to the bundle, with ``/`` between the parts. Out: their texts, from a folder or
from memory. Refuses paths and symbolic links that lead out, files that are large, special or no
UTF-8, and too many of them.
"""

import copy
import hashlib
import os
import stat
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Final, Self

from app.bundle.problems import Problem

FILE_BYTES_MAX: Final = 1024 * 1024
FILES_MAX: Final = 5000
FOLDER_DEPTH_MAX: Final = 8
_BINARY_READ: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
"""Not blocking: a pipe with a flow's name must not hang the reader."""


class _RefusedError(Exception):
    """A file is not read; the text says why, after the file's name."""


class BundleFiles(ABC):
    """Reads a bundle's files, notes what was refused and hashes what was read."""

    root: Path | None = None
    """The folder they are in; None where they are in none."""
    digest: str | None = None
    """Names the content for ever; None where it may change."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self._digests: dict[str, bytes] = {}

    def afresh(self) -> Self:
        """Give the same files with nothing read or refused yet: every reading is its own."""
        other = copy.copy(self)
        BundleFiles.__init__(other)
        return other

    @property
    def revision(self) -> str:
        """Content hash over the names and bytes of all that was read."""
        return self.digest or _hash_of(self._digests)

    @abstractmethod
    def has_folder(self, folder: str) -> bool:
        """Tell whether the bundle has such a folder."""

    @abstractmethod
    def has_file(self, file: str) -> bool:
        """Tell whether the bundle has such a file."""

    @abstractmethod
    def list_folders(self, folder: str) -> list[str]:
        """Name the folders directly inside a folder; none if there is no such folder."""

    @abstractmethod
    def list_files(self, folder: str, suffix: str) -> list[str]:
        """Give the paths of all files below a folder that end in ``suffix``, sorted."""

    def read_text(self, file: str) -> str | None:
        """Read a file, or note why it is refused and give None."""
        content = self.read_bytes(file)
        if content is None:
            return None
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            self._refuse(file, f"is no UTF-8 text (byte {error.start + 1})")
            return None
        self._digests[file] = hashlib.sha256(content).digest()
        return text.replace("\r\n", "\n")

    def read_bytes(self, file: str, bytes_max: int = FILE_BYTES_MAX) -> bytes | None:
        """Read a file as it is, or note why it is refused and give None."""
        try:
            return self._read(file, bytes_max)
        except _RefusedError as error:
            self._refuse(file, str(error))
            return None

    @abstractmethod
    def _read(self, file: str, bytes_max: int) -> bytes:
        """Give a file's bytes, or raise _RefusedError."""

    def _refuse(self, file: str, why: str) -> None:
        self.problems.append(Problem("error", "bundle.file", f"{file} {why}", file))

    def _refuse_depth(self, folder: str) -> None:
        self._refuse(folder, f"is nested deeper than {FOLDER_DEPTH_MAX}")

    def _refuse_crowd(self, folder: str, suffix: str) -> None:
        self._refuse(folder, f"has more than {FILES_MAX} {suffix} files")


class FolderFiles(BundleFiles):
    """Reads a bundle from a folder."""

    root: Path

    def __init__(self, root: Path) -> None:
        super().__init__()
        self.root = root.resolve()

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
                self._refuse_depth(self._relative(current))
                folders.clear()
            names = sorted(name for name in files if name.endswith(suffix) and name[0] != ".")
            found += [self._relative(Path(current) / name) for name in names]
            if len(found) > FILES_MAX:
                self._refuse_crowd(folder, suffix)
                return found[:FILES_MAX]
        return sorted(found)

    def _read(self, file: str, bytes_max: int) -> bytes:
        path = self.root / file
        if not self._is_inside(path):
            raise _RefusedError("leads out of the bundle")
        try:
            return _read_bounded(path, bytes_max)
        except OSError as error:
            raise _RefusedError(f"cannot be read: {error.strerror}") from None

    def _relative(self, path: str | Path) -> str:
        return Path(path).relative_to(self.root).as_posix()

    def _is_inside(self, path: Path) -> bool:
        try:
            return path.resolve().is_relative_to(self.root)
        except (OSError, RuntimeError, ValueError):  # a loop of links, a NUL in a name
            return False


class MemoryFiles(BundleFiles):
    """Reads a bundle that is wholly in memory and never changes."""

    digest: str

    def __init__(self, contents: Mapping[str, bytes], empty_folders: Collection[str] = ()) -> None:
        """``contents`` by their paths, which `archive` has checked; folders without any file."""
        super().__init__()
        self._contents = dict(sorted(contents.items()))
        self._empty = frozenset(empty_folders)
        self._folders = self._empty | {
            above for path in (*self._contents, *self._empty) for above in _folders_above(path)
        }
        self.digest = content_digest(self._contents, self._empty)

    @property
    def contents(self) -> Mapping[str, bytes]:
        """All files by their paths, sorted."""
        return self._contents

    @property
    def empty_folders(self) -> frozenset[str]:
        """The folders that are there without any file."""
        return self._empty

    def has_folder(self, folder: str) -> bool:
        """Tell whether the bundle has such a folder."""
        return _plain(folder) in self._folders

    def has_file(self, file: str) -> bool:
        """Tell whether the bundle has such a file."""
        return _plain(file) in self._contents

    def list_folders(self, folder: str) -> list[str]:
        """Name the folders directly inside a folder; none if there is no such folder."""
        start = _start_of(folder)
        if start is None:
            return []
        below = (path[len(start) :] for path in self._folders if path.startswith(start))
        return sorted(name for name in below if name and "/" not in name and name[0] != ".")

    def list_files(self, folder: str, suffix: str) -> list[str]:
        """Give the paths of all files below a folder that end in ``suffix``, sorted."""
        start = _start_of(folder)
        if start is None:
            return []
        found: list[str] = []
        too_deep: set[str] = set()
        for path in self._contents:
            if not path.startswith(start) or not path.endswith(suffix):
                continue
            parts = path[len(start) :].split("/")
            if any(part[0] == "." for part in parts):
                continue
            if len(parts) - 1 > FOLDER_DEPTH_MAX:
                too_deep.add(start + "/".join(parts[:FOLDER_DEPTH_MAX]))
                continue
            found.append(path)
        for path in sorted(too_deep):
            self._refuse_depth(path)
        if len(found) > FILES_MAX:
            self._refuse_crowd(folder, suffix)
        return found[:FILES_MAX]

    def _read(self, file: str, bytes_max: int) -> bytes:
        path = _plain(file)
        if path is None:
            raise _RefusedError("leads out of the bundle")
        content = self._contents.get(path)
        if content is None:
            raise _RefusedError("cannot be read: No such file or directory")
        if len(content) > bytes_max:
            raise _RefusedError(f"is larger than {bytes_max} bytes")
        return content


def open_files(source: Path | BundleFiles) -> BundleFiles:
    """Give the files of a bundle that is given as a folder or as its files, nothing read yet."""
    return source.afresh() if isinstance(source, BundleFiles) else FolderFiles(source)


def content_digest(contents: Mapping[str, bytes], empty_folders: Iterable[str] = ()) -> str:
    """Hash names and bytes of files, whatever their order: 64 hexadecimal digits."""
    digests = {path: hashlib.sha256(content).digest() for path, content in contents.items()}
    return _hash_of(digests | {f"{path}/": b"" for path in empty_folders})


def _hash_of(digests: Mapping[str, bytes]) -> str:
    total = hashlib.sha256()
    for name, digest in sorted(digests.items()):
        total.update(f"{len(name.encode())}:{name}".encode() + digest)
    return total.hexdigest()


def _plain(path: str) -> str | None:
    """Write a path without parts that say nothing; None if it leads out."""
    parts = [part for part in path.split("/") if part not in {"", "."}]
    return None if path.startswith("/") or ".." in parts else "/".join(parts)


def _start_of(folder: str) -> str | None:
    path = _plain(folder)
    return path if not path else f"{path}/"


def _folders_above(path: str) -> Iterable[str]:
    parts = path.split("/")[:-1]
    return ("/".join(parts[:count]) for count in range(len(parts) + 1))


def _read_bounded(path: Path, bytes_max: int) -> bytes:
    descriptor = os.open(path, _BINARY_READ)
    with os.fdopen(descriptor, "rb") as stream:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise _RefusedError("is no regular file")
        content = stream.read(bytes_max + 1)
    if len(content) > bytes_max:
        raise _RefusedError(f"is larger than {bytes_max} bytes")
    return content

"""A bundle as one value that never changes: a zip of exactly the files that a bundle consists of.

In: a bundle's files; bytes from a stranger. Out: a `BundleArchive`; its files, read in memory: no
archive is ever extracted. Refuses (BundleError) names that lead out, that are hidden or that no
bundle has, and all that `zip_reading` refuses.
"""

import io
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final

from app.bundle.answers_file import ANSWERS_NAMES
from app.bundle.checks import GMAP_SUFFIX, PACK_SUFFIX, salvage_manifest
from app.bundle.collecting import FLOW_SUFFIX, TEMPLATES_FOLDER, folder_of
from app.bundle.files import FILE_BYTES_MAX, FILES_MAX, BundleFiles, MemoryFiles, open_files
from app.bundle.models import Manifest, check_section
from app.bundle.problems import bundle_error
from app.bundle.reading import MANIFEST_NAMES
from app.bundle.tenant_answers import TENANTS_FOLDER, tenant_folder
from app.bundle.yaml import read_yaml
from app.bundle.zip_reading import NAME_BYTES_MAX, ZipLimits, archive_error, read_zip

ARCHIVE_BYTES_MAX: Final = 32 * 1024 * 1024
PACK_BYTES_MAX: Final = 16 * 1024 * 1024
FOLDERS_MAX: Final = 1000
PARTS_MAX: Final = 32
"""Of a name: no bundle is that deep."""

_APPS_FOLDER: Final = "apps"
_KINDS_IN_FOLDERS: Final = (
    ("flows", FLOW_SUFFIX),
    ("scripts", ".rhai"),
    (TEMPLATES_FOLDER, ".hbs"),
    (TENANTS_FOLDER, GMAP_SUFFIX),
    ("teams", GMAP_SUFFIX),
    ("providers", PACK_SUFFIX),
)
_APP_KINDS: Final = _KINDS_IN_FOLDERS[:3]
_SUFFIXES: Final = tuple(suffix for _, suffix in _KINDS_IN_FOLDERS)
_DATE: Final = (1980, 1, 1, 0, 0, 0)
"""The first that a zip can say: an archive does not depend on when it was made."""
_MODE: Final = 0o100644
_FOLDER_MODE: Final = 0o040755
_LEVEL: Final = 9
_CREATED_ON_UNIX: Final = 3


@dataclass(frozen=True, slots=True)
class BundleArchive:
    """A packed bundle. ``digest`` names its files' names and bytes: 64 hexadecimal digits.

    It is no hash of ``content``: two libraries may pack the same files into different bytes.
    """

    content: bytes = field(repr=False)
    digest: str


def pack_bundle(source: Path | BundleFiles) -> BundleArchive:
    """Pack a bundle, whether or not it can be started.

    Raises BundleError if one of its files cannot be read or there are too many or too large ones.
    """
    files = gather_files(source)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compresslevel=_LEVEL) as target:
        for folder in sorted(files.empty_folders):
            target.writestr(_zip_info(f"{folder}/", _FOLDER_MODE), b"")
        for name, content in files.contents.items():
            target.writestr(_zip_info(name, _MODE), content)
    packed = stream.getvalue()
    if len(packed) > ARCHIVE_BYTES_MAX:
        raise archive_error(f"is larger than {ARCHIVE_BYTES_MAX} bytes")
    return BundleArchive(packed, files.digest)


def open_archive(content: bytes, digest: str | None = None) -> MemoryFiles:
    """Give an archive's files; nothing is written anywhere.

    ``digest`` is what they must hash to, where that is known. Raises BundleError.
    """
    entries = read_zip(content, ZipLimits(FILES_MAX + FOLDERS_MAX, ARCHIVE_BYTES_MAX))
    contents = {each.name: each.content for each in entries if not each.name.endswith("/")}
    named = [each.name.removesuffix("/") for each in entries if each.name.endswith("/")]
    _check_contents(contents, named)
    files = MemoryFiles(contents, _without_files(named, contents))
    if digest is not None and digest != files.digest:
        raise archive_error(f"is not the bundle {digest}: its files hash to {files.digest}")
    return files


def gather_files(source: Path | BundleFiles) -> MemoryFiles:
    """Read all that belongs to a bundle into memory. Raises BundleError."""
    if isinstance(source, Path) and not source.is_dir():
        raise archive_error("there is no such folder", str(source))
    files = open_files(source)
    if isinstance(files, MemoryFiles):
        _check_contents(files.contents, files.empty_folders)
        return files
    apps = list(_app_folders(files))
    contents: dict[str, bytes] = {}
    total = 0
    for name in _names(files, apps):
        content = files.read_bytes(name, _bytes_max(name))
        if content is not None:
            contents[name] = content
            total += len(content)
        if total > ARCHIVE_BYTES_MAX:
            raise archive_error(f"has files of more than {ARCHIVE_BYTES_MAX} bytes")
    if files.problems:
        raise bundle_error(files.problems)
    # An app without flows is one nevertheless.
    empty = _without_files((PurePosixPath(app).as_posix() for app in apps), contents)
    _check_contents(contents, empty)
    return MemoryFiles(contents, empty)


def _names(files: BundleFiles, apps: Iterable[str]) -> list[str]:
    """Name the bundle's files as they are read: through links to folders inside it, too."""
    names = {name for name in (*MANIFEST_NAMES, *ANSWERS_NAMES) if files.has_file(name)}
    for tenant in files.list_folders(TENANTS_FOLDER):
        answers = (f"{tenant_folder(tenant)}{name}" for name in ANSWERS_NAMES)
        names |= {name for name in answers if files.has_file(name)}
    places = [
        *_KINDS_IN_FOLDERS,
        *((f"{app}/{kind}", end) for app in apps for kind, end in _APP_KINDS),
    ]
    for folder, suffix in places:
        names |= set(files.list_files(folder, suffix))
        if len(names) > FILES_MAX:
            raise archive_error(f"has more than {FILES_MAX} files")
    return sorted(names)


def _app_folders(files: BundleFiles) -> Iterator[str]:
    """Name the folders of apps that are there, listed by the manifest or not."""
    manifest = next((name for name in MANIFEST_NAMES if files.has_file(name)), None)
    text = None if manifest is None else files.read_text(manifest)
    if manifest is not None and text is not None:
        document = read_yaml(text, manifest)
        # A wrong manifest is packed as well as may be: whoever reads it tells what is wrong.
        known = salvage_manifest(
            document.data, check_section(document, (), document.data, Manifest)[1]
        )
        folders = (folder_of(app, entry) for app, entry in (known.apps or {}).items())
        yield from (folder for folder in folders if files.has_folder(folder))
    beside = (f"{_APPS_FOLDER}/{name}" for name in files.list_folders(_APPS_FOLDER))
    yield from (folder for folder in beside if files.has_folder(folder))


def _without_files(folders: Iterable[str], contents: Mapping[str, bytes]) -> set[str]:
    above = {parent.as_posix() for name in contents for parent in PurePosixPath(name).parents}
    return {folder for folder in folders if folder not in above}


def _check_contents(contents: Mapping[str, bytes], folders: Iterable[str]) -> None:
    """Refuse what no bundle consists of, or too much of what it does."""
    folders = list(folders)
    if len(contents) > FILES_MAX or len(folders) > FOLDERS_MAX:
        raise archive_error(f"has more than {FILES_MAX} files or {FOLDERS_MAX} folders")
    if sum(map(len, contents.values())) > ARCHIVE_BYTES_MAX:
        raise archive_error(f"has files of more than {ARCHIVE_BYTES_MAX} bytes")
    for name in (*contents, *folders):
        _check_name(name)
        if any(parent.as_posix() in contents for parent in PurePosixPath(name).parents):
            raise archive_error("is in a folder that is a file too", name)
    for name, content in contents.items():
        _check_file(name, content)
    if twice := sorted(contents.keys() & set(folders)):
        raise archive_error("is a file and a folder", twice[0])


def _check_file(name: str, content: bytes) -> None:
    if not _belongs(name):
        raise archive_error("is nothing that a bundle consists of", name)
    if len(content) > _bytes_max(name):
        raise archive_error(f"is larger than {_bytes_max(name)} bytes", name)


def _check_name(name: str) -> None:
    parts = name.split("/")
    if not name.isprintable() or "\\" in name:
        raise archive_error("has a character in its name that may not be there", ascii(name)[1:-1])
    if any(part[:1] in {"", "."} for part in parts):
        raise archive_error("leads out of the bundle, or is hidden", name)
    if len(parts) > PARTS_MAX or len(name.encode()) > NAME_BYTES_MAX:
        raise archive_error("is nested too deep, or its name is too long", name)


def _belongs(name: str) -> bool:
    folder, _, last = name.rpartition("/")
    if last in ANSWERS_NAMES:
        parts = folder.split("/")
        return not folder or (len(parts) == 2 and parts[0] == TENANTS_FOLDER)  # noqa: PLR2004
    return name in MANIFEST_NAMES or last.endswith(_SUFFIXES)


def _bytes_max(name: str) -> int:
    return PACK_BYTES_MAX if name.endswith(PACK_SUFFIX) else FILE_BYTES_MAX


def _zip_info(name: str, mode: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, _DATE)
    info.compress_type = zipfile.ZIP_STORED if name.endswith("/") else zipfile.ZIP_DEFLATED
    info.create_system = _CREATED_ON_UNIX
    info.external_attr = mode << 16
    return info

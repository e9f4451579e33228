"""Zip archives from strangers, read strictly and only in memory (PKWARE's APPNOTE 6.3.10).

In: bytes. Out: each entry's name and content. Refuses (BundleError) whatever two readers could
understand differently, or that takes more than it says: gaps, prefixes, comments and trailing
bytes; headers that contradict each other; streamed, encrypted, linked and doubled entries; zip64.

`zipfile` is not used, for it forgives most of this: it takes an archive behind a prefix, does not
compare the two headers of an entry beyond its name, and lets entries share the same bytes.
"""

import stat
import struct
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from app.bundle.problems import Problem, bundle_error
from app.errors import BundleError

NAME_BYTES_MAX: Final = 512

_END: Final = struct.Struct("<4s4H2LH")
_CENTRAL: Final = struct.Struct("<4s6H3L5H2L")
_LOCAL: Final = struct.Struct("<4s5H3L2H")
_END_MARK, _CENTRAL_MARK, _LOCAL_MARK = b"PK\5\6", b"PK\1\2", b"PK\3\4"
_ZIP64_LOCATOR: Final = b"PK\6\7"
_ZIP64_LOCATOR_BYTES: Final = 20

_ENCRYPTED: Final = 1 << 0 | 1 << 6 | 1 << 13
_STREAMED: Final = 1 << 3
_UTF8: Final = 1 << 11
_LEVEL: Final = 0b110
"""How hard the writer tried to deflate: says nothing to a reader."""
_STORED, _DEFLATED = 0, 8


@dataclass(frozen=True, slots=True)
class ZipLimits:
    """What an archive may hold."""

    entries_max: int
    bytes_max: int
    """Of all contents, unpacked; the archive itself may not be larger either."""


@dataclass(frozen=True, slots=True)
class ZipEntry:
    """One entry; a folder's name ends in ``/`` and it has no content."""

    name: str
    content: bytes


@dataclass(frozen=True, slots=True)
class _Header:
    """What the central directory says of an entry."""

    name: str
    raw_name: bytes
    flags: int
    method: int
    crc: int
    packed: int
    size: int
    offset: int


def archive_error(message: str, name: str = "archive") -> BundleError:
    """Make the error of an archive that is refused."""
    return bundle_error([Problem("error", "bundle.archive", message, name)])


def read_zip(content: bytes, limits: ZipLimits) -> list[ZipEntry]:
    """Give an archive's entries in its own order; BundleError if anything about it is odd."""
    if len(content) > limits.bytes_max:
        raise archive_error(f"is larger than {limits.bytes_max} bytes")
    count, directory_start, directory_end = _find_directory(content)
    if count > limits.entries_max:
        raise archive_error(f"has more than {limits.entries_max} entries")
    headers = list(_headers(content, count, directory_start, directory_end))
    _check_headers(headers, limits)
    entries = {}
    end = 0
    for header in sorted(headers, key=lambda each: each.offset):
        if header.offset != end:
            raise archive_error("has bytes that belong to no entry, or to two")
        start = _data_start(content, header)
        end = start + header.packed
        if end > directory_start:
            raise archive_error("ends too early", header.name)
        entries[header.name] = ZipEntry(header.name, _unpack(content[start:end], header))
    if end != directory_start:
        raise archive_error("has bytes that belong to no entry")
    return [entries[header.name] for header in headers]


def _find_directory(content: bytes) -> tuple[int, int, int]:
    """Give the number of entries, and where their directory begins and ends."""
    end = len(content) - _END.size
    if end < 0 or content[end : end + 4] != _END_MARK:
        raise archive_error("is no zip archive, or goes on behind its end")
    _, disk, first_disk, here, count, size, start, comment = _END.unpack_from(content, end)
    locator = end - _ZIP64_LOCATOR_BYTES
    if locator >= 0 and content[locator : locator + 4] == _ZIP64_LOCATOR:
        raise archive_error("is a zip64 archive, which no bundle needs")
    if disk or first_disk or here != count or comment:
        raise archive_error("is one of several disks, or has a comment")
    if start + size != end:
        raise archive_error("has bytes before, between or behind its parts")
    return count, start, end


def _headers(content: bytes, count: int, start: int, end: int) -> Iterator[_Header]:
    place = start
    for _ in range(count):
        if place + _CENTRAL.size > end or content[place : place + 4] != _CENTRAL_MARK:
            raise archive_error("has fewer entries than it says")
        found = _CENTRAL.unpack_from(content, place)
        flags, method, crc, packed, size = found[3], found[4], *found[7:10]
        name_bytes, extra_bytes, comment_bytes, disk, _, attributes, offset = found[10:17]
        raw_name = content[place + _CENTRAL.size : place + _CENTRAL.size + name_bytes]
        place += _CENTRAL.size + name_bytes + extra_bytes + comment_bytes
        name = _decode(raw_name, flags)
        _check_kind(name, flags, method, attributes >> 16)
        if disk or comment_bytes:
            raise archive_error("is on another disk, or has a comment", name)
        yield _Header(name, raw_name, flags, method, crc, packed, size, offset)
    if place != end:
        raise archive_error("has more entries than it says")


def _check_headers(headers: list[_Header], limits: ZipLimits) -> None:
    counts = Counter(header.name for header in headers)
    if twice := [name for name, count in counts.items() if count > 1]:
        raise archive_error("is there twice", twice[0])
    if sum(header.size for header in headers) > limits.bytes_max:
        raise archive_error(f"unpacks to more than {limits.bytes_max} bytes")


def _decode(raw: bytes, flags: int) -> str:
    if not 0 < len(raw) <= NAME_BYTES_MAX:
        raise archive_error(f"has an entry whose name has not 1 to {NAME_BYTES_MAX} bytes")
    try:
        return raw.decode("utf-8" if flags & _UTF8 else "ascii")
    except UnicodeDecodeError:
        raise archive_error("has an entry whose name is not said to be UTF-8, or is none") from None


def _check_kind(name: str, flags: int, method: int, mode: int) -> None:
    if flags & _ENCRYPTED:
        raise archive_error("is encrypted", name)
    if flags & _STREAMED:
        raise archive_error("was written as a stream, with its size behind it", name)
    if flags & ~(_UTF8 | _LEVEL) or method not in {_STORED, _DEFLATED}:
        raise archive_error("is packed in a way that is not read here", name)
    kind = stat.S_IFMT(mode)
    if kind not in {0, stat.S_IFDIR if name.endswith("/") else stat.S_IFREG}:
        raise archive_error("is a link or another special file", name)


def _data_start(content: bytes, header: _Header) -> int:
    """Give where an entry's content begins, if its own header says what the directory says."""
    place = header.offset
    if place + _LOCAL.size > len(content) or content[place : place + 4] != _LOCAL_MARK:
        raise archive_error("has no header where it should be", header.name)
    _, _, flags, method, _, _, crc, packed, size, name_bytes, extra_bytes = _LOCAL.unpack_from(
        content, place
    )
    name_start = place + _LOCAL.size
    raw_name = content[name_start : name_start + name_bytes]
    said = (raw_name, flags, method, crc, packed, size)
    if said != (
        header.raw_name, header.flags, header.method, header.crc, header.packed, header.size,
    ):  # fmt: skip
        raise archive_error("has two headers that contradict each other", header.name)
    return name_start + int(name_bytes) + int(extra_bytes)


def _unpack(packed: bytes, header: _Header) -> bytes:
    content = packed if header.method == _STORED else _inflate(packed, header)
    if len(content) != header.size or zlib.crc32(content) != header.crc:
        raise archive_error("is damaged: not what its header says", header.name)
    if header.name.endswith("/") and content:
        raise archive_error("is a folder with content", header.name)
    return content


def _inflate(packed: bytes, header: _Header) -> bytes:
    """Unpack no more than the header says: what it says has been held against the limits."""
    inflating = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        content = inflating.decompress(packed, header.size + 1)
    except zlib.error:
        raise archive_error("is damaged", header.name) from None
    if len(content) > header.size:
        raise archive_error("unpacks to more than it says", header.name)
    if not inflating.eof or inflating.unused_data or inflating.unconsumed_tail:
        raise archive_error("is damaged: its content goes on or breaks off", header.name)
    return content

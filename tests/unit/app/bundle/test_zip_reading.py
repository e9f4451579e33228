"""A zip archive that two readers could understand differently is not read at all."""

import io
import stat
import struct
import subprocess
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from app.bundle.zip_reading import ZipLimits, read_zip
from app.errors import BundleError

LIMITS = ZipLimits(entries_max=100, bytes_max=1024 * 1024)
LOCAL_BYTES, END_BYTES = 30, 22

Change = Callable[[bytearray], None]


def zipped(*entries: tuple[str | zipfile.ZipInfo, bytes], comment: bytes = b"") -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as target:
        for name, content in entries:
            target.writestr(name, content)
        target.comment = comment
    return stream.getvalue()


ONE = zipped(("a.txt", b"hello" * 100))
TWO = zipped(("a.txt", b"first"), ("b.txt", b"second"))


def central(content: bytes) -> int:
    """Where the central directory begins."""
    return int(struct.unpack_from("<L", content, len(content) - 6)[0])


def refused(content: bytes, limits: ZipLimits = LIMITS) -> str:
    with pytest.raises(BundleError) as error:
        read_zip(content, limits)
    return str(error.value)


def pairs(content: bytes) -> list[tuple[str, bytes]]:
    return [(entry.name, entry.content) for entry in read_zip(content, LIMITS)]


def test_entries_are_read() -> None:
    assert pairs(TWO) == [("a.txt", b"first"), ("b.txt", b"second")]
    assert pairs(zipped(("d/", b""), ("d/ü.txt", b""))) == [("d/", b""), ("d/ü.txt", b"")]
    assert pairs(zipped()) == []


def test_stored_entries_are_read() -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as target:
        target.writestr("a", b"plain")
    assert pairs(stream.getvalue()) == [("a", b"plain")]


def test_the_zip_of_a_shell_is_read(tmp_path: Path) -> None:
    """`python -m zipfile` writes what most programs write: dates, modes, entries of folders."""
    (tmp_path / "flows").mkdir()
    (tmp_path / "flows" / "a.ygtc").write_text("name: a")
    target = tmp_path / "out.zip"
    command = ["python3", "-m", "zipfile", "-c", str(target), "flows"]
    subprocess.run(command, cwd=tmp_path, check=True)
    assert ("flows/a.ygtc", b"name: a") in pairs(target.read_bytes())


@pytest.mark.parametrize(
    ("content", "why"),
    [
        pytest.param(b"", "is no zip archive", id="empty"),
        pytest.param(b"PK\x05\x06", "is no zip archive", id="cut"),
        pytest.param(ONE + b"x", "goes on behind its end", id="trailing"),
        pytest.param(ONE + ONE, "before, between or behind", id="two"),
        pytest.param(b"#!/bin/sh\n" + ONE, "before, between or behind", id="prefix"),
        pytest.param(zipped(("a", b""), comment=b"hi"), "goes on behind", id="comment"),
        pytest.param(ONE[:-1], "is no zip archive", id="cut-end"),
        pytest.param(ONE[1:], "before, between or behind", id="cut-start"),
    ],
)
def test_an_archive_is_nothing_but_its_parts(content: bytes, why: str) -> None:
    assert why in refused(content)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_stands_there_once() -> None:
    assert "a.txt:1:1: is there twice" in refused(zipped(("a.txt", b"1"), ("a.txt", b"2")))


def with_mode(name: str, mode: int, *, system: int = 3) -> bytes:
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    info.create_system = system
    return zipped((info, b"" if name.endswith("/") else b"/etc/passwd"))


@pytest.mark.parametrize("system", [0, 3, 19])
@pytest.mark.parametrize(
    "kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFSOCK, stat.S_IFDIR]
)
def test_links_and_special_files_are_refused(kind: int, system: int) -> None:
    assert "is a link" in refused(with_mode("a", kind | 0o777, system=system))


def test_ordinary_modes_are_not() -> None:
    assert pairs(with_mode("a", stat.S_IFREG | 0o4755))
    assert pairs(with_mode("a", 0))
    assert pairs(with_mode("a/", stat.S_IFDIR | 0o777))
    assert "is a link" in refused(with_mode("a/", stat.S_IFLNK | 0o777))


def put(place: str, offset: int, form: str, value: int) -> Change:
    """Set a field of the first entry: in its own header, in the directory's, or in both."""

    def change(content: bytearray) -> None:
        start = central(bytes(content))
        if place in {"local", "both"}:
            struct.pack_into(form, content, offset, value)
        if place in {"central", "both"}:
            struct.pack_into(form, content, start + offset + 2, value)

    return change


FLAGS, METHOD, CRC, PACKED, SIZE = 6, 8, 14, 18, 22
"""Offsets in an entry's own header; in the directory's they are two more."""


@pytest.mark.parametrize(
    ("change", "why"),
    [
        pytest.param(put("both", FLAGS, "<H", 1), "is encrypted", id="encrypted"),
        pytest.param(put("both", FLAGS, "<H", 1 << 6), "is encrypted", id="strongly"),
        pytest.param(put("both", FLAGS, "<H", 1 << 3), "written as a stream", id="streamed"),
        pytest.param(put("both", FLAGS, "<H", 1 << 5), "not read here", id="patched"),
        pytest.param(put("both", METHOD, "<H", 12), "not read here", id="bzip2"),
        pytest.param(put("central", FLAGS, "<H", 1), "is encrypted", id="central-flags"),
        pytest.param(put("local", FLAGS, "<H", 1), "contradict", id="local-flags"),
        pytest.param(put("local", METHOD, "<H", 0), "contradict", id="local-method"),
        pytest.param(put("local", CRC, "<L", 0), "contradict", id="local-crc"),
        pytest.param(put("central", SIZE, "<L", 7), "contradict", id="central-size"),
        pytest.param(put("both", CRC, "<L", 0), "not what its header says", id="crc"),
        pytest.param(put("both", SIZE, "<L", 499), "unpacks to more", id="more-than-said"),
        pytest.param(put("both", SIZE, "<L", 501), "not what its header says", id="less"),
        pytest.param(put("both", METHOD, "<H", 0), "not what its header says", id="stored"),
        pytest.param(put("both", PACKED, "<L", 9), "goes on or breaks off", id="packed-less"),
        pytest.param(put("both", PACKED, "<L", 900), "ends too early", id="packed-more"),
        pytest.param(put("both", SIZE, "<L", 0xFFFFFFFF), "unpacks to more", id="size-max"),
    ],
)
def test_headers_that_lie_are_refused(change: Change, why: str) -> None:
    content = bytearray(ONE)
    change(content)
    assert why in refused(bytes(content))


def test_an_entrys_two_names_are_one() -> None:
    content = bytearray(ONE)
    content[LOCAL_BYTES : LOCAL_BYTES + 5] = b"b.txt"
    assert "contradict" in refused(bytes(content))


def test_entries_do_not_share_bytes() -> None:
    """The bomb whose entries overlap: here the second one is the first one again."""
    content = bytearray(TWO)
    first = central(bytes(content))
    second = content.index(b"PK\x01\x02", first + 4)
    struct.pack_into("<L", content, second + 42, 0)
    assert "belong to no entry, or to two" in refused(bytes(content))


def test_bytes_between_entries_are_refused() -> None:
    start = central(ONE)
    content = bytearray(ONE[:start] + b"hidden" + ONE[start:])
    struct.pack_into("<L", content, len(content) - 6, start + 6)
    assert "belong to no entry" in refused(bytes(content))


@pytest.mark.parametrize(("count", "why"), [(0, "more entries"), (2, "fewer entries")])
def test_the_number_of_entries_is_what_it_says(count: int, why: str) -> None:
    content = bytearray(ONE)
    struct.pack_into("<2H", content, len(content) - 14, count, count)
    assert why in refused(bytes(content))


def test_several_disks_and_zip64_are_refused() -> None:
    content = bytearray(ONE)
    struct.pack_into("<H", content, len(content) - 18, 1)
    assert "one of several disks" in refused(bytes(content))
    locator = b"PK\x06\x07" + bytes(16)
    assert "is a zip64 archive" in refused(ONE[:-END_BYTES] + locator + ONE[-END_BYTES:])


def test_names_are_ascii_or_said_to_be_utf8() -> None:
    plain = zipped(("x.txt", b""))
    assert "not said to be UTF-8" in refused(plain.replace(b"x.txt", b"\xfc.txt"))
    marked = zipped(("ü.txt", b""))
    assert "not said to be UTF-8" in refused(marked.replace("ü".encode(), b"\xff\xfe"))
    assert "has not 1 to" in refused(zipped(("x" * 513, b"")))


def test_a_bomb_is_refused_before_it_is_unpacked() -> None:
    bomb = zipped(("a", bytes(2 * LIMITS.bytes_max)))
    assert len(bomb) < 10_000
    assert "unpacks to more than" in refused(bomb)
    halves = zipped(*((str(at), bytes(LIMITS.bytes_max // 4)) for at in range(5)))
    assert "unpacks to more than" in refused(halves)


def test_a_bomb_that_says_it_is_small_is_not_unpacked_further() -> None:
    content = bytearray(zipped(("a", bytes(50 * 1024 * 1024))))
    put("both", SIZE, "<L", 10)(content)
    put("both", CRC, "<L", zlib.crc32(bytes(10)))(content)
    assert "unpacks to more than it says" in refused(bytes(content))


def test_too_many_entries_and_too_many_bytes_are_refused() -> None:
    many = zipped(*((str(at), b"") for at in range(3)))
    assert "more than 2 entries" in refused(many, ZipLimits(2, 10_000))
    assert "is larger than 100 bytes" in refused(many, ZipLimits(10, 100))


def test_a_folder_has_no_content() -> None:
    content = zipped(("aX", b"not empty")).replace(b"aX", b"a/")
    assert "folder with content" in refused(content)

"""Nothing outside the bundle's folder is ever read."""

import os
from pathlib import Path

import pytest

from app.bundle import files as files_module
from app.bundle.files import FILE_BYTES_MAX, FolderFiles


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "bundle"
    (folder / "flows" / "auth").mkdir(parents=True)
    (folder / "flows" / "b.ygtc").write_text("b")
    (folder / "flows" / "a.ygtc").write_text("a")
    (folder / "flows" / "auth" / "login.ygtc").write_text("l")
    (folder / "flows" / ".hidden.ygtc").write_text("h")
    (folder / "flows" / "notes.txt").write_text("n")
    (tmp_path / "secret.txt").write_text("secret")
    return folder


def why(files: FolderFiles) -> list[str]:
    return [problem.message for problem in files.problems]


def test_files_are_listed_in_order_through_folders(root: Path) -> None:
    assert FolderFiles(root).list_files("flows", ".ygtc") == [
        "flows/a.ygtc",
        "flows/auth/login.ygtc",
        "flows/b.ygtc",
    ]
    assert FolderFiles(root).list_files("absent", ".ygtc") == []
    assert FolderFiles(root).list_folders("flows") == ["auth"]
    assert FolderFiles(root).list_folders("absent") == []


@pytest.mark.parametrize("path", ["../secret.txt", "flows/../../secret.txt", "/etc/hostname"])
def test_paths_that_lead_out_are_refused(root: Path, path: str) -> None:
    files = FolderFiles(root)
    assert files.read_text(path) is None
    assert why(files) == [f"{path} leads out of the bundle"]
    assert not files.has_file(path)


def test_links_that_lead_out_are_refused(root: Path) -> None:
    (root / "flows" / "evil.ygtc").symlink_to(root.parent / "secret.txt")
    (root / "loop.ygtc").symlink_to(root / "loop.ygtc")
    (root / "outside").symlink_to(root.parent)
    files = FolderFiles(root)
    assert files.read_text("flows/evil.ygtc") is None
    assert not files.has_folder("outside")
    assert not files.has_file("loop.ygtc")
    assert files.list_files("outside", ".txt") == []


def test_links_that_stay_inside_are_followed(root: Path) -> None:
    (root / "flows" / "c.ygtc").symlink_to(root / "flows" / "a.ygtc")
    assert FolderFiles(root).read_text("flows/c.ygtc") == "a"


def test_a_pipe_does_not_hang_the_reader(root: Path) -> None:
    os.mkfifo(root / "pipe")
    files = FolderFiles(root)
    assert files.read_text("pipe") is None
    assert why(files) == ["pipe is no regular file"]


def test_large_absent_and_binary_files_are_refused(root: Path) -> None:
    (root / "large").write_bytes(b"x" * (FILE_BYTES_MAX + 1))
    (root / "binary").write_bytes(b"ab\xff")
    files = FolderFiles(root)
    assert [files.read_text(name) for name in ("large", "binary", "absent")] == [None] * 3
    assert why(files) == [
        f"large is larger than {FILE_BYTES_MAX} bytes",
        "binary is no UTF-8 text (byte 3)",
        "absent cannot be read: No such file or directory",
    ]


def test_a_mark_and_windows_line_ends_vanish(root: Path) -> None:
    (root / "w.ygtc").write_bytes(b"\xef\xbb\xbfa: 1\r\nb: 2\r\n")
    assert FolderFiles(root).read_text("w.ygtc") == "a: 1\nb: 2\n"


def test_the_revision_follows_content_and_names_not_order(root: Path) -> None:
    one, two, three = FolderFiles(root), FolderFiles(root), FolderFiles(root)
    for name in ("flows/a.ygtc", "flows/b.ygtc"):
        one.read_text(name)
    for name in ("flows/b.ygtc", "flows/a.ygtc"):
        two.read_text(name)
    assert one.revision == two.revision
    (root / "flows" / "a.ygtc").write_text("changed")
    for name in ("flows/a.ygtc", "flows/b.ygtc"):
        three.read_text(name)
    assert three.revision != one.revision


def test_deep_and_numerous_files_are_refused(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = root / "flows" / "/".join("abcdefghi")
    deep.mkdir(parents=True)
    files = FolderFiles(root)
    files.list_files("flows", ".ygtc")
    assert "is nested deeper" in why(files)[0]
    monkeypatch.setattr(files_module, "FILES_MAX", 2)
    crowded = FolderFiles(root)
    assert len(crowded.list_files("flows", ".ygtc")) == 2
    assert "more than 2" in why(crowded)[-1]

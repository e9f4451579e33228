"""Archives hold exactly what a bundle consists of, and read like the folder they were made of."""

import io
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from app.bundle import archive as archive_module
from app.bundle.archive import BundleArchive, open_archive, pack_bundle
from app.bundle.files import FILE_BYTES_MAX, MemoryFiles
from app.bundle.problems import Problem
from app.bundle.reading import inspect_bundle, read_bundle
from app.errors import BundleError

MANIFEST = 'name: shop\nversion: "1"\napps: {orders: {}, empty: {}, far: {path: services/far}}\n'
FLOW = """\
name: {name}
version: "1"
triggers: [{{type: event, event_type: order.created, target: say}}]
nodes: [{{id: say, type: log, config: {{message: "hello"}}}}]
"""


def flow(name: str) -> str:
    return FLOW.format(name=name)


BELONGING = {
    "greentic.demo.yaml": MANIFEST,
    "answers.json": "{}",
    "flows/root.ygtc": flow("root"),
    "flows/deep/er.ygtc": flow("deep"),
    "scripts/shared.rhai": "fn twice(x) { 2 * x }",
    "templates/mail.hbs": "Dear {{name}}",
    "apps/orders/flows/orders.ygtc": flow("orders"),
    "apps/orders/scripts/own.rhai": "fn once(x) { x }",
    "services/far/flows/far.ygtc": flow("far"),
    "tenants/demo/answers.yaml": "{}",
    "providers/events/events-timer.gtpack": "\x00pack",
}
OTHERS = {
    "greentic.toml": "[nats]",
    "README.md": "read me",
    ".greentic/jetstream/blk": "data",
    ".git/config": "git",
    "flows/.draft.ygtc": flow("draft"),
    "flows/root.tests.yaml": "tests: []",
    "flows/notes.txt": "notes",
    "apps/orders/answers.json": "{}",
    "elsewhere/stray.ygtc": flow("stray"),
    "apps/empty/README.md": "nothing yet",
}


def write(root: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return write(tmp_path / "bundle", BELONGING | OTHERS)


def reason(content: bytes, digest: str | None = None) -> str:
    with pytest.raises(BundleError) as refused:
        open_archive(content, digest)
    (problem,) = refused.value.problems
    assert isinstance(problem, Problem)
    assert problem.code == "bundle.archive"
    return f"{problem.file}: {problem.message}"


def zipped(files: Mapping[str, bytes | str]) -> bytes:
    """What another program's archive of these entries looks like."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as target:
        for name, content in files.items():
            target.writestr(name, content)
    return stream.getvalue()


# ── Packing ──────────────────────────────────────────────────────────────────────────────────


def test_an_archive_holds_what_belongs_to_a_bundle_and_nothing_else(bundle: Path) -> None:
    packed = pack_bundle(bundle)
    files = open_archive(packed.content, packed.digest)
    assert {name: content.decode() for name, content in files.contents.items()} == BELONGING
    assert files.empty_folders == {"apps/empty"}


def test_an_archive_reads_like_its_folder(bundle: Path) -> None:
    packed = pack_bundle(bundle)
    folder, archive = inspect_bundle(bundle), inspect_bundle(open_archive(packed.content))
    assert folder.bundle is not None
    assert archive.bundle is not None
    assert archive.problems == folder.problems
    assert archive.files == folder.files
    assert archive.bundle.apps == folder.bundle.apps
    assert archive.bundle.templates == folder.bundle.templates
    assert archive.bundle.tenants["demo"].flows.keys() == {"root", "deep", "orders", "far"}
    assert archive.bundle.root is None
    assert archive.bundle.revision == packed.digest


def test_the_same_files_are_the_same_archive_whenever_and_wherever_they_were_written(
    bundle: Path, tmp_path: Path
) -> None:
    other = write(tmp_path / "other", dict(reversed([*BELONGING.items()])))
    (other / "apps" / "empty").mkdir()
    for path in other.rglob("*"):
        path.chmod(0o700)
        os.utime(path, (1_000_000_000, 1_000_000_000))
    assert pack_bundle(other) == pack_bundle(bundle)


@pytest.mark.parametrize("name", sorted(BELONGING))
def test_each_files_bytes_and_name_count(bundle: Path, name: str) -> None:
    before = pack_bundle(bundle).digest
    (bundle / name).write_text(BELONGING[name] + " ")
    changed = pack_bundle(bundle).digest
    (bundle / name).unlink()
    assert len({before, changed, pack_bundle(bundle).digest}) == 3


def test_the_last_files_of_an_app_going_leave_the_app(bundle: Path) -> None:
    (bundle / "services" / "far" / "flows" / "far.ygtc").unlink()
    packed = pack_bundle(bundle)
    assert "services/far" in open_archive(packed.content).empty_folders
    assert pack_bundle(open_archive(packed.content)) == packed


def test_links_inside_are_followed_and_links_that_lead_out_refused(
    bundle: Path, tmp_path: Path
) -> None:
    (bundle / "flows" / "again.ygtc").symlink_to(bundle / "flows" / "root.ygtc")
    (bundle / "apps" / "linked").symlink_to(bundle / "services" / "far")
    (bundle / "apps" / "outside").symlink_to(tmp_path)
    write(tmp_path, {"flows/secret.ygtc": "secret"})
    contents = open_archive(pack_bundle(bundle).content).contents
    assert contents["flows/again.ygtc"] == contents["flows/root.ygtc"]
    assert contents["apps/linked/flows/far.ygtc"] == contents["services/far/flows/far.ygtc"]
    assert not any(name.startswith("apps/outside") for name in contents)
    (bundle / "flows" / "evil.ygtc").symlink_to(tmp_path / "flows" / "secret.ygtc")
    with pytest.raises(BundleError, match=r"flows/evil\.ygtc leads out of the bundle"):
        pack_bundle(bundle)


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        pytest.param("flows/big.ygtc", "x" * (FILE_BYTES_MAX + 1), "is larger than", id="large"),
        pytest.param("flows/a\\b.ygtc", "x", "character in its name", id="backslash"),
        pytest.param("flows/a\nb.ygtc", "x", "character in its name", id="line-end"),
        pytest.param("flows/a\udcff.ygtc", "x", "character in its name", id="no-unicode"),
    ],
)
def test_what_no_archive_can_hold_is_not_packed(
    bundle: Path, name: str, text: str, why: str
) -> None:
    write(bundle, {name: text})
    with pytest.raises(BundleError, match=why):
        pack_bundle(bundle)


def test_too_much_is_not_packed(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive_module, "ARCHIVE_BYTES_MAX", 100)
    with pytest.raises(BundleError, match="has files of more than 100 bytes"):
        pack_bundle(bundle)
    monkeypatch.undo()
    monkeypatch.setattr(archive_module, "FILES_MAX", 5)
    with pytest.raises(BundleError, match="has more than 5 files"):
        pack_bundle(bundle)


def test_there_must_be_a_folder(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="there is no such folder"):
        pack_bundle(tmp_path / "absent")


def test_a_wrong_manifest_is_packed_for_others_to_judge(bundle: Path) -> None:
    write(bundle, {"greentic.demo.yaml": MANIFEST + "surprise: 1\n"})
    packed = pack_bundle(bundle)
    assert "services/far/flows/far.ygtc" in open_archive(packed.content).contents
    with pytest.raises(BundleError, match="surprise"):
        read_bundle(open_archive(packed.content))


def test_the_content_does_not_show_when_an_archive_is_logged(bundle: Path) -> None:
    assert "PK" not in repr(pack_bundle(bundle))


# ── Opening ──────────────────────────────────────────────────────────────────────────────────


def test_another_programs_archive_has_the_digest_of_its_files() -> None:
    files = {"greentic.demo.yaml": b"name: x", "apps/": b"", "flows/a.ygtc": b"name: a"}
    opened = open_archive(zipped(files))
    assert opened.contents == {name: files[name] for name in ("flows/a.ygtc", "greentic.demo.yaml")}
    again = pack_bundle(opened)
    assert again.digest == opened.digest
    assert again.content != zipped(files)


def test_an_archive_must_be_the_one_that_was_asked_for(bundle: Path) -> None:
    packed = pack_bundle(bundle)
    assert open_archive(packed.content, packed.digest).digest == packed.digest
    assert "is not the bundle 00" in reason(packed.content, "0" * 64)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("../flows/a.ygtc", "leads out"),
        ("flows/../../a.ygtc", "leads out"),
        ("/flows/a.ygtc", "leads out"),
        ("flows//a.ygtc", "leads out"),
        ("./flows/a.ygtc", "leads out"),
        ("flows\\a.ygtc", "character in its name"),
        ("flows/a\tb.ygtc", "character in its name"),
        ("flows/\u202egtc.ygtc", "character in its name"),
        ("flows/.a.ygtc", "is hidden"),
        (".greentic/a.ygtc", "is hidden"),
        ("C:/a.exe", "is nothing that a bundle consists of"),
        ("greentic.toml", "is nothing that a bundle consists of"),
        ("flows/answers.json", "is nothing that a bundle consists of"),
        ("tenants/a/b/answers.json", "is nothing that a bundle consists of"),
        ("flows/greentic.yaml", "is nothing that a bundle consists of"),
        ("a/" * 32 + "b.ygtc", "nested too deep"),
        ("../", "leads out"),
        (".hidden/", "is hidden"),
    ],
    ids=ascii,
)
def test_names_that_no_bundle_has_are_refused(name: str, why: str) -> None:
    assert why in reason(zipped({"greentic.demo.yaml": "name: x", name: ""}))


@pytest.mark.parametrize(
    "names", [("a.ygtc", "a.ygtc/b.ygtc"), ("a.ygtc", "a.ygtc/"), ("a.ygtc/", "a.ygtc")], ids=str
)
def test_nothing_is_a_file_and_a_folder(names: tuple[str, ...]) -> None:
    assert " a file" in reason(zipped(dict.fromkeys(names, b"")))


def test_large_files_are_refused_and_packs_may_be_larger() -> None:
    large = b"x" * (FILE_BYTES_MAX + 1)
    assert "is larger than" in reason(zipped({"flows/a.ygtc": large}))
    assert open_archive(zipped({"providers/events/x.gtpack": large})).contents


def test_too_many_files_are_refused() -> None:
    assert "more than" in reason(zipped({f"flows/{at}.ygtc": "" for at in range(5001)}))
    assert "more than" in reason(zipped({f"flows/{at}/": "" for at in range(1001)}))


def test_opening_writes_nothing(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed = pack_bundle(bundle)
    empty = tmp_path / "empty"
    empty.mkdir(mode=0o500)
    monkeypatch.chdir(empty)
    read_bundle(open_archive(packed.content))
    assert list(empty.iterdir()) == []


def test_memory_is_packed_like_a_folder_and_held_against_the_same_rules() -> None:
    files = {name: text.encode() for name, text in BELONGING.items()}
    packed = pack_bundle(MemoryFiles(files, {"apps/empty"}))
    assert isinstance(packed, BundleArchive)
    assert open_archive(packed.content, packed.digest).contents == dict(sorted(files.items()))
    with pytest.raises(BundleError, match="is nothing that a bundle consists of"):
        pack_bundle(MemoryFiles({"etc/passwd": b""}))

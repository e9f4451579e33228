"""Whatever a bundle consists of: packing and opening it changes nothing, and nothing slips in."""

import json
import os
import random
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from app.bundle.archive import BundleArchive, open_archive, pack_bundle
from app.bundle.files import FolderFiles, MemoryFiles, content_digest
from app.bundle.preparing import prepare_answers
from app.bundle.reading import inspect_bundle, read_bundle
from app.errors import BundleError
from app.stores.secrets import StoredSecret

TOKENS = st.from_regex(r"[a-zäß0-9_-][a-z0-9 ._'-]{0,12}", fullmatch=True)
FOLDERS = st.lists(TOKENS, max_size=4).map("/".join)
KINDS = st.sampled_from(
    [
        ("flows", ".ygtc"),
        ("scripts", ".rhai"),
        ("templates", ".hbs"),
        ("apps/one/flows", ".ygtc"),
        ("apps/two/templates", ".hbs"),
        ("providers", ".gtpack"),
    ]
)
MANIFEST = b'name: shop\nversion: "1"\n'


@st.composite
def paths(draw: st.DrawFn) -> str:
    (folder, suffix), inner = draw(KINDS), draw(FOLDERS)
    return "/".join(part for part in (folder, inner, draw(TOKENS) + suffix) if part)


def _is_tree(contents: Mapping[str, bytes]) -> bool:
    return not any(other.startswith(f"{name}/") for name in contents for other in contents)


CONTENTS = (
    st.dictionaries(paths(), st.binary(max_size=300), max_size=12)
    .filter(_is_tree)
    .map(lambda found: found | {"greentic.demo.yaml": MANIFEST})
)


def in_folder(root: Path, contents: Mapping[str, bytes]) -> Path:
    for name, content in contents.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return root


@given(contents=CONTENTS)
def test_opening_what_was_packed_gives_it_back(contents: dict[str, bytes]) -> None:
    packed = pack_bundle(MemoryFiles(contents))
    opened = open_archive(packed.content, packed.digest)
    assert opened.contents == contents
    assert pack_bundle(opened) == packed
    assert packed.digest == content_digest(contents)


@given(contents=CONTENTS, seed=st.integers())
@settings(max_examples=40, deadline=None)
def test_a_folder_packs_the_same_whatever_its_order_and_dates(
    contents: dict[str, bytes], seed: int
) -> None:
    chance = random.Random(seed)  # noqa: S311 - an order, no secret
    with tempfile.TemporaryDirectory() as folder:
        shuffled = chance.sample(list(contents.items()), len(contents))
        root = in_folder(Path(folder), dict(shuffled))
        for path in root.rglob("*"):
            os.utime(path, (chance.randrange(2**31), chance.randrange(2**31)))
        assert pack_bundle(root) == pack_bundle(MemoryFiles(contents))


@given(contents=CONTENTS)
@settings(max_examples=40, deadline=None)
def test_memory_is_read_like_a_folder(contents: dict[str, bytes]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        there = FolderFiles(in_folder(Path(folder), contents))
        here = MemoryFiles(contents)
        for place in (
            "",
            "flows",
            "./flows/",
            "apps",
            "apps/one/flows",
            "absent",
            "../x",
            "/flows",
        ):
            assert here.has_folder(place) == there.has_folder(place)
            assert here.list_folders(place) == there.list_folders(place)
            for suffix in (".ygtc", ".rhai", ".hbs"):
                assert here.list_files(place, suffix) == there.list_files(place, suffix)
        for file in (*contents, "absent", "../absent", "flows", "./greentic.demo.yaml"):
            assert here.has_file(file) == there.has_file(file)
        for file in (*contents, "absent", "../absent"):
            assert here.read_text(file) == there.read_text(file)
        assert here.problems == there.problems
        one, other = inspect_bundle(there), inspect_bundle(here)
        assert (one.problems, one.files) == (other.problems, other.files)


@given(one=CONTENTS, other=CONTENTS)
def test_a_digest_names_one_content(one: dict[str, bytes], other: dict[str, bytes]) -> None:
    assert (content_digest(one) == content_digest(other)) == (one == other)


PACKED: BundleArchive = pack_bundle(
    MemoryFiles(
        {
            "greentic.demo.yaml": MANIFEST,
            "flows/a.ygtc": b"name: a\n" * 20,
            "apps/one/flows/b.ygtc": b"name: b",
        },
        {"apps/empty"},
    )
)


@given(
    at=st.integers(0, len(PACKED.content) - 1),
    byte=st.integers(0, 255),
    cut=st.integers(0, 3),
    more=st.binary(max_size=3),
)
@settings(max_examples=2000)
def test_a_damaged_archive_is_refused_or_says_the_same(
    at: int, byte: int, cut: int, more: bytes
) -> None:
    content = bytearray(PACKED.content)
    content[at : at + 1 + cut] = bytes([byte]) + more
    try:
        opened = open_archive(bytes(content))
    except BundleError:
        return
    # Dates, versions and modes say nothing to us; a name or a folder may have become another one.
    assert set(map(bytes, opened.contents.values())) == set(
        open_archive(PACKED.content).contents.values()
    )


@given(content=st.binary(max_size=400))
def test_no_bytes_break_the_reader(content: bytes) -> None:
    try:
        open_archive(b"PK\x03\x04" + content)
    except BundleError:
        return
    raise AssertionError


# ── Answers ──────────────────────────────────────────────────────────────────────────────────

SECRETS = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=12, max_size=40
).filter(lambda text: text.strip() and not text.startswith("$"))


@given(
    secrets=st.lists(SECRETS, min_size=4, max_size=4, unique=True),
    by_variable=st.lists(st.booleans(), min_size=4, max_size=4),
    as_yaml=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_no_secret_leaves_in_the_answers_and_the_options_stay(
    secrets: list[str], by_variable: list[bool], *, as_yaml: bool
) -> None:
    environment = {f"SECRET_{at}": secret for at, secret in enumerate(secrets)}
    one, two, three, four = (
        f"$SECRET_{at}" if variable else secret
        for at, (secret, variable) in enumerate(zip(secrets, by_variable, strict=True))
    )
    answers: dict[str, Any] = {
        "events-webhook": {
            "secret_header": "h",
            "secret_key": one,
            "signatures": {
                "pay": {"algorithm": "sha256", "header": "h", "secrets": [two, three]},
                "x-y": {"algorithm": "sha512", "header": "h", "secret": four},
            },
        }
    }
    file = "answers.yaml" if as_yaml else "answers.json"  # JSON is YAML
    text = json.dumps(answers, ensure_ascii=False)
    files = MemoryFiles({"greentic.demo.yaml": MANIFEST, file: text.encode()})
    before = read_bundle(files, environment=environment)
    prepared = prepare_answers(files, environment)
    kept = prepared.files.contents[file].decode()
    assert not [secret for secret in secrets if secret in kept or json.dumps(secret) in kept]
    assert sorted(prepared.secrets.values()) == sorted(secrets)
    stored = {name: StoredSecret(value, 1) for name, value in prepared.secrets.items()}
    assert read_bundle(prepared.files, secrets=stored).options == before.options

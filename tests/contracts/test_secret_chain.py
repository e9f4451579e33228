"""The sources of secrets and their chain: who serves, what is a miss, what ends the search."""

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from actors.errors import InvalidSubjectError, PermanentError, UnavailableError
from actors.observations import SecretRead
from actors.ports import SECRET_BYTES_MAX, Secrets
from actors.testing.secrets import MemorySecrets
from app.settings.secrets import SecretsSection
from app.stores.secret_chain import SecretChain
from app.stores.secret_environment import EnvironmentSecrets
from app.stores.secret_files import FileSecrets
from app.stores.secrets import BUNDLE_SCOPE

CANARY = "canary-7f3a-9c"
NAMES = {"acme": ("API_KEY", "FROM_ENV"), "acme-eu": ("API_KEY",)}


class Seen:
    def __init__(self) -> None:
        self.reads: list[SecretRead] = []

    def observe(self, observation: object) -> None:
        assert isinstance(observation, SecretRead)
        self.reads.append(observation)


def environment(values: Mapping[str, str]) -> EnvironmentSecrets:
    return EnvironmentSecrets.build(SecretsSection(environment_names=NAMES), values)


@pytest.fixture(params=["file", "environment", "chain"])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Secrets:
    write(tmp_path, "acme", "API_KEY", CANARY.encode())
    if request.param == "file":
        return FileSecrets(tmp_path)
    if request.param == "environment":
        return environment({"GREENTIC_TENANT_ACME_API_KEY": CANARY})
    return SecretChain.build(MemorySecrets(), SecretsSection(directory=str(tmp_path)), {}, Seen())


def write(root: Path, tenant: str, name: str, content: bytes) -> Path:
    path = root / tenant / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    return path


# ── What all of them are ─────────────────────────────────────────────────────────────────────


async def test_secret_reads_back(source: Secrets) -> None:
    assert await source.get("acme", "API_KEY") == CANARY
    assert CANARY not in repr(source)


@pytest.mark.parametrize(
    ("tenant", "name"),
    [("acme", "API_KEY2"), ("acme", "api_key"), ("other", "API_KEY"), ("acme-eu", "API_KEY")],
)
async def test_nothing_is_found_elsewhere(source: Secrets, tenant: str, name: str) -> None:
    assert await source.get(tenant, name) is None


@pytest.mark.parametrize("name", ["", "..", ".", "a/b", "../other/K", "a\0b", "a\n", "a" * 129])
async def test_name_that_is_none_is_refused(source: Secrets, name: str) -> None:
    with pytest.raises(PermanentError) as caught:
        await source.get("acme", name)
    assert caught.value.reason == "secret.name"


@pytest.mark.parametrize("tenant", ["", "..", "a/b", "/etc", "Acme", BUNDLE_SCOPE, "*"])
async def test_tenant_that_is_no_token_is_refused(source: Secrets, tenant: str) -> None:
    with pytest.raises(InvalidSubjectError):
        await source.get(tenant, "API_KEY")


# ── Files ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("content", "value"),
    [
        (b"x\n", "x"),
        (b"x\r\n", "x"),
        (b"x\n\n", "x\n"),
        (b" x ", " x "),
        ("ü€".encode(), "ü€"),
        (b"a\nb\n", "a\nb"),
        (b"x" * SECRET_BYTES_MAX + b"\r\n", "x" * SECRET_BYTES_MAX),
    ],
    ids=["lf", "crlf", "two", "blanks", "utf8", "lines", "longest"],
)
async def test_one_line_end_is_left_out(tmp_path: Path, content: bytes, value: str) -> None:
    write(tmp_path, "acme", "K", content)
    assert await FileSecrets(tmp_path).get("acme", "K") == value


async def test_changed_file_is_read_anew(tmp_path: Path) -> None:
    path, files = write(tmp_path, "acme", "K", b"one"), FileSecrets(tmp_path)
    assert await files.get("acme", "K") == "one"
    path.write_bytes(b"two")
    assert await files.get("acme", "K") == "two"
    path.unlink()
    assert await files.get("acme", "K") is None


async def test_folder_that_is_not_there_is_a_miss(tmp_path: Path) -> None:
    assert await FileSecrets(tmp_path / "nowhere").get("acme", "K") is None


@pytest.mark.parametrize("is_one_volume", [True, False])
async def test_links_are_followed_as_kubernetes_makes_them(
    tmp_path: Path, is_one_volume: bool
) -> None:
    """A volume for each tenant, or one with a path for each; both exchanged as a whole."""
    mount = tmp_path if is_one_volume else tmp_path / "acme"
    mount.mkdir(exist_ok=True)
    inner = "acme" if is_one_volume else "."
    top = "acme" if is_one_volume else "K"

    def bring(value: str) -> None:
        (mount / f"..{value}" / inner).mkdir(parents=True)
        (mount / f"..{value}" / inner / "K").write_text(value)
        (mount / "..next").symlink_to(f"..{value}")
        (mount / "..next").replace(mount / "..data")

    bring("one")
    (mount / top).symlink_to(f"..data/{top}")
    files = FileSecrets(tmp_path)
    assert await files.get("acme", "K") == "one"
    bring("two")
    assert await files.get("acme", "K") == "two"


def leads_to_another_tenant(root: Path) -> None:
    write(root, "other", "K", CANARY.encode())
    (root / "acme" / "K").symlink_to("../other/K")


def leads_out(root: Path) -> None:
    (root.parent / "outside").write_text(CANARY)
    (root / "acme" / "K").symlink_to(root.parent / "outside")


def leads_to_a_neighbour_of_that_beginning(root: Path) -> None:
    write(root, "acme-eu", "K", CANARY.encode())
    (root / "acme" / "K").symlink_to("../acme-eu/K")


def is_another_tenants_folder(root: Path) -> None:
    write(root, "other", "K", CANARY.encode())
    (root / "acme").rmdir()
    (root / "acme").symlink_to("other")


def is_a_folder_elsewhere(root: Path) -> None:
    write(root.parent, "acme", "K", CANARY.encode())
    (root / "acme").rmdir()
    (root / "acme").symlink_to("../acme")


def is_the_mounted_folder(root: Path) -> None:
    (root / "acme").rmdir()
    (root / "acme").symlink_to(".")
    (root / "K").write_text(CANARY)


def is_a_folder(root: Path) -> None:
    (root / "acme" / "K").mkdir()


def is_a_pipe(root: Path) -> None:
    os.mkfifo(root / "acme" / "K")


def leads_to_itself(root: Path) -> None:
    (root / "acme" / "K").symlink_to("K")


def has_a_file_for_a_folder(root: Path) -> None:
    (root / "acme").rmdir()
    (root / "acme").write_text(CANARY)


def is_too_long(root: Path) -> None:
    (root / "acme" / "K").write_bytes(b"x" * (SECRET_BYTES_MAX + 1))


def is_empty(root: Path) -> None:
    (root / "acme" / "K").write_bytes(b"\n")


def is_no_text(root: Path) -> None:
    (root / "acme" / "K").write_bytes(b"\xff\xfe")


@pytest.mark.parametrize(
    "make",
    [
        leads_to_another_tenant,
        leads_out,
        leads_to_a_neighbour_of_that_beginning,
        is_another_tenants_folder,
        is_a_folder_elsewhere,
        is_the_mounted_folder,
        is_a_folder,
        is_a_pipe,
        leads_to_itself,
        has_a_file_for_a_folder,
        is_too_long,
        is_empty,
        is_no_text,
    ],
    ids=lambda make: make.__name__,
)
async def test_file_that_may_not_be_used_is_an_error(tmp_path: Path, make: object) -> None:
    root = tmp_path / "mounted"
    (root / "acme").mkdir(parents=True)
    assert callable(make)
    make(root)
    with pytest.raises(PermanentError) as caught:
        await FileSecrets(root).get("acme", "K")
    assert caught.value.reason == "secret.unreadable"
    assert CANARY not in str(caught.value)
    assert str(tmp_path) not in str(caught.value)


# ── Variables ────────────────────────────────────────────────────────────────────────────────


async def test_only_listed_variables_are_read() -> None:
    values = {
        "GREENTIC_TENANT_ACME_API_KEY": "1",
        "GREENTIC_TENANT_ACME_OTHER": "2",
        "GREENTIC_TENANT_ACME__EU_API_KEY": "3",
        "GREENTIC_TENANT_OTHER_API_KEY": "4",
        "GREENTIC_SECRET_KEY": "5",
        "PATH": "6",
    }
    variables = environment(values)
    assert await variables.get("acme", "API_KEY") == "1"
    assert await variables.get("acme-eu", "API_KEY") == "3"
    for tenant, name in [("acme", "OTHER"), ("other", "API_KEY"), ("acme", "EU_API_KEY")]:
        assert await variables.get(tenant, name) is None
    for name in ("PATH", "GREENTIC_SECRET_KEY", "SECRET_KEY"):
        assert await variables.get("acme", name) is None


async def test_empty_variable_is_a_miss_and_a_bad_one_an_error() -> None:
    assert await environment({"GREENTIC_TENANT_ACME_API_KEY": ""}).get("acme", "API_KEY") is None
    bad = {"GREENTIC_TENANT_ACME_API_KEY": f"{CANARY}\udcff"}
    with pytest.raises(PermanentError) as caught:
        await environment(bad).get("acme", "API_KEY")
    assert (caught.value.reason, CANARY in str(caught.value)) == ("secret.value", False)


# ── The chain ────────────────────────────────────────────────────────────────────────────────


def chain_of(store: Secrets, root: Path, seen: Seen) -> SecretChain:
    section = SecretsSection(directory=str(root), environment_names=NAMES)
    values = {
        "GREENTIC_TENANT_ACME_API_KEY": "environment",
        "GREENTIC_TENANT_ACME_FROM_ENV": "environment",
    }
    return SecretChain.build(store, section, values, seen)


async def test_first_source_that_has_it_serves_and_is_named(tmp_path: Path) -> None:
    seen, store = Seen(), MemorySecrets({("acme", "IN_STORE"): "store"})
    for name in ("IN_STORE", "IN_FILE", "API_KEY"):
        write(tmp_path, "acme", name, b"file")
    chain = chain_of(store, tmp_path, seen)
    names = ["IN_STORE", "IN_FILE", "API_KEY", "FROM_ENV", "NOWHERE"]
    found = [await chain.get("acme", name) for name in names]
    assert found == ["store", "file", "file", "environment", None]
    served = ["store", "file", "file", "environment", "none"]
    assert seen.reads == [SecretRead("acme", source) for source in served]
    await store.set("acme", "API_KEY", "store")
    assert await chain.get("acme", "API_KEY") == "store"


async def test_source_that_fails_ends_the_search(tmp_path: Path) -> None:
    """Or a tenant's value would change to another one while NATS is away."""

    class Away(MemorySecrets):
        async def get(self, tenant: str, name: str) -> str | None:
            raise UnavailableError(f"{tenant} {name}")

    seen = Seen()
    with pytest.raises(UnavailableError):
        await chain_of(Away(), tmp_path, seen).get("acme", "FROM_ENV")
    write(tmp_path, "acme", "FROM_ENV", b"")
    with pytest.raises(PermanentError):
        await chain_of(MemorySecrets(), tmp_path, seen).get("acme", "FROM_ENV")
    assert seen.reads == []


async def test_only_sources_that_are_set_are_asked(tmp_path: Path) -> None:
    write(tmp_path, "acme", "API_KEY", b"file")
    values = {"GREENTIC_TENANT_ACME_API_KEY": CANARY}
    chain = SecretChain.build(MemorySecrets(), SecretsSection(), values, Seen())
    assert await chain.get("acme", "API_KEY") is None

"""The Secrets port means the same in memory and on a real bucket; what is stored there is sealed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydantic import SecretStr

from actors.errors import InvalidSubjectError, PermanentError
from actors.ports import SECRET_BYTES_MAX, Secrets
from actors.testing.secrets import MemorySecrets
from app.bus.admin import JetStreamAdmin
from app.bus.connection import Bus
from app.bus.server_folder import Endpoint
from app.control import names, streams
from app.errors import NotFoundError, SettingsError
from app.settings.sealing_key import format_key
from app.settings.secrets import SecretsSection
from app.stores import secrets as secrets_store
from app.stores.key_source import KeySource
from app.stores.kv import KvBucket
from app.stores.secrets import BUNDLE_SCOPE, KvSecrets, bucket_key
from tests.support.bus import connected

CANARY = "canary-7f3a-9c"
KEY = bytes(range(32))
OTHER_KEY = bytes(range(1, 33))


@dataclass
class Shelf:
    """A store on a real bucket, and the bucket itself."""

    bus: Bus
    env: str
    folder: Path

    @property
    def bucket(self) -> KvBucket:
        return KvBucket(self.bus, names.secrets_bucket(self.env))

    def store(self, key: bytes | None = KEY, env: str | None = None) -> KvSecrets:
        section = SecretsSection(key=None if key is None else SecretStr(format_key(key)))
        return KvSecrets(
            self.bucket, self.env, KeySource(section, env or self.env, self.folder / "data")
        )


@asynccontextmanager
async def a_shelf(endpoint: Endpoint, env: str, folder: Path) -> AsyncIterator[Shelf]:
    async with connected(endpoint) as bus:
        for spec in streams.credential_buckets(env):
            await JetStreamAdmin(bus).ensure_stream(spec)
        yield Shelf(bus, env, folder)


@pytest.fixture
async def shelf(nats_server: Endpoint, fresh_env: str, tmp_path: Path) -> AsyncIterator[Shelf]:
    async with a_shelf(nats_server, fresh_env, tmp_path) as found:
        yield found


@pytest.fixture(params=["memory", "nats"])
async def store(
    request: pytest.FixtureRequest, fresh_env: str, tmp_path: Path
) -> AsyncIterator[Secrets]:
    if request.param == "memory":
        yield MemorySecrets({("acme", "API_KEY"): CANARY})
        return
    endpoint = request.getfixturevalue("nats_server")
    async with a_shelf(endpoint, fresh_env, tmp_path) as found:
        await found.store().set("acme", "API_KEY", CANARY)
        yield found.store()


# ── The port, on both ────────────────────────────────────────────────────────────────────────


async def test_secret_reads_back(store: Secrets) -> None:
    assert await store.get("acme", "API_KEY") == CANARY


@pytest.mark.parametrize(
    ("tenant", "name"), [("acme", "OTHER"), ("acme", "API_KEY2"), ("other", "API_KEY")]
)
async def test_nothing_is_found_elsewhere(store: Secrets, tenant: str, name: str) -> None:
    assert await store.get(tenant, name) is None


@pytest.mark.parametrize(
    "name", ["", "9a", ".a", "-a", "a b", "a/b", "ä", "a\n", "a" * 129, "a*", "$a", "a\ud800"]
)
async def test_name_that_is_none_is_refused(store: Secrets, name: str) -> None:
    with pytest.raises(PermanentError) as caught:
        await store.get("acme", name)
    assert caught.value.reason == "secret.name"


@pytest.mark.parametrize("tenant", ["", "Acme", "a.b", "*", "_other", "a" * 64])
async def test_tenant_that_is_no_token_is_refused(store: Secrets, tenant: str) -> None:
    with pytest.raises(InvalidSubjectError):
        await store.get(tenant, "API_KEY")


# ── The writer, on the real bucket ───────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "value", ["x", "ü€😀\x00\n ", "x" * SECRET_BYTES_MAX, "-----BEGIN KEY-----\nab\n"]
)
async def test_value_reads_back_exactly(shelf: Shelf, value: str) -> None:
    await shelf.store().set("acme", "K", value)
    assert await shelf.store().get("acme", "K") == value


@pytest.mark.parametrize("value", ["", "x" * (SECRET_BYTES_MAX + 1), f"{CANARY}\ud800"])
async def test_value_out_of_bounds_is_refused(shelf: Shelf, value: str) -> None:
    with pytest.raises(PermanentError) as caught:
        await shelf.store().set("acme", "K", value)
    assert caught.value.reason == "secret.value"
    assert CANARY not in str(caught.value)
    assert await shelf.store().list("acme") == ()


async def test_list_names_the_own_secrets_sorted(shelf: Shelf) -> None:
    store = shelf.store()
    for name in ("b.c-d", "A", "_x", "events-webhook.secret_key"):
        await store.set(BUNDLE_SCOPE, name, CANARY)
    await store.set("acme", "mine", CANARY)
    assert await store.list(BUNDLE_SCOPE) == ("A", "_x", "b.c-d", "events-webhook.secret_key")
    assert await store.list("acme") == ("mine",)
    assert await store.list("acm") == ()


async def test_removed_secret_is_gone_and_may_come_again(shelf: Shelf) -> None:
    store = shelf.store()
    await store.set("acme", "K", "one")
    await store.remove("acme", "K")
    assert await store.get("acme", "K") is None
    assert await store.list("acme") == ()
    with pytest.raises(NotFoundError):
        await store.remove("acme", "K")
    await store.set("acme", "K", "two")
    assert await store.get("acme", "K") == "two"


async def test_every_write_is_another_revision(shelf: Shelf) -> None:
    store = shelf.store()
    await store.set("acme", "K", "same")
    first = await store.find("acme", "K")
    await store.set("acme", "K", "same")
    second = await store.find("acme", "K")
    assert first is not None
    assert second is not None
    assert first.revision < second.revision
    assert "same" not in repr(first)


async def test_several_are_found_at_once(shelf: Shelf) -> None:
    store = shelf.store()
    await asyncio.gather(store.set("acme", "A", "1"), store.set("acme", "B", "2"))
    found = await store.find_all("acme", ["A", "B", "C", "A"])
    assert {name: one.value for name, one in found.items()} == {"A": "1", "B": "2"}


async def test_a_tenant_has_only_so_many(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets_store, "SECRETS_MAX", 2)
    store = shelf.store()
    await store.set("acme", "A", "1")
    await store.set("acme", "B", "1")
    with pytest.raises(PermanentError, match="the most"):
        await store.set("acme", "C", "1")
    await store.set("acme", "A", "2")


# ── What is stored is sealed ─────────────────────────────────────────────────────────────────


async def test_bucket_never_sees_the_value(shelf: Shelf) -> None:
    await shelf.store().set("acme", "K", CANARY)
    raw = (await shelf.bucket.get(bucket_key("acme", "K"))).value
    assert raw is not None
    assert CANARY.encode() not in raw


async def test_another_key_does_not_open_it(shelf: Shelf) -> None:
    await shelf.store().set("acme", "K", CANARY)
    with pytest.raises(PermanentError, match="was sealed with key") as caught:
        await shelf.store(OTHER_KEY).get("acme", "K")
    assert caught.value.reason == "secret.unreadable"


@pytest.mark.parametrize("position", [0, 1, 12, 25, -1])
async def test_tampered_value_does_not_open(shelf: Shelf, position: int) -> None:
    await shelf.store().set("acme", "K", CANARY)
    key = bucket_key("acme", "K")
    raw = bytearray((await shelf.bucket.get(key)).value or b"")
    raw[position] ^= 1
    await shelf.bucket.put(key, bytes(raw))
    with pytest.raises(PermanentError) as caught:
        await shelf.store().get("acme", "K")
    assert caught.value.reason == "secret.unreadable"
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize(("tenant", "name"), [("acme", "OTHER"), ("other", "K")])
async def test_moved_value_does_not_open(shelf: Shelf, tenant: str, name: str) -> None:
    await shelf.store().set("acme", "K", CANARY)
    raw = (await shelf.bucket.get(bucket_key("acme", "K"))).value
    await shelf.bucket.put(bucket_key(tenant, name), raw or b"")
    with pytest.raises(PermanentError, match="belongs to another"):
        await shelf.store().get(tenant, name)


async def test_prod_without_a_key_stores_nothing_and_says_how_to_make_one(shelf: Shelf) -> None:
    with pytest.raises(SettingsError, match="openssl rand"):
        await shelf.store(None, "prod").set("acme", "K", CANARY)
    assert await shelf.store(None, "prod").get("acme", "K") is None


async def test_development_needs_no_key_of_the_operators(shelf: Shelf) -> None:
    await shelf.store(None).set("acme", "K", CANARY)
    assert await shelf.store(None).get("acme", "K") == CANARY


def test_different_places_have_different_keys() -> None:
    pairs = [("a", "b"), ("a", "B"), ("ab", "b"), ("a", "b.c"), (BUNDLE_SCOPE, "b")]
    assert len({bucket_key(*pair) for pair in pairs}) == len(pairs)

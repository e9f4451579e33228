"""API keys on a real bucket: made, found, expired, revoked, and known to other processes soon."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from actors.errors import InvalidSubjectError, UnavailableError
from actors.testing.clock import VirtualClock
from app.bus.admin import JetStreamAdmin
from app.bus.server_folder import Endpoint
from app.control import names, streams
from app.errors import ConflictError, NotFoundError, StoreError
from app.stores import api_keys, following
from app.stores.api_keys import KvApiKeys, NewKey
from app.stores.following import LOOK_SECONDS, STALE_SECONDS_MAX
from app.stores.key_ring import ApiKeyRing
from app.stores.key_uses import KeyUses
from app.stores.kv import KvBucket
from app.system import SystemClock
from tests.support.bus import connected
from tests.support.nats_server import KillableServer

SOON_SECONDS = 1.0


def tenant_of(ring: ApiKeyRing, token: str) -> str | None:
    """Give the tenant of a token's key."""
    principal = ring.find(token)
    return None if principal is None else principal.tenant


@pytest.fixture
async def bucket(nats_server: Endpoint, fresh_env: str) -> AsyncIterator[KvBucket]:
    async with connected(nats_server) as bus:
        for spec in streams.credential_buckets(fresh_env):
            await JetStreamAdmin(bus).ensure_stream(spec)
        yield KvBucket(bus, names.api_keys_bucket(fresh_env))


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def store(bucket: KvBucket, clock: VirtualClock) -> KvApiKeys:
    return KvApiKeys(bucket, clock)


@pytest.fixture
def ring(bucket: KvBucket, clock: VirtualClock) -> ApiKeyRing:
    return ApiKeyRing(bucket, clock)


async def test_key_belongs_to_its_tenant_and_scope(store: KvApiKeys, ring: ApiKeyRing) -> None:
    _, acme = await store.add("acme", "ci", ["publish"])
    _, other = await store.add("other", "ci", ["publish"])
    with pytest.raises(UnavailableError):
        ring.find(str(acme))
    await ring.refresh()
    assert tenant_of(ring, str(acme)) == "acme"
    assert tenant_of(ring, str(other)) == "other"
    principal = ring.find(str(acme))
    assert principal is not None
    assert principal.may("tenant-publish", "acme")
    assert not principal.may("tenant-publish", "other")
    assert not principal.may("tenant-read", "acme")


async def test_right_prefix_with_a_wrong_secret_is_no_key(
    store: KvApiKeys, ring: ApiKeyRing
) -> None:
    _, text = await store.add("acme", "ci", ["publish"])
    _, other = await store.add("acme", "cd", ["publish"])
    await ring.refresh()
    assert tenant_of(ring, str(replace(text, secret=other.secret))) is None
    assert tenant_of(ring, str(replace(text, prefix="aaaaaaaa"))) is None


@pytest.mark.parametrize("token", ["", "gte_", "Bearer x", "ü" * 56, "gte_aaaaaaaa_" + "a" * 43])
async def test_hostile_token_is_no_key(ring: ApiKeyRing, token: str) -> None:
    await ring.refresh()
    assert tenant_of(ring, token) is None


async def test_key_ends_when_it_expires_without_any_refresh(
    store: KvApiKeys, ring: ApiKeyRing, clock: VirtualClock
) -> None:
    _, text = await store.add("acme", "ci", ["publish"], expires_ms=clock.now_ms() + 5000)
    await ring.refresh()
    assert tenant_of(ring, str(text)) == "acme"
    await clock.advance(5)
    assert tenant_of(ring, str(text)) is None


async def test_revoked_key_is_gone_with_the_next_refresh(
    store: KvApiKeys, ring: ApiKeyRing
) -> None:
    key, text = await store.add("acme", "ci", ["publish"])
    _, stays = await store.add("acme", "cd", ["publish"])
    await ring.refresh()
    await store.revoke("acme", key.prefix)
    await ring.refresh()
    assert tenant_of(ring, str(text)) is None
    assert tenant_of(ring, str(stays)) == "acme"
    with pytest.raises(NotFoundError):
        await store.revoke("acme", key.prefix)


async def test_key_of_another_tenant_is_not_revoked(store: KvApiKeys) -> None:
    key, _ = await store.add("acme", "ci", ["publish"])
    with pytest.raises(NotFoundError):
        await store.revoke("other", key.prefix)
    assert await store.list("acme") == (key,)
    assert await store.list("other") == ()


async def test_copied_or_spoilt_record_is_no_key(
    store: KvApiKeys, ring: ApiKeyRing, bucket: KvBucket
) -> None:
    key, text = await store.add("acme", "ci", ["publish"])
    await bucket.put(f"other.{key.prefix}", key.as_bytes())
    await bucket.put("other.spoilt", b"not a record")
    await store.revoke("acme", key.prefix)
    await ring.refresh()
    assert tenant_of(ring, str(text)) is None
    assert await store.list("other") == ()


async def test_bucket_never_sees_the_secret(store: KvApiKeys, bucket: KvBucket) -> None:
    key, text = await store.add("acme", "ci", ["publish"])
    raw = (await bucket.get(f"acme.{key.prefix}")).value
    assert raw is not None
    assert text.secret.encode() not in raw


@pytest.mark.parametrize(
    ("name", "scopes"), [("", ["publish"]), ("a" * 101, ["publish"]), ("a\nb", ["publish"]),
                         ("ci", []), ("ci", ["everything"])],
)  # fmt: skip
async def test_key_of_no_sense_is_refused(store: KvApiKeys, name: str, scopes: list[str]) -> None:
    with pytest.raises(StoreError):
        await store.add("acme", name, scopes)


async def test_tenant_must_be_a_token(store: KvApiKeys) -> None:
    with pytest.raises(InvalidSubjectError):
        await store.add("acme.*", "ci", ["publish"])


async def test_a_tenant_has_only_so_many(store: KvApiKeys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_keys, "KEYS_MAX", 1)
    await store.add("acme", "ci", ["publish"])
    with pytest.raises(StoreError, match="the most"):
        await store.add("acme", "cd", ["publish"])


async def test_running_ring_learns_of_changes_within_a_second_without_hearing_them(
    bucket: KvBucket,
) -> None:
    ring, store = ApiKeyRing(bucket, SystemClock()), KvApiKeys(bucket, SystemClock())
    await ring.start()
    try:
        key, text = await store.add("acme", "ci", ["publish"])
        async with asyncio.timeout(SOON_SECONDS):
            while tenant_of(ring, str(text)) is None:
                await asyncio.sleep(0.02)
        await store.revoke("acme", key.prefix)
        async with asyncio.timeout(SOON_SECONDS):
            while tenant_of(ring, str(text)) is not None:
                await asyncio.sleep(0.02)
    finally:
        await ring.stop()


async def test_ring_outlives_a_dead_bus_with_what_it_knew(
    killable_server: KillableServer, fresh_env: str
) -> None:
    async with connected(killable_server.endpoint) as bus:
        for spec in streams.credential_buckets(fresh_env):
            await JetStreamAdmin(bus).ensure_stream(spec)
        bucket = KvBucket(bus, names.api_keys_bucket(fresh_env))
        ring, store = ApiKeyRing(bucket, SystemClock()), KvApiKeys(bucket, SystemClock())
        key, text = await store.add("acme", "ci", ["publish"])
        await ring.start()
        try:
            await killable_server.kill()
            await asyncio.sleep(3 * LOOK_SECONDS)
            assert tenant_of(ring, str(text)) == "acme"
            await killable_server.start()
            async with asyncio.timeout(20):
                await _revoke_when_back(store, key.prefix)
                while tenant_of(ring, str(text)) is not None:
                    await asyncio.sleep(0.05)
        finally:
            await ring.stop()


async def _revoke_when_back(store: KvApiKeys, prefix: str) -> None:
    while True:
        try:
            await store.revoke("acme", prefix)
        except UnavailableError:
            await asyncio.sleep(0.1)
        else:
            return


# ── The ring and the times of use ────────────────────────────────────────────────────────────


async def test_keys_that_were_not_read_for_long_open_nothing(
    store: KvApiKeys, ring: ApiKeyRing, clock: VirtualClock
) -> None:
    _, text = await store.add("acme", "ci", ["publish"])
    await ring.refresh()
    await clock.advance(STALE_SECONDS_MAX)
    assert tenant_of(ring, str(text)) == "acme"
    await clock.advance(0.1)
    with pytest.raises(UnavailableError):
        ring.find(str(text))
    with pytest.raises(UnavailableError):
        ring.find("no key at all")
    await ring.refresh()
    assert tenant_of(ring, str(text)) == "acme"


async def test_ring_that_hears_of_writes_does_not_wait_for_its_next_look(
    nats_server: Endpoint, fresh_env: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "LOOK_SECONDS", 60.0)
    async with connected(nats_server) as bus, connected(nats_server) as elsewhere:
        for spec in streams.credential_buckets(fresh_env):
            await JetStreamAdmin(bus).ensure_stream(spec)
        name = names.api_keys_bucket(fresh_env)
        bucket = KvBucket(bus, name)
        ring = ApiKeyRing(bucket, SystemClock())
        store = KvApiKeys(KvBucket(elsewhere, name), SystemClock())
        await bus.subscribe(bucket.pattern, ring.hear)
        await ring.start()
        try:
            for _ in range(3):
                key, text = await store.add("acme", "ci", ["publish"])
                async with asyncio.timeout(SOON_SECONDS):
                    while tenant_of(ring, str(text)) is None:
                        await asyncio.sleep(0.01)
                await store.revoke("acme", key.prefix)
                async with asyncio.timeout(SOON_SECONDS):
                    while tenant_of(ring, str(text)) is not None:
                        await asyncio.sleep(0.01)
        finally:
            await ring.stop()


async def test_bucket_made_anew_has_none_of_the_old_keys(
    store: KvApiKeys, ring: ApiKeyRing, nats_server: Endpoint, fresh_env: str
) -> None:
    for name in ("one", "two", "three"):
        _, text = await store.add("acme", name, ["publish"])
    await ring.refresh()
    async with connected(nats_server) as bus:
        admin, spec = JetStreamAdmin(bus), streams.credential_buckets(fresh_env)[1]
        assert spec.name == names.bucket_stream(names.api_keys_bucket(fresh_env))
        await admin.delete_stream(spec.name)
        await admin.ensure_stream(spec)
        _, other = await store.add("acme", "new", ["publish"])
        await ring.refresh()
    assert tenant_of(ring, str(text)) is None
    assert tenant_of(ring, str(other)) == "acme"


async def test_rotated_and_revoked_at_once_stays_revoked(store: KvApiKeys) -> None:
    key, _ = await store.add("acme", "ci", ["publish"])
    stored = await store.find("acme", key.prefix)
    await store.revoke("acme", key.prefix)
    with pytest.raises(ConflictError):
        await store.change(stored, replace(key, expires_ms=10**15))
    (kept,) = await store.list("acme", with_revoked=True)
    assert kept.revoked_ms is not None


async def test_revoked_keys_count_against_no_limit_but_their_own(
    store: KvApiKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_keys, "KEYS_MAX", 1)
    monkeypatch.setattr(api_keys, "RECORDS_MAX", 3)
    for _ in range(3):
        key, _ = await store.add("acme", "ci", ["publish"])
        await store.revoke("acme", key.prefix)
    with pytest.raises(StoreError, match="the most"):
        await store.draft(NewKey("acme", "ci", ["publish"]))


async def test_use_is_written_at_most_once_a_minute(
    nats_server: Endpoint, fresh_env: str, store: KvApiKeys, bucket: KvBucket, clock: VirtualClock
) -> None:
    async with connected(nats_server) as bus:
        kept = KvBucket(bus, names.key_uses_bucket(fresh_env))
        uses = KeyUses(kept, clock)
        ring = ApiKeyRing(bucket, clock, uses)
        key, text = await store.add("acme", "ci", ["publish"])
        await ring.refresh()
        before = await kept.last_revision()
        first_ms = clock.now_ms()
        for second in range(60):
            if second % 10 == 0:
                await ring.refresh()
            ring.find(str(text))
            await uses.write()
            await clock.advance(1)
        assert await kept.last_revision() == before + 1
        assert await uses.read("acme") == {key.prefix: first_ms}
        await uses.write()
        assert await uses.read("acme") == {key.prefix: first_ms + 59_000}
        assert await uses.read("other") == {}
        await kept.put(f"acme.{key.prefix}", b"noise")
        assert await uses.read("acme") == {}

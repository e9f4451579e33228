"""Archives in a real object store: whole, once, readable the moment after, on clusters too."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace

import pytest

from app.bus.admin import JetStreamAdmin
from app.bus.connection import Bus
from app.bus.server_folder import Endpoint
from app.control import names, streams
from app.control.limits import StreamLimits
from app.errors import StoreError
from app.stores.archives import CHUNK_BYTES, RENEW_MS, ArchiveObjects
from tests.support.bus import connected
from tests.support.cluster import NatsCluster, a_nats_cluster

pytestmark = pytest.mark.server

NOW_MS = 1_800_000_000_000


def content_of(size: int, seed: int = 0) -> tuple[str, bytes]:
    content = hashlib.shake_256(str(seed).encode()).digest(size)
    return hashlib.sha256(content).hexdigest(), content


@dataclass
class Store:
    """The archives, and ways to look behind them."""

    bus: Bus
    bucket: str
    archives: ArchiveObjects

    async def messages(self) -> int:
        info = await JetStreamAdmin(self.bus).stream_info(names.object_stream(self.bucket))
        assert info is not None
        return info.messages


@pytest.fixture
async def store(nats_server: Endpoint, fresh_env: str) -> AsyncIterator[Store]:
    async with connected(nats_server) as bus:
        await JetStreamAdmin(bus).ensure_stream(streams.bundles_spec(fresh_env, StreamLimits()))
        bucket = names.bundles_bucket(fresh_env)
        yield Store(bus, bucket, ArchiveObjects(bus, bucket))


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3_000_000])
async def test_archive_is_read_as_it_was_stored_by_us_and_by_others(
    store: Store, size: int
) -> None:
    digest, content = content_of(size)
    await store.archives.put(digest, content, NOW_MS)
    assert await store.archives.get(digest) == content
    others = await store.bus.client.jetstream().object_store(store.bucket)
    assert ((await others.get(digest)).data or b"") == content


async def test_what_is_not_there_is_nothing(store: Store) -> None:
    assert await store.archives.get("a" * 64) is None
    assert await store.archives.find("a" * 64) is None
    assert [one async for one in store.archives.all()] == []


async def test_storing_again_writes_only_a_new_time_and_only_when_the_old_one_is_old(
    store: Store,
) -> None:
    digest, content = content_of(300_000)
    await store.archives.put(digest, content, NOW_MS)
    before = await store.messages()
    first = await store.archives.find(digest)
    await store.archives.put(digest, content, NOW_MS + RENEW_MS)
    assert await store.archives.find(digest) == first
    await store.archives.put(digest, content, NOW_MS + RENEW_MS + 1)
    second = await store.archives.find(digest)
    assert second is not None
    assert second.stored_ms == NOW_MS + RENEW_MS + 1
    assert await store.messages() == before
    assert await store.archives.get(digest) == content


async def test_deleted_archive_is_gone_with_its_chunks_and_can_come_back(store: Store) -> None:
    digest, content = content_of(300_000)
    await store.archives.put(digest, content, NOW_MS)
    seen = await store.archives.find(digest)
    assert seen is not None
    assert await store.archives.delete(seen)
    assert not await store.archives.delete(seen)
    assert await store.archives.get(digest) is None
    assert await store.messages() == 1  # the record that says so
    await store.archives.put(digest, content, NOW_MS)
    assert await store.archives.get(digest) == content


async def test_archive_without_all_its_chunks_is_damaged(store: Store) -> None:
    digest, content = content_of(300_000)
    await store.archives.put(digest, content, NOW_MS)
    stream = names.object_stream(store.bucket)
    await JetStreamAdmin(store.bus).delete_message(stream, 2)
    with pytest.raises(StoreError, match="not whole"):
        await store.archives.get(digest)


async def test_chunk_of_another_content_is_noticed(store: Store) -> None:
    digest, content = content_of(10)
    await store.archives.put(digest, content, NOW_MS)
    js = store.bus.client.jetstream()
    (place,) = await store.archives._places()
    await js.purge_stream(names.object_stream(store.bucket), subject=f"$O.{store.bucket}.C.{place}")
    await js.publish(f"$O.{store.bucket}.C.{place}", b"0123456789")
    with pytest.raises(StoreError, match="not whole"):
        await store.archives.get(digest)


# ── On three servers ─────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsCluster]:
    with a_nats_cluster(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


async def test_everybody_reads_it_at_once_and_it_is_stored_once(
    cluster: NatsCluster, fresh_env: str
) -> None:
    async with (
        connected(cluster.endpoint_of("n1", "n2", "n3")) as one,
        connected(cluster.endpoint_of("n2", "n3", "n1")) as other,
    ):
        spec = replace(streams.bundles_spec(fresh_env, StreamLimits()), replicas=3)
        await JetStreamAdmin(one).ensure_stream(spec)
        bucket = names.bundles_bucket(fresh_env)
        stores = [ArchiveObjects(bus, bucket) for bus in (one, other)]
        for seed in range(20):
            digest, content = content_of(400_000, seed)
            await asyncio.gather(*(each.put(digest, content, NOW_MS) for each in stores))
            found = await asyncio.gather(*(each.get(digest) for each in stores))
            assert found == [content, content]
        kept = [each.digest async for each in stores[0].all()]
        assert len(kept) == 20
        info = await JetStreamAdmin(other).stream_info(names.object_stream(bucket))
        assert info is not None
        assert info.messages == 20 * (4 + 1)

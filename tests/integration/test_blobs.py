"""The object store of attachments, on a real server."""

import hashlib

import pytest

from actors.errors import UnavailableError
from app.bus.server_folder import Endpoint
from app.control.control import Control
from app.control.names import blobs_bucket, object_stream
from app.providers.provider import Blob
from app.stores.blobs import ObjectBlobs
from tests.support.bus import connected

pytestmark = pytest.mark.server


def a_blob(content: bytes) -> Blob:
    return Blob(hashlib.sha256(content).hexdigest(), content, "image/png")


async def test_a_blob_is_stored_once_and_read_back(nats_server: Endpoint, fresh_env: str) -> None:
    async with connected(nats_server) as bus:
        await Control(bus, fresh_env).ensure([])
        blobs = ObjectBlobs(bus.client, blobs_bucket(fresh_env))
        blob = a_blob(bytes(range(256)) * 2048)  # several chunks
        await blobs.put("demo", blob)
        assert await blobs.get("demo", blob.name) == blob.content
        stream = object_stream(blobs_bucket(fresh_env))
        info = await bus.client.jetstream().stream_info(stream)
        await blobs.put("demo", blob)
        again = await bus.client.jetstream().stream_info(stream)
        assert again.state.last_seq == info.state.last_seq


async def test_tenants_do_not_see_each_others(nats_server: Endpoint, fresh_env: str) -> None:
    async with connected(nats_server) as bus:
        await Control(bus, fresh_env).ensure([])
        blobs = ObjectBlobs(bus.client, blobs_bucket(fresh_env))
        await blobs.put("a", a_blob(b"private"))
        assert await blobs.get("a", a_blob(b"private").name) == b"private"
        assert await blobs.get("b", a_blob(b"private").name) is None


async def test_without_a_bucket_nothing_is_said_to_be_stored(
    nats_server: Endpoint, fresh_env: str
) -> None:
    async with connected(nats_server) as bus:
        blobs = ObjectBlobs(bus.client, blobs_bucket(fresh_env))
        with pytest.raises(UnavailableError):
            await blobs.put("demo", a_blob(b"x"))
        with pytest.raises(UnavailableError):
            await blobs.get("demo", a_blob(b"x").name)

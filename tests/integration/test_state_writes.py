"""Named writes of the state on a real server: kills, crowds, the largest value."""

import asyncio

from actors.ports import STATE_VALUE_BYTES_MAX, StateScope
from actors.testing.clock import VirtualClock
from app.bus.admin import JetStreamAdmin
from app.bus.connection import Bus
from app.bus.server_folder import Endpoint
from app.control import names, streams
from app.stores.kv import KvBucket
from app.stores.state import KvStateStore
from app.stores.write_ids import WRITES_CHARS_MAX
from app.system import SystemClock
from tests.support.bus import connected
from tests.support.nats_server import KillableServer

ACME = StateScope("acme")


async def open_store(bus: Bus, env: str) -> KvStateStore:
    for spec in streams.bucket_specs(env):
        await JetStreamAdmin(bus).ensure_stream(spec)
    return KvStateStore(KvBucket(bus, names.state_bucket(env)), SystemClock())


async def test_named_write_is_known_though_overwritten_and_the_server_killed(
    killable_server: KillableServer, fresh_env: str
) -> None:
    async with connected(killable_server.endpoint) as bus:
        store = await open_store(bus, fresh_env)
        assert await store.put(ACME, "n", 1, revision=0, write_id="w1")
        for number in range(2, 50):
            entry = await store.get(ACME, "n")
            made = await store.put(
                ACME, "n", number, revision=entry.revision, write_id=f"w{number}"
            )
            assert made
    await killable_server.restart()
    async with connected(killable_server.endpoint) as bus:
        store = await open_store(bus, fresh_env)
        assert await store.put(ACME, "n", 1, revision=0, write_id="w1")
        assert (await store.get(ACME, "n")).value == 49


async def test_stores_of_many_processes_know_each_others_writes(
    nats_server: Endpoint, fresh_env: str
) -> None:
    async with connected(nats_server) as bus:
        stores = [await open_store(bus, fresh_env) for _ in range(4)]

        async def add(store: KvStateStore, name: str) -> None:
            while True:
                entry = await store.get(ACME, "n")
                number = (entry.value or 0) + 1
                if await store.put(ACME, "n", number, revision=entry.revision, write_id=name):
                    return

        async def add_many(place: int) -> None:
            for turn in range(25):
                await add(stores[place], f"{place}-{turn}")

        await asyncio.gather(*map(add_many, range(4)))
        for place in range(4):
            for turn in range(25):
                other = stores[(place + 1) % 4]
                assert await other.put(ACME, "n", -1, write_id=f"{place}-{turn}")
        assert (await stores[0].get(ACME, "n")).value == 100


async def test_plain_writes_from_everywhere_all_end(nats_server: Endpoint, fresh_env: str) -> None:
    async with connected(nats_server) as bus:
        store = await open_store(bus, fresh_env)
        await asyncio.gather(*(store.put(ACME, "k", number) for number in range(20)))
        assert (await store.get(ACME, "k")).value in range(20)


async def test_largest_value_has_room_for_all_marks(nats_server: Endpoint, fresh_env: str) -> None:
    async with connected(nats_server) as bus:
        await open_store(bus, fresh_env)
        bucket = KvBucket(bus, names.state_bucket(fresh_env))
        store = KvStateStore(bucket, VirtualClock())
        await store.put(ACME, "k", 0, write_id="w0")
        for number in range(1, 2200):
            await store.put(ACME, "k", number, write_id=f"w{number}")
        [key] = await bucket.keys()
        marks = (await bucket.get(key)).tag
        assert WRITES_CHARS_MAX - 100 < len(marks) <= WRITES_CHARS_MAX
        largest = "x" * (STATE_VALUE_BYTES_MAX - 2)
        assert await store.put(ACME, "k", largest, ttl_seconds=10**8, write_id="last")
        assert (await store.get(ACME, "k")).value == largest

"""Journal and state on three servers: replicas that lag and leaders that die change nothing."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace

import pytest

from actors.ports import JournalEntry, StateScope
from app.bus.acked_publisher import AckedPublisher
from app.bus.admin import JetStreamAdmin
from app.bus.connection import Bus
from app.bus.direct import DirectReader
from app.bus.journal import JetStreamJournal
from app.control import names, streams
from app.stores.kv import KvBucket
from app.stores.state import KvStateStore
from app.system import SystemClock
from tests.support.bus import connected
from tests.support.cluster import NatsCluster, a_nats_cluster

ACME = StateScope("acme")
TTL = 60


@dataclass
class Worker:
    """One process's journal and state."""

    bus: Bus
    journal: JetStreamJournal
    state: KvStateStore


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsCluster]:
    with a_nats_cluster(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


@pytest.fixture
async def workers(cluster: NatsCluster, fresh_env: str) -> AsyncIterator[list[Worker]]:
    """Two workers that are connected to different servers."""
    env, stream = fresh_env, names.journal_stream(fresh_env, 0)
    async with (
        connected(cluster.endpoint_of("n1", "n2", "n3")) as one,
        connected(cluster.endpoint_of("n2", "n3", "n1")) as other,
    ):
        admin = JetStreamAdmin(one)
        journals = streams.journal_spec(env, 0, (f"greentic.journal.{env}.>",))
        for spec in (journals, *streams.bucket_specs(env)):
            await admin.ensure_stream(replace(spec, replicas=3))
        workers = []
        for bus in (one, other):
            publisher = await AckedPublisher.start(bus, deadline_seconds=30)
            reader = await DirectReader.start(bus, deadline_seconds=30)
            journal = JetStreamJournal(publisher, reader, env=env, stream_of=lambda _: stream)
            bucket = KvBucket(bus, names.state_bucket(env))
            state = KvStateStore(bucket, SystemClock(), is_replicated=lambda: True)
            workers.append(Worker(bus, journal, state))
        yield workers


async def test_step_has_one_writer_and_everybody_reads_it_at_once(workers: list[Worker]) -> None:
    one, other = workers
    for run in range(100):
        entries = [JournalEntry("a:0", number) for number in range(2)]
        outcomes = await asyncio.gather(
            *(
                worker.journal.write("acme", f"r{run}", entry, ttl_seconds=TTL)
                for worker, entry in zip(workers, entries, strict=True)
            )
        )
        winner = entries[outcomes.index(True)]
        assert sum(outcomes) == 1
        assert await one.journal.read("acme", f"r{run}") == [winner]
        assert await other.journal.read("acme", f"r{run}") == [winner]


async def test_counter_of_two_workers_counts_every_named_write_once(workers: list[Worker]) -> None:
    async def add(worker: Worker, name: str) -> None:
        while True:
            entry = await worker.state.get(ACME, "n")
            number = (entry.value or 0) + 1
            if await worker.state.put(ACME, "n", number, revision=entry.revision, write_id=name):
                return

    await asyncio.gather(*(add(workers[number % 2], f"w{number}") for number in range(40)))
    for number in range(40):
        other = workers[(number + 1) % 2]
        assert await other.state.put(ACME, "n", -1, write_id=f"w{number}")
    assert (await workers[0].state.get(ACME, "n")).value == 40


async def test_state_is_read_as_it_was_written_last(workers: list[Worker]) -> None:
    one, other = workers
    for number in range(100):
        await one.state.put(ACME, "k", number)
        assert (await other.state.get(ACME, "k")).value == number


async def test_dead_leader_leaves_each_step_to_its_writer(
    cluster: NatsCluster, workers: list[Worker], fresh_env: str
) -> None:
    one, other = workers
    stream = names.journal_stream(fresh_env, 0)
    answer = await one.bus.request(f"$JS.API.STREAM.INFO.{stream}", b"", timeout_seconds=5)
    leader = cluster.nodes[json.loads(answer.data)["cluster"]["leader"]]

    async def write(run: int) -> bool:
        entry = JournalEntry("a:0", run)
        return await one.journal.write("acme", f"r{run}", entry, ttl_seconds=TTL)

    pace = asyncio.Semaphore(20)

    async def write_in_turn(run: int) -> bool:
        async with pace:
            if run == 300:
                assert leader.process is not None
                leader.process.kill()
            return await write(run)

    async with asyncio.timeout(60):
        assert all(await asyncio.gather(*map(write_in_turn, range(1000))))
        for run in range(0, 1000, 50):
            assert await other.journal.read("acme", f"r{run}") == [JournalEntry("a:0", run)]
            again = JournalEntry("a:0", run)
            assert not await other.journal.write("acme", f"r{run}", again, ttl_seconds=TTL)

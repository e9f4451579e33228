"""An exclusive lane on three servers: one worker at a time through the death of its leader."""

import asyncio
import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from actors.errors import UnavailableError
from actors.outcomes import Settlement
from app.bus.lane_deliveries import JetStreamLaneDeliveries
from app.control.limits import StreamLimits
from tests.support.cluster import NatsCluster, a_nats_cluster
from tests.support.lane_rig import LaneRig, Worker, a_lane

pytestmark = pytest.mark.xdist_group("nats-cluster")
LIMITS = StreamLimits(replicas=3)
PATIENCE_SECONDS = 60.0


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsCluster]:
    with a_nats_cluster(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


@dataclass
class Got:
    """One delivery, as it came to a worker."""

    worker: int
    number: int
    num_delivered: int


async def take(lane: JetStreamLaneDeliveries, worker: int, got: list[Got]) -> None:
    while deliveries := await lane.pull(16):
        for one in deliveries:
            number = one.event.payload["n"]
            got.append(Got(worker, number, one.num_delivered))
            one.settle(Settlement.ACK)


async def store_on(worker: Worker, number: int) -> None:
    while True:
        try:
            await worker.store([number])
        except UnavailableError:
            await asyncio.sleep(0.2)
        else:
            return


async def wait_for(got: list[Got], count: int) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while len({one.number for one in got}) < count:
            await asyncio.sleep(0.05)


async def leader(cluster: NatsCluster, rig: LaneRig) -> str:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while (name := await cluster.leader_of(rig.stream, rig.durable)) is None:
            await asyncio.sleep(0.1)
    return name


async def test_leaders_death_leaves_one_worker_with_the_lane(
    cluster: NatsCluster, fresh_env: str
) -> None:
    async with a_lane(cluster.endpoint, fresh_env, limits=LIMITS) as rig:
        storing = rig.workers[0]
        lanes = [(await rig.worker()).lane() for _ in range(2)]
        got: list[Got] = []
        takers = [asyncio.create_task(take(lane, n, got)) for n, lane in enumerate(lanes)]
        await asyncio.sleep(0.2)
        for number in range(10):
            await store_on(storing, number)
        await wait_for(got, 10)
        assert len({one.worker for one in got}) == 1
        dead = await leader(cluster, rig)
        before = len(got)
        cluster.kill(dead)
        for number in range(10, 30):
            await store_on(storing, number)
        await wait_for(got, 30)
        later = got[before:]
        holders = [one.worker for one in later if one.number >= 10]
        changes = sum(one != other for one, other in itertools.pairwise(holders))
        assert changes == 0, holders
        fresh = [one.number for one in later if one.num_delivered == 1]
        assert fresh == sorted(set(fresh))
        assert sum(lane.term for lane in lanes) == 2, "the pin dies with the leader"
        cluster.spawn(dead)
        await cluster.wait_healthy()
        for lane in lanes:
            await lane.close()
        await asyncio.gather(*takers)

"""Rates are divided among the processes that live: two, then one, by role and by who hosts."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import cast

import pytest

from actors.quotas.plan import PlanLimits
from actors.quotas.quota import Quotas
from actors.quotas.share import Share
from actors.runs.shares import FairShares
from actors.testing.clock import VirtualClock
from actors.testing.observer import RecordingObserver
from app.bootstrap.dividing import Dividing
from app.bootstrap.placing import Placing
from app.bootstrap.plans import PlanBook
from app.fleet.fleet import TICK_SECONDS, Fleet
from app.fleet.heartbeat import Heartbeat
from app.fleet.placement import Placement, hosts
from app.fleet.report import BEAT_SECONDS, TTL_SECONDS
from app.stores.kv import KvBucket, KvChange, KvEntry
from app.system import SystemClock
from app.tenancy.directory import TenantDirectory
from app.tenancy.record import TenantRecord
from tests.support.fleets import identity, twin_bucket
from tests.support.kv_twin import TwinServer

PLAN = PlanLimits(name="small", events_per_second=20, concurrent_runs=5)
BOTH = ("ingress", "worker")


@dataclass
class Process:
    """What one process has of it."""

    book: PlanBook
    heartbeat: Heartbeat
    placing: Placing
    stack: AsyncExitStack

    def share(self, tenant: str = "acme") -> Share:
        return self.book.quotas.of(tenant).share


class World:
    """Processes on one server."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.server = TwinServer(self.clock)
        self.tenants = KvBucket(self.server, "tenants-test")
        self.known: list[str] = []

    @asynccontextmanager
    async def process(
        self, name: str, roles: tuple[str, ...] = BOTH, replicas: int = 0
    ) -> AsyncIterator[Process]:
        clock = cast("SystemClock", self.clock)
        bucket = twin_bucket(self.server)
        fleet = Fleet(bucket, clock)
        heartbeat = Heartbeat(bucket, clock, identity(name, roles=roles))
        directory = TenantDirectory(self.tenants, clock)
        placement = Placement(name, replicas)
        placing = Placing(fleet, directory, heartbeat, placement, dict, clock)
        quotas = Quotas(clock, RecordingObserver())
        book = PlanBook({"small": PLAN}, quotas, FairShares(clock))
        async with AsyncExitStack() as stack:
            await fleet.start(self.server)
            stack.push_async_callback(fleet.stop)
            for tenant in self.known:
                hear_of(directory, tenant)
            Dividing(roles, placing, book).start()
            book.adopt("acme", "small")
            await heartbeat.start()
            stack.push_async_callback(heartbeat.forget)
            yield Process(book, heartbeat, placing, stack)


def hear_of(directory: TenantDirectory, tenant: str, *, is_there: bool = True) -> None:
    """Have a directory read a tenant's record, or that it is gone."""
    record = TenantRecord(tenant, tenant, created_ms=1, changed_ms=1)
    value = record.as_bytes() if is_there else None
    directory.take(KvChange(tenant, KvEntry(value, 1)))


@pytest.fixture
def world() -> World:
    return World()


async def test_limit_is_divided_while_two_live_and_whole_when_one_is_left(world: World) -> None:
    world.known = ["acme"]
    async with world.process("one") as one:
        assert one.share() == Share(1, 1, 0)
        async with world.process("two") as two:
            await world.clock.advance(0.1)
            assert (one.share(), two.share()) == (Share(2, 2, 0), Share(2, 2, 1))
            limits = [each.book.quotas.of("acme").places.limit for each in (one, two)]
            assert limits == [3, 2]
        await world.clock.advance(0.1)
        assert one.share() == Share(1, 1, 0), "the other has said that it ends"


async def test_who_was_killed_counts_until_its_ttl_is_over(world: World) -> None:
    world.known = ["acme"]
    async with world.process("one") as one, world.process("two") as two:
        await world.clock.advance(BEAT_SECONDS + 0.1)
        assert two.heartbeat._task is not None
        two.heartbeat._task.cancel()
        await world.clock.advance(TTL_SECONDS - BEAT_SECONDS - 1.0)
        assert one.share().takers == 2
        await world.clock.advance(BEAT_SECONDS + TICK_SECONDS + 1.0)
        assert one.share() == Share(1, 1, 0)


async def test_events_are_divided_by_ingress_and_the_rest_by_workers(world: World) -> None:
    world.known = ["acme"]
    async with (
        world.process("door", ("ingress",)) as door,
        world.process("w1", ("worker",)) as first,
        world.process("w2", ("worker",)) as second,
    ):
        await world.clock.advance(0.1)
        assert door.share() == Share(1, 2, 0), "what comes from outside is all its own"
        assert first.share() == Share(2, 2, 0)
        assert second.share() == Share(2, 2, 1)


async def test_with_placement_it_is_a_tenants_hosts_that_divide(world: World) -> None:
    names, tenants = ("w1", "w2", "w3"), [f"tenant-{number}" for number in range(20)]
    world.known = tenants
    async with AsyncExitStack() as stack:
        processes = {
            name: await stack.enter_async_context(world.process(name, ("worker",), replicas=2))
            for name in names
        }
        for process in processes.values():
            for tenant in tenants:
                process.book.adopt(tenant, "small")
        await world.clock.advance(BEAT_SECONDS + 0.1)
        for tenant in tenants:
            chosen = sorted(hosts(tenant, names, 2))
            found = [processes[name].share(tenant) for name in chosen]
            assert found == [Share(2, 2, 0), Share(2, 2, 1)]


async def test_dividing_keeps_no_move_of_a_tenant_from_being_told(world: World) -> None:
    """Both look at every change; whoever comes second finds it decided already."""
    world.known = [f"tenant-{number}" for number in range(20)]
    async with world.process("one", ("worker",), replicas=1) as one:
        moved: list[str] = []
        one.placing.start(moved.extend)
        one.stack.push_async_callback(one.placing.stop)
        async with world.process("two", ("worker",), replicas=1) as two:
            two.heartbeat.acknowledge(1, {})
            await world.clock.advance(2 * BEAT_SECONDS + 0.1)
            others = {one for one in world.known if hosts(one, ("one", "two"), 1) == ("two",)}
            assert set(moved) == others
            moved.clear()
        await world.clock.advance(0.1)
        assert set(moved) == others

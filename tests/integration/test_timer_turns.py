"""Timers' runs take turns over a real bus: two workers, one stream, leases in a real bucket."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import pytest

from actors.events import Event
from actors.flows.compiled import CompiledFlow
from actors.ids import tick_id
from actors.kernel.ports import KernelPorts
from actors.nodes.step import StepContext, World
from actors.outcomes import Advance, StepOutcome
from actors.ports import Envelope
from actors.runs.conclude import RunSinks
from actors.tenants.children import TreePorts
from actors.tenants.host import TenantHost
from actors.tenants.tree import Roles
from actors.testing.answers import MemoryAnswers
from actors.testing.http import MemoryHttp
from actors.testing.observer import RecordingObserver
from app.bus.admin import JetStreamAdmin
from app.bus.continuations import JetStreamContinuations
from app.bus.records import JetStreamRunRecords
from app.bus.results import JetStreamResults
from app.bus.server_folder import Endpoint
from app.control import names, streams
from app.stores.kv import KvBucket
from app.stores.pauses import KvTimerPauses
from app.stores.state import KvStateStore
from app.stores.ticks import LastTicks
from app.system import SystemClock, UlidIds
from tests.support.builders import Waiting, a_flow, a_node, a_timer
from tests.support.bus_rig import PATIENCE_SECONDS, TENANT, BusRig, a_rig
from tests.support.estate import deployed
from tests.support.workshops import NEVER

TYPE = "timer.orders.1"


@dataclass
class Bench:
    """A node that takes its time, and knows how many were at it together."""

    seconds: float
    inside: int = 0
    most: int = 0
    began: int = 0

    async def step_waiting(self, _context: StepContext) -> StepOutcome:
        self.began += 1
        self.inside += 1
        self.most = max(self.most, self.inside)
        try:
            await asyncio.sleep(self.seconds)
        finally:
            self.inside -= 1
        return Advance("done")

    def flow(self, overlap: str) -> CompiledFlow:
        timer = a_timer(NEVER, overlap=overlap)
        return a_flow(a_node("first", Waiting(self.step_waiting)), triggers=(timer,))


@dataclass
class Works:
    """Two workers of one env; each has a connection of its own."""

    rigs: list[BusRig]
    hosts: list[TenantHost] = field(default_factory=list)

    async def open(self, *flows: CompiledFlow) -> None:
        """Start a host on each connection, with a flow of its own or all with the same one."""
        for number, rig in enumerate(self.rigs):
            host, flow = host_on(rig), flows[number % len(flows)]
            await host.start()
            await host.deploy(deployed(flow, tenant=TENANT))
            self.hosts.append(host)

    async def tick(self) -> str:
        """Store a tick of now, and give its event's id."""
        now_ms = SystemClock().now_ms()
        name = tick_id("orders", 1, now_ms)
        event = Event(name, TYPE, "timer", now_ms, {"scheduled_ms": now_ms})
        await self.rigs[0].publisher.publish(Envelope(TENANT, event, message_id=name))
        return name

    async def ticks(self, count: int) -> list[str]:
        """Store so many ticks, some milliseconds apart."""
        names_of = []
        for _ in range(count):
            names_of.append(await self.tick())
            await asyncio.sleep(0.01)
        return names_of

    async def wait_ends(self, count: int) -> list[tuple[str, str]]:
        """Wait for so many results; give event and status of each, in the stream's order."""
        rig = self.rigs[0]
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                stored = await rig.stored(rig.events_stream)
                ends = [
                    (document["event_id"], document["status"])
                    for subject, _, document in stored
                    if subject.endswith(".result")
                ]
                if len(ends) >= count:
                    return ends
                await asyncio.sleep(0.1)


def host_on(rig: BusRig) -> TenantHost:
    env, bus, clock = rig.env, rig.bus, SystemClock()
    world = World(
        env=env,
        publisher=rig.publisher,
        continuations=JetStreamContinuations(rig.acked, env=env, clock=clock),
        state=KvStateStore(KvBucket(bus, names.state_bucket(env)), clock),
        http=MemoryHttp(),
        answers=MemoryAnswers(),
        observer=RecordingObserver(),
        clock=clock,
        ids=UlidIds(),
    )
    ports = TreePorts(
        world=world,
        sinks=RunSinks(
            JetStreamResults(rig.acked, env=env),
            JetStreamRunRecords(rig.acked, env=env),
            rig.dead_letters,
        ),
        ticks=LastTicks(bus, env=env, stream_of=names.events_stream),
        pauses=KvTimerPauses(KvBucket(bus, names.timers_bucket(env))),
        leases=KvStateStore(KvBucket(bus, names.leases_bucket(env)), clock),
        open_deliveries=lambda _: rig.deliveries(),
    )
    chance: Callable[[], float] = random.Random(1).random  # noqa: S311 - spreads restarts
    return TenantHost(Roles(ingress=False), ports, KernelPorts(clock, chance))


@pytest.fixture
async def works(nats_server: Endpoint, fresh_env: str) -> AsyncIterator[Works]:
    async with AsyncExitStack() as stack:
        rigs = [await stack.enter_async_context(a_rig(nats_server, fresh_env)) for _ in range(2)]
        for spec in streams.bucket_specs(fresh_env):
            await JetStreamAdmin(rigs[0].bus).ensure_stream(spec)
        works = Works(rigs)
        yield works
        for host in works.hosts:
            await host.root.stop()


async def test_skip_rejects_what_comes_meanwhile_on_any_worker(works: Works) -> None:
    bench = Bench(1.0)
    await works.open(bench.flow("skip"))
    first = await works.tick()
    await asyncio.sleep(0.3)
    others = await works.ticks(4)
    ends = await works.wait_ends(5)
    assert sorted(ends[:4]) == sorted((one, "rejected") for one in others)
    assert ends[4] == (first, "completed")
    assert bench.most == 1
    last = await works.tick()
    assert (await works.wait_ends(6))[5] == (last, "completed")


async def test_queue_runs_all_of_them_in_their_order(works: Works) -> None:
    bench = Bench(0.3)
    await works.open(bench.flow("queue"))
    ticks = [await works.tick()]
    await asyncio.sleep(0.1)
    ticks += await works.ticks(4)
    assert await works.wait_ends(5) == [(tick, "completed") for tick in ticks]
    assert bench.most == 1
    assert bench.began == 5


async def test_cancel_reaches_the_run_on_the_other_worker(works: Works) -> None:
    bench = Bench(60)
    await works.open(bench.flow("cancel"))
    first = await works.tick()
    await asyncio.sleep(0.3)
    bench.seconds = 0.1
    began = time.monotonic()
    second = await works.tick()
    assert await works.wait_ends(2) == [(first, "cancelled"), (second, "completed")]
    assert time.monotonic() - began < 5
    assert bench.most == 1


async def test_a_worker_that_ends_hands_its_run_and_its_turn_over(works: Works) -> None:
    benches = Bench(60), Bench(60)
    await works.open(*(bench.flow("skip") for bench in benches))
    first = await works.tick()
    await asyncio.sleep(0.3)
    busy = next(number for number, bench in enumerate(benches) if bench.inside)
    other = benches[1 - busy]
    other.seconds = 0.5
    await works.hosts.pop(busy).root.stop()
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not other.inside:
            await asyncio.sleep(0.01)
    second = await works.tick()
    assert await works.wait_ends(2) == [(second, "rejected"), (first, "completed")]
    assert [bench.began for bench in benches] == [1, 1]

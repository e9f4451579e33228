"""Contestant: our worker, from the first pull to the last acknowledgement."""

import asyncio
import cProfile
import os
import random
import sys
import time

import uvloop

from actors.kernel.ports import KernelPorts
from actors.observations import RunFinished
from actors.ports import NoJournal
from actors.tenants.children import TreePorts
from actors.tenants.host import TenantHost
from actors.tenants.tree import Roles
from app.bus.admin import JetStreamAdmin
from app.bus.connection import Bus
from app.control.names import events_stream, journal_stream, leases_bucket, timers_bucket
from app.stores.kv import KvBucket
from app.stores.pauses import KvTimerPauses
from app.stores.state import KvStateStore
from app.stores.ticks import LastTicks
from app.system import spare_the_collector
from tests.benchmarks.flow_setup import prepare, settings


class Counter:
    """Counts finished runs and notices the last."""

    def __init__(self, runs: int) -> None:
        self._left = runs
        self.done = asyncio.Event()

    def observe(self, observation: object) -> None:
        if isinstance(observation, RunFinished):
            assert observation.outcome == "completed", observation
            self._left -= 1
            if self._left == 0:
                self.done.set()


async def main(where: str, env: str, events: int) -> float:
    counter = Counter(events)
    bus = await Bus.connect(settings(where), counter)
    chosen = os.environ.get("BENCH_FLOWS", "orders")
    side, deployment = await prepare(bus, env, events, chosen=chosen)
    if os.environ.get("BENCH_JOURNAL") == "off":
        object.__setattr__(side.world, "journal", NoJournal())
    object.__setattr__(side.world, "observer", counter)
    ports = TreePorts(
        world=side.world,
        sinks=side.sinks,
        ticks=LastTicks(bus, env=env, stream_of=events_stream),
        pauses=KvTimerPauses(KvBucket(bus, timers_bucket(env))),
        leases=KvStateStore(KvBucket(bus, leases_bucket(env)), side.clock),
        open_deliveries=side.open_deliveries,
    )
    chance = random.Random(1)  # noqa: S311 - spreads restarts
    host = TenantHost(Roles(ingress=False), ports, KernelPorts(side.clock, chance.random))
    await host.start()
    profile = cProfile.Profile() if os.environ.get("BENCH_PROFILE") else None
    if profile is not None:
        profile.enable()
    spare_the_collector()
    began = time.perf_counter()
    await host.deploy(deployment)
    await counter.done.wait()
    elapsed = time.perf_counter() - began
    if profile is not None:
        profile.disable()
        profile.dump_stats(os.environ["BENCH_PROFILE"])
    await host.drain()
    entries = await JetStreamAdmin(bus).stream_info(journal_stream(env, 0))
    print(0 if entries is None else entries.messages)
    await side.close(5.0)
    return elapsed


if __name__ == "__main__":
    print(uvloop.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]))))

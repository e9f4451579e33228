"""The process that counts, to be killed: `python -m tests.metering.child URL USER PASSWORD ENV N`.

In: where NATS is, an env, how many runs are remembered. Out: the metering part of the history role,
alone, until it is ended.
"""

import asyncio
import sys

from prometheus_client import CollectorRegistry

from app.bus.connection import Bus, BusSettings
from app.bus.direct import DirectReader
from app.control.names import tenants_bucket
from app.history.metering.role import MeteringNeeds, MeteringRole
from app.observability.history import HistoryMeter
from app.stores.kv import KvBucket
from app.system import SystemClock
from app.tenancy.directory import TenantDirectory
from tests.support.bus import DeafObserver

LEASE_SECONDS = 2
"""Short, since each kill waits for its end."""


async def main() -> None:
    url, user, password, env, remembered = sys.argv[1:]
    settings = BusSettings(url, user, password)
    bus = await Bus.connect(settings, DeafObserver())
    reader = await DirectReader.start(bus)
    directory = TenantDirectory(KvBucket(bus, tenants_bucket(env)), SystemClock())
    await directory.start()
    needs = MeteringNeeds(
        env=env,
        bus=settings,
        reader=reader,
        directory=directory,
        clock=SystemClock(),
        meter=HistoryMeter(CollectorRegistry()),
        runs_remembered=int(remembered),
        lease_seconds=LEASE_SECONDS,
    )
    await MeteringRole(needs).run()


if __name__ == "__main__":
    asyncio.run(main())

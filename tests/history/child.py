"""The process that writes the history, to be killed.

In: on standard input one line of JSON: where NATS is, an env, the database. Out: the history role
alone, until it is ended; what it logs, on standard error. The password is on no command line.
"""

import asyncio
import json
import sys

from app.bootstrap.history_side import HistoryOptions, HistorySide, HistoryWorld
from app.bus.connection import Bus, BusSettings
from app.bus.direct import DirectReader
from app.control.names import tenants_bucket
from app.history.projection import agent
from app.observability.logs import configure_logging
from app.observability.metrics import Metrics
from app.stores.kv import KvBucket
from app.system import SystemClock, collect_seldom
from app.tenancy.directory import TenantDirectory
from tests.support.bus import DeafObserver


async def main() -> None:
    told = json.loads(sys.stdin.readline())
    configure_logging("info", "json")
    collect_seldom()
    if told["ack_wait_seconds"] is not None:
        agent.ACK_WAIT_SECONDS = told["ack_wait_seconds"]  # type: ignore[misc]
    settings = BusSettings(told["url"], told["user"], told["password"])
    side = HistorySide(HistoryOptions(told["database"]))
    bus = await Bus.connect(settings, DeafObserver())
    directory = TenantDirectory(KvBucket(bus, tenants_bucket(told["env"])), SystemClock())
    await directory.start()
    world = HistoryWorld(
        told["env"],
        settings,
        await DirectReader.start(bus),
        directory,
        SystemClock(),
        Metrics().history,
    )
    await side.run(world)


if __name__ == "__main__":
    asyncio.run(main())

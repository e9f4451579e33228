"""Contestant: a bare FastStream subscriber that publishes its reply on core NATS."""

import asyncio
import sys
import time

import uvloop
from faststream.nats import JStream, NatsBroker, PullSub

from actors.testing.observer import RecordingObserver
from app.bus.connection import Bus
from app.control.names import events_stream
from tests.benchmarks.flow_setup import TENANT, prepare, settings

BATCH = 100


async def main(where: str, env: str, events: int) -> float:
    bus = await Bus.connect(settings(where), RecordingObserver())
    side, _ = await prepare(bus, env, events)
    await side.close(5.0)
    given = settings(where)
    login = f"nats://{given.user}:{given.password}@"
    broker = NatsBroker(given.url.replace("nats://", login), logger=None)
    left = events
    done = asyncio.Event()

    @broker.subscriber(
        f"greentic.events.{env}.{TENANT}.order.created",
        stream=JStream(events_stream(env, TENANT), declare=False),
        durable="faststream",
        pull_sub=PullSub(batch_size=BATCH),
    )
    @broker.publisher("bench.reply")
    async def handle(event: dict[str, object]) -> dict[str, object]:
        nonlocal left
        left -= 1
        if left == 0:
            done.set()
        payload = event["payload"]
        assert isinstance(payload, dict)
        return {"event_id": event["id"], "large": payload["total"] > 100}

    began = time.perf_counter()
    await broker.start()
    await done.wait()
    elapsed = time.perf_counter() - began
    await broker.stop()
    return elapsed


if __name__ == "__main__":
    print(uvloop.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]))))

"""Contestant: plain nats-py, fetching and acknowledging the same messages."""

import sys
import time

import nats
import uvloop

from actors.testing.observer import RecordingObserver
from app.bus.connection import Bus
from app.control.names import FLOWS_DURABLE, events_stream
from tests.benchmarks.flow_setup import TENANT, prepare, settings

BATCH = 100


async def main(where: str, env: str, events: int) -> float:
    bus = await Bus.connect(settings(where), RecordingObserver())
    side, _ = await prepare(bus, env, events)
    await side.close(5.0)
    given = settings(where)
    client = await nats.connect(given.url, user=given.user, password=given.password)
    stream = events_stream(env, TENANT)
    pull = await client.jetstream().pull_subscribe_bind(FLOWS_DURABLE, stream)
    left = events
    began = time.perf_counter()
    while left:
        for message in await pull.fetch(min(BATCH, left)):
            await message.ack()
            left -= 1
    await client.flush()
    elapsed = time.perf_counter() - began
    await client.close()
    return elapsed


if __name__ == "__main__":
    print(uvloop.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]))))

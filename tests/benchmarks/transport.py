"""What a Faust agent over nats:// takes, against plain nats-py: messages/s, in turn, on one server.

20,000 JSON messages of four fields in a file stream. Plain: `fetch(500)`, `json.loads`, `ack`. The
agent: a topic of JSON, `noack().events()`, `event.ack()`, and the time until the server knows that
all are acknowledged. Both run in this process and end with nothing unacknowledged. Goal: half.

The agent's clock starts at its first message, which leaves out Faust's start (a second's sleep) and
the first fetch; up to 2,000 messages are fetched by then.
"""

import asyncio
import json
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Any

import faust
import nats
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig

from app.bus.server import EmbeddedServer
from app.bus.server_folder import Endpoint
from app.history.transport.bindings import StreamBinding, bind
from tests.benchmarks.programs import show_ratio

ROUNDS = 5
MESSAGES = 20_000
FETCH = 500
STREAM = "BENCH"
PATIENCE_SECONDS = 60


async def main() -> None:
    with tempfile.TemporaryDirectory() as data:
        server = EmbeddedServer(Path(data))
        endpoint = await server.start()
        try:
            await _fill(endpoint)
            plain, agent, records = [], [], []
            for turn in range(ROUNDS):
                plain.append(await _plain(endpoint, turn))
                agent.append(await _agent(endpoint, f"agent{turn}", Path(data), {}))
                model = {"value_type": Order}
                records.append(await _agent(endpoint, f"record{turn}", Path(data), model))
        finally:
            await server.stop()
    show_ratio("a Faust agent against plain nats-py", agent, plain, 0.5, "messages/s")
    show_ratio("the same with a faust.Record", records, plain, 0.45, "messages/s")


class Order(faust.Record):  # type: ignore[misc]  # Faust types its models for its own plugin
    id: str
    customer: str
    total: float
    items: list[str]


async def _connect(endpoint: Endpoint) -> tuple[Any, JetStreamContext]:
    connection = await nats.connect(endpoint.url, user=endpoint.user, password=endpoint.password)
    return connection, connection.jetstream()


async def _fill(endpoint: Endpoint) -> None:
    connection, stream = await _connect(endpoint)
    await stream.add_stream(name=STREAM, subjects=["bench.>"])
    for number in range(MESSAGES):
        order = {
            "id": f"order-{number}", "customer": f"customer-{number % 100}",
            "total": number / 100, "items": ["tea", "milk"],
        }  # fmt: skip
        await stream.publish_async(f"bench.{number % 10}", json.dumps(order).encode())
    await stream.publish_async_completed()
    await connection.close()


async def _plain(endpoint: Endpoint, turn: int) -> float:
    connection, stream = await _connect(endpoint)
    config = ConsumerConfig(
        durable_name=f"plain{turn}", ack_policy=AckPolicy.EXPLICIT, max_ack_pending=10_000
    )
    await stream.add_consumer(STREAM, config)
    pull = await stream.pull_subscribe_bind(consumer=f"plain{turn}", stream=STREAM)
    seen, start = 0, perf_counter()
    while seen < MESSAGES:
        for message in await pull.fetch(FETCH):
            seen += bool(json.loads(message.data)["id"])
            await message.ack()
    await _settled(stream, f"plain{turn}")
    took = perf_counter() - start
    await connection.close()
    return MESSAGES / took


async def _agent(endpoint: Endpoint, name: str, folder: Path, options: dict[str, Any]) -> float:
    broker = endpoint.url.replace("//", f"//{endpoint.user}:{endpoint.password}@")
    app = faust.App(name, broker=broker, web_enabled=False, datadir=str(folder / name))
    topic = app.topic("bench", value_serializer="json", **options)
    bind(app, "bench", StreamBinding(STREAM))
    times: list[float] = []
    seen = 0
    done = asyncio.Event()

    @app.agent(topic)
    async def take(stream: Any) -> None:
        nonlocal seen
        async for event in stream.noack().events():
            if not seen:
                times.append(perf_counter())
            order = event.value
            seen += bool(order.id if options else order["id"])
            event.ack()
            if seen == MESSAGES:
                done.set()

    await app.start()
    await asyncio.wait_for(done.wait(), PATIENCE_SECONDS)
    connection, stream = await _connect(endpoint)
    await _settled(stream, name)
    took = perf_counter() - times[0]
    await connection.close()
    await app.stop()
    return MESSAGES / took


async def _settled(stream: JetStreamContext, durable: str) -> None:
    while True:
        info = await stream.consumer_info(STREAM, durable)
        if not info.num_pending and not info.num_ack_pending:
            return
        await asyncio.sleep(0.002)

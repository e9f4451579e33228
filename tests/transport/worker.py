"""One worker process: ``python -m tests.transport.worker ROLE BROKER NAME FOLDER [FAILURES]``.

``share``: takes numbers from a shared topic, sends each on to the topic ``NAME-out``, and raises
for a share of them. ``count``: reads the stream of somebody else in order, and counts into a table;
a value says up to which sequence it was applied. ``show``: recovers that table, prints it, ends.
"""

import asyncio
import json
import random
import signal
import sys
from pathlib import Path
from typing import Any

import faust

from app.history.transport.bindings import StreamBinding, bind

KEYS = 50


def main(role: str, broker: str, name: str, folder: str, failures: str = "0") -> None:
    logging_off()
    app = faust.App(name, broker=broker, web_enabled=False, datadir=str(Path(folder) / "faust"))
    if role == "share":
        share(app, name, float(failures))
        asyncio.run(until_stopped(app))
    else:
        table = count(app, name)
        asyncio.run(until_stopped(app) if role == "count" else shown(app, table))


def logging_off() -> None:
    import logging

    logging.basicConfig(level=logging.CRITICAL, stream=sys.stderr)


def share(app: faust.App, name: str, failures: float) -> None:
    topic = app.topic("numbers", value_serializer="json")
    bind(app, "numbers", StreamBinding("NUMBERS", durable=name, ack_wait_seconds=3.0))
    out = app.topic(f"{name}-out", value_serializer="json")

    @app.agent(topic)
    async def pass_on(stream: Any) -> None:
        async for event in stream.noack().events():
            if random.random() < failures:  # noqa: S311  # no secret
                raise ValueError(event.value)
            await out.send(value=event.value)
            event.ack()


def count(app: faust.App, name: str) -> Any:
    topic = app.topic("numbers", value_serializer="json")
    bind(app, "numbers", StreamBinding("NUMBERS", durable=name, is_exclusive=True))
    table = app.Table("sums", default=dict)

    @app.agent(topic)
    async def add(stream: Any) -> None:
        async for event in stream.noack().events():
            sequence = int(event.headers["Nats-Sequence"])
            key = event.value % KEYS
            held = table[key] or {"sum": 0, "count": 0, "through": 0}
            if sequence > held["through"]:
                table[key] = {
                    "sum": held["sum"] + event.value,
                    "count": held["count"] + 1,
                    "through": sequence,
                }
            event.ack()

    return table


async def until_stopped(app: faust.App) -> None:
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    await app.start()
    print("started", flush=True)
    while not stopped.is_set() and not app.should_stop:
        await asyncio.sleep(0.1)
    await app.stop()
    sys.exit(3 if app.crashed else 0)


async def shown(app: faust.App, table: Any) -> None:
    await app.start()
    while not (app.tables.actives_ready and app.consumer.assignment()):
        await asyncio.sleep(0.05)
    print(json.dumps(dict(table)), flush=True)
    await app.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])

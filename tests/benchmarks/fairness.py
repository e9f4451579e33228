"""What three troublesome tenants cost a healthy one (goal: p99 at most 20 ms above its value alone).

In one worker: one tenant's script loops for ever, one raises, one sends messages that are no
events, 5 a second each; the healthy one gets 50 a second. Time is from publish to result.
"""

import asyncio
import json
import tempfile
import time
from pathlib import Path
from statistics import median, quantiles

import nats
from nats.aio.client import Client
from nats.aio.msg import Msg

from tests.benchmarks.programs import BUNDLES, program

SECONDS = 12
HEALTHY_PER_SECOND = 50
TROUBLE_PER_SECOND = 5


async def main() -> None:
    with (
        tempfile.TemporaryDirectory() as data,
        program(BUNDLES / "neighbours", Path(data), "--roles", "worker") as started,
    ):
        given = json.loads((Path(data) / "nats.json").read_text())
        client = await nats.connect(started["nats"], user=given["user"], password=given["password"])
        await _measure(client, "warmup", trouble=False, seconds=2)
        alone = await _measure(client, "alone", trouble=False, seconds=SECONDS)
        beside = await _measure(client, "beside", trouble=True, seconds=SECONDS)
        await client.close()
    p99_alone, p99_beside = (quantiles(x, n=100)[98] * 1e3 for x in (alone, beside))
    print(f"healthy tenant alone:  p50 {median(alone) * 1e3:.1f} ms, p99 {p99_alone:.1f} ms")
    print(f"beside three troubled: p50 {median(beside) * 1e3:.1f} ms, p99 {p99_beside:.1f} ms")
    print(f"p99 rises by {p99_beside - p99_alone:.1f} ms (goal ≤ 20)")


async def _measure(client: Client, name: str, *, trouble: bool, seconds: int) -> list[float]:
    sent: dict[str, float] = {}
    took: list[float] = []

    async def on_result(message: Msg) -> None:
        event = json.loads(message.data)["event_id"]
        if event in sent:
            took.append(time.perf_counter() - sent[event])

    subject = "greentic.events.dev.healthy.order.created"
    listening = await client.subscribe(subject + ".result", cb=on_result)
    await client.flush()
    disturbing = asyncio.create_task(_disturb(client, name, seconds if trouble else 0))
    count = seconds * HEALTHY_PER_SECOND
    for number in range(count):
        identity = f"{name}-{number}"
        sent[identity] = time.perf_counter()
        await client.publish(subject, event_bytes(identity))
        await asyncio.sleep(1 / HEALTHY_PER_SECOND)
    await disturbing
    deadline = time.monotonic() + 20
    while len(took) < count and time.monotonic() < deadline:
        await asyncio.sleep(0.05)
    await listening.unsubscribe()
    assert len(took) == count, f"{count - len(took)} healthy events have no result"
    return took


async def _disturb(client: Client, name: str, seconds: int) -> None:
    for number in range(seconds * TROUBLE_PER_SECOND):
        for tenant in ("endless", "raising"):
            subject = f"greentic.events.dev.{tenant}.order.created"
            await client.publish(subject, event_bytes(f"{name}-{tenant}-{number}"))
        await client.publish("greentic.events.dev.poison.order.created", b'{"no": "event"')
        await asyncio.sleep(1 / TROUBLE_PER_SECOND)


def event_bytes(identity: str) -> bytes:
    event = {
        "id": identity,
        "event_type": "order.created",
        "source": "bench",
        "timestamp": int(time.time() * 1000),
        "payload": {"total": 120, "items": [{"price": 60, "quantity": 2}]},
    }
    return json.dumps(event).encode()

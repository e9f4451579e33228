"""What a thousand tenants with three flows each cost one worker.

Goals: ready in 15 s, 400 MB resident, idle below 5 % of a core; of the worker alone. The server is
told of apart. Twice: all tenants run the same flows, and each has flows of its own text.
``TENANTS``, ``IDLE_SECONDS`` and ``VARIANTS`` (``shared,own``) of the environment change it.
"""

import asyncio
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import nats
from nats.aio.client import Client
from nats.aio.msg import Msg

from tests.benchmarks.processes import Figures, children_of
from tests.benchmarks.programs import program
from tests.benchmarks.tenants_bundle import tenant_names, write_bundle

TENANTS = int(os.environ.get("TENANTS", "1000"))
IDLE_SECONDS = float(os.environ.get("IDLE_SECONDS", "30"))
VARIANTS = os.environ.get("VARIANTS", "shared,own").split(",")
SETTLE_SECONDS = 5.0
ASKED_MAX = 50
ANSWER_SECONDS_MAX = 30.0


async def main() -> None:
    load = os.getloadavg()[0]
    print(f"{TENANTS} tenants, 3 flows each; load average {load:.2f}")
    for variant in VARIANTS:
        with tempfile.TemporaryDirectory() as folder:
            bundle, data = Path(folder) / "bundle", Path(folder) / "data"
            write_bundle(bundle, tenant_names(TENANTS), is_shared=variant == "shared")
            for start in ("first start", "second start"):
                with program(bundle, data) as started:
                    print(f"{variant}, {start}: ready in {started['ready_seconds']:.1f} s (≤ 15)")
                    await _measure(started, data, start.split()[0])


async def _measure(started: dict[str, Any], data: Path, name: str) -> None:
    worker = started["pid"]
    server = next(pid for pid, comm in children_of(worker).items() if "nats-server" in comm)
    _show_memory("ready", worker, server)
    await asyncio.sleep(SETTLE_SECONDS)
    before = [Figures.of(pid) for pid in (worker, server)]
    began = time.monotonic()
    await asyncio.sleep(IDLE_SECONDS)
    seconds = time.monotonic() - began
    after = [Figures.of(pid) for pid in (worker, server)]
    shares = [
        100 * (b.cpu_seconds - a.cpu_seconds) / seconds for a, b in zip(before, after, strict=True)
    ]
    print(f"  idle: worker {shares[0]:.1f} % of a core (≤ 5), server {shares[1]:.1f} %")
    _show_memory("after idling", worker, server)
    given = json.loads((data / "nats.json").read_text())
    client = await nats.connect(started["nats"], user=given["user"], password=given["password"])
    took = await _ask_some(client, name)
    await client.close()
    print(f"  {len(took)} tenants answered their first event, the slowest in {took[-1]:.2f} s")
    _show_memory("after answering", worker, server)


def _show_memory(when: str, worker: int, server: int) -> None:
    sizes = [Figures.of(pid).resident_mib for pid in (worker, server)]
    print(f"  {when}: worker {sizes[0]:.0f} MiB (≤ 400), server {sizes[1]:.0f} MiB", flush=True)


async def _ask_some(client: Client, name: str) -> list[float]:
    """Send an event to some tenants; give how long each took to its result, ascending."""
    sent: dict[str, float] = {}
    took: dict[str, float] = {}

    async def on_result(message: Msg) -> None:
        result = json.loads(message.data)
        if result["event_id"] in sent:
            assert result["status"] == "completed", result
            took.setdefault(result["event_id"], time.perf_counter() - sent[result["event_id"]])

    await client.subscribe("greentic.events.dev.*.order.created.result", cb=on_result)
    await client.flush()
    tenants = tenant_names(TENANTS)
    for tenant in tenants[:: max(1, len(tenants) // ASKED_MAX)][:ASKED_MAX]:
        identity = f"{name}-{tenant}"
        sent[identity] = time.perf_counter()
        await client.publish(f"greentic.events.dev.{tenant}.order.created", _event(identity))
    deadline = time.monotonic() + ANSWER_SECONDS_MAX
    while len(took) < len(sent) and time.monotonic() < deadline:
        await asyncio.sleep(0.02)
    assert took.keys() == sent.keys(), f"{len(sent) - len(took)} tenants did not answer"
    return sorted(took.values())


def _event(identity: str) -> bytes:
    event = {
        "id": identity,
        "event_type": "order.created",
        "source": "bench",
        "timestamp": int(time.time() * 1000),
        "payload": {"total": 120.0},
    }
    return json.dumps(event).encode()

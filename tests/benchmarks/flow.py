"""Events/s through one worker's branch + script + result flow, records included.

Against plain nats-py (fetch and ack of the same messages, goal ≥ 0.3) and against a bare FastStream
subscriber (pull consumer, batch 100, a reply on core NATS for each; goal ≥ 1.5). Each runs in a
process of its own, in turn, on one server.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from app.bus.server import EmbeddedServer
from tests.benchmarks.programs import ROOT, show_ratio

ROUNDS = 3
EVENTS = 20_000


async def main() -> None:
    with tempfile.TemporaryDirectory() as data:
        server = EmbeddedServer(Path(data))
        endpoint = await server.start()
        try:
            where = json.dumps(
                {"url": endpoint.url, "user": endpoint.user, "password": endpoint.password}
            )
            figures: dict[str, list[float]] = {"worker": [], "plain": [], "faststream": []}
            for turn in range(ROUNDS):
                for name, rates in figures.items():
                    rates.append(await _rate(name, where, f"bench{turn}{name}"))
        finally:
            await server.stop()
    worker = figures["worker"]
    show_ratio("worker against plain nats-py", worker, figures["plain"], 0.3, "events/s")
    show_ratio("worker against FastStream", worker, figures["faststream"], 1.5, "events/s")


async def _rate(name: str, where: str, env: str) -> float:
    import asyncio

    command = [sys.executable, "-m", f"tests.benchmarks.flow_{name}", where, env, str(EVENTS)]
    finished = await asyncio.to_thread(
        subprocess.run, command, cwd=ROOT, capture_output=True, text=True, check=False
    )
    if finished.returncode:
        raise RuntimeError(finished.stderr[-3000:])
    return EVENTS / float(finished.stdout.strip().splitlines()[-1])

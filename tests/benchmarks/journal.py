"""What the journal costs: runs/s with and without one, in turn, on one server.

A pure flow writes nothing to it (goal: no measurable difference). A flow with effects writes one
entry for each: with two effects it is to be no slower than a flow of four effects without a
journal, which publishes as often. Counted too: entries in the stream for each effect.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from app.bus.server import EmbeddedServer
from tests.benchmarks.programs import ROOT, show_ratio

ROUNDS = 5
EVENTS = 10_000
CONTESTANTS = {
    "pure, journal": {"BENCH_FLOWS": "orders", "BENCH_JOURNAL": "on"},
    "pure, none": {"BENCH_FLOWS": "orders", "BENCH_JOURNAL": "off"},
    "two effects, journal": {"BENCH_FLOWS": "effects:two", "BENCH_JOURNAL": "on"},
    "two effects, none": {"BENCH_FLOWS": "effects:two", "BENCH_JOURNAL": "off"},
    "four effects, none": {"BENCH_FLOWS": "effects:four", "BENCH_JOURNAL": "off"},
}


async def main() -> None:
    with tempfile.TemporaryDirectory() as data:
        server = EmbeddedServer(Path(data))
        endpoint = await server.start()
        where = json.dumps(
            {"url": endpoint.url, "user": endpoint.user, "password": endpoint.password}
        )
        try:
            rates: dict[str, list[float]] = {name: [] for name in CONTESTANTS}
            entries: dict[str, int] = {}
            for turn in range(ROUNDS):
                for number, (name, flags) in enumerate(CONTESTANTS.items()):
                    rate, entries[name] = await _run(where, f"journal{turn}x{number}", flags)
                    rates[name].append(rate)
        finally:
            await server.stop()
    show_ratio("pure: with against without", rates["pure, journal"], rates["pure, none"], 0.95,
               "runs/s")  # fmt: skip
    show_ratio("two effects: with against without", rates["two effects, journal"],
               rates["two effects, none"], 0.5, "runs/s")  # fmt: skip
    show_ratio("two effects with against four without", rates["two effects, journal"],
               rates["four effects, none"], 1.0, "runs/s")  # fmt: skip
    for name, count in entries.items():
        print(f"{name}: {count / EVENTS:g} entries a run")


async def _run(where: str, env: str, flags: dict[str, str]) -> tuple[float, int]:
    import asyncio

    command = [sys.executable, "-m", "tests.benchmarks.flow_worker", where, env, str(EVENTS)]
    finished = await asyncio.to_thread(
        subprocess.run, command, cwd=ROOT, capture_output=True, text=True, check=False,
        env={**os.environ, **flags},
    )  # fmt: skip
    if finished.returncode:
        raise RuntimeError(finished.stderr[-3000:])
    entries, elapsed = finished.stdout.strip().splitlines()[-2:]
    return EVENTS / float(elapsed), int(entries)

"""Durable webhooks/s of one ingress process against a bare Starlette route (goal ≥ 0.5)."""

import sys
import tempfile
from pathlib import Path

from tests.benchmarks.programs import (
    BUNDLES,
    free_port,
    process,
    program,
    show_ratio,
    wrk_rate,
)

ROUNDS = 3
SECONDS = 5
CONNECTIONS = 64
SCRIPT = Path(__file__).with_name("post.lua")
PATH = "/events/webhook/demo/order.created"


def main() -> None:
    port = free_port()
    uvicorn = ("-m", "uvicorn", "tests.benchmarks.bare:app", "--port", str(port))
    quiet = ("--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "error")
    ours: list[float] = []
    theirs: list[float] = []
    with (
        tempfile.TemporaryDirectory() as data,
        process(sys.executable, *uvicorn, *quiet, port=port),
        program(BUNDLES / "orders", Path(data), "--roles", "ingress") as started,
    ):
        for _ in range(ROUNDS):
            for figures, base in ((theirs, f"http://127.0.0.1:{port}"), (ours, started["url"])):
                rate = wrk_rate(base + PATH, SCRIPT, seconds=SECONDS, connections=CONNECTIONS)
                figures.append(rate)
    show_ratio("durable webhooks against a bare route", ours, theirs, 0.5, "requests/s")

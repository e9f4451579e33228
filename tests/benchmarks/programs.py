"""Programs under measurement: started with a known id, ended by it."""

import json
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
BUNDLES = Path(__file__).resolve().parent / "bundles"


@contextmanager
def program(bundle: Path, data: Path, *flags: str) -> Iterator[dict[str, Any]]:
    """`greentic-events start`; gives what it printed when it was ready."""
    command = [sys.executable, "-m", "app.cli.main", "start", str(bundle), "--json"]
    command += ["--port", "0", "--admin", "127.0.0.1:0", "--data", str(data), *flags]
    began = time.monotonic()
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        started: dict[str, Any] = json.loads(line)
        started["ready_seconds"] = time.monotonic() - began
        started["process"] = process
        yield started
    finally:
        process.terminate()
        process.wait(timeout=60)


@contextmanager
def process(*command: str, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """Any server that listens on ``port`` when it is ready."""
    started = subprocess.Popen(command, cwd=ROOT)
    try:
        wait_port(port)
        yield started
    finally:
        started.terminate()
        started.wait(timeout=30)


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


def wait_port(port: int, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise TimeoutError(f"nothing listens on {port}")


def post(url: str, document: object) -> tuple[int, bytes]:
    request = urllib.request.Request(  # noqa: S310 - loopback
        url, json.dumps(document).encode(), {"content-type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310 - loopback
        return response.status, response.read()


def wrk_rate(url: str, script: Path, *, seconds: int, connections: int) -> float:
    """Requests per second; any answer but a 2xx makes the figure worthless and is an error."""
    wrk = shutil.which("wrk")
    if wrk is None:
        raise FileNotFoundError("wrk is not installed; 'make bench' installs it on Debian")
    command = [wrk, "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(script), url]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in printed or "Socket errors" in printed:
        raise RuntimeError(printed)
    found = re.search(r"Requests/sec:\s+([\d.]+)", printed)
    assert found is not None, printed
    return float(found[1])


def show_ratio(what: str, ours: list[float], theirs: list[float], goal: float, unit: str) -> None:
    ratios = sorted(a / b for a, b in zip(ours, theirs, strict=True))
    print(
        f"{what}: ours {median(ours):,.0f} {unit}, theirs {median(theirs):,.0f} {unit}, "
        f"ratio {median(ratios):.2f} (runs {', '.join(f'{r:.2f}' for r in ratios)}; goal ≥ {goal})"
    )

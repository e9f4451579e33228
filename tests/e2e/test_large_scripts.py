"""A flow that asks for more runs its scripts in processes, which end with the program."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

PROGRAM = [sys.executable, "-c", "from app.cli.main import main; main()"]
SECONDS_MAX = 60
FLOW = """
name: counting
version: "1"
config: {script: {operations: 50000000, timeout: 3000}}
triggers: [{type: event, event_type: count.wanted, target: count}]
nodes:
  - id: count
    type: script
    config:
      script: |
        let n = 0;
        while n < payload.to { n += 1; }
        state.set("counted", state.get("counted", 0) + 1);
        #{ n: n, counted: state.get("counted") }
    next: respond
"""

pytestmark = pytest.mark.skipif(not Path("/proc").exists(), reason="looks at processes in /proc")


@dataclass(frozen=True)
class Running:
    process: "subprocess.Popen[str]"
    url: str
    admin: str

    def count(self, to: int) -> tuple[int, Any]:
        answer = httpx.post(
            f"{self.url}/events/webhook/demo/count.wanted", json={"to": to}, timeout=SECONDS_MAX
        )
        return answer.status_code, answer.json()

    def script_pids(self) -> set[int]:
        return {
            int(folder.name)
            for folder in Path("/proc").iterdir()
            if folder.name.isdecimal() and self._is_ours(folder)
        }

    def _is_ours(self, folder: Path) -> bool:
        try:
            command = (folder / "cmdline").read_bytes()
        except OSError:
            return False
        return b"app.worker.script_child" in command and str(self.process.pid).encode() in command


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    bundle = tmp_path / "b"
    (bundle / "flows").mkdir(parents=True)
    (bundle / "greentic.demo.yaml").write_text('name: b\nversion: "1"\n')
    (bundle / "flows" / "counting.ygtc").write_text(FLOW)
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            [*PROGRAM, "start", str(bundle), "--port", "0", "--admin", "127.0.0.1:0", "--json"],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert line, (tmp_path / "log").read_text()
        ready = json.loads(line)
        yield Running(process, ready["url"], ready["admin"])
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(SECONDS_MAX)
        finally:
            process.kill()
            process.stdout.close()


def wait_gone(running: Running) -> None:
    deadline = time.monotonic() + 10
    while running.script_pids():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_scripts_run_in_processes_that_end_with_the_program(running: Running) -> None:
    assert running.script_pids() == set(), "no process before a script needs one"
    assert running.count(100_000) == (200, {"n": 100_000, "counted": 1})
    assert running.count(5) == (200, {"n": 5, "counted": 2})
    assert len(running.script_pids()) == 1
    text = httpx.get(f"{running.admin}/metrics", timeout=SECONDS_MAX).text
    assert "greentic_script_run_seconds_count 4.0" in text, "two runs, each once more for its key"
    running.process.send_signal(signal.SIGTERM)
    assert running.process.wait(SECONDS_MAX) == 0
    wait_gone(running)


def test_a_killed_program_leaves_no_script_behind(running: Running) -> None:
    assert running.count(5)[0] == 200
    assert running.script_pids()
    running.process.kill()
    running.process.wait(SECONDS_MAX)
    wait_gone(running)

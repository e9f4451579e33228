"""The bundles of `init` come with tests, and these hold."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
PROGRAM = [sys.executable, "-c", "from app.cli.main import main; main()"]


@pytest.mark.parametrize("name", ["orders", "reports", "tour"])
def test_tests_of_an_example_hold(name: str) -> None:
    done = subprocess.run(
        [*PROGRAM, "flow", "test", str(EXAMPLES / name), "--json"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    verdicts = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(verdicts) >= 4
    assert all(verdict["ok"] for verdict in verdicts)
    files = sorted({verdict["file"] for verdict in verdicts})
    assert files == sorted(map(str, (EXAMPLES / name).rglob("*.tests.yaml")))

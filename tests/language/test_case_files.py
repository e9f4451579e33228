"""Every case of the shared case files comes out as a real Rhai engine, or the dialect, has it.

The case files are not part of this repository: without them these tests are skipped.
"""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from grammar.conformance import run_case

ROOT = Path(__file__).resolve().parents[2]
CASES = ROOT.parent / "shared" / "language"
EXCEPTIONS: dict[str, str] = {}
"""Case id to the reason why it may fail. Empty: the core tier has no exception."""
MEMORY_BYTES_MAX = 200 * 1024 * 1024

pytestmark = pytest.mark.skipif(not CASES.is_dir(), reason="the shared case files are not here")


@cache
def conflicts() -> frozenset[str]:
    listed = json.loads((CASES / "dialect_conflicts.json").read_text(encoding="utf-8"))
    return frozenset(item["id"] for item in listed)


def cases(name: str) -> list[dict[str, Any]]:
    lines = (CASES / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    found = [json.loads(line) for line in lines]
    return [
        case
        for case in found
        if case["id"] not in conflicts()
        and case["id"] not in EXCEPTIONS
        and case.get("tier") != "extended"
    ]


@pytest.mark.parametrize("name", ["rhai_corpus", "probes", "op_matrix", "dialect"])
def test_every_case_of_the_file_comes_out_right(name: str) -> None:
    wrong = [
        f"{outcome.id}: got {outcome.got}, expected {outcome.expected}"
        for outcome in map(run_case, cases(name))
        if not outcome.ok
    ]
    assert wrong == []


ATTACK_ALL = """
import json, pathlib, sys
from grammar.conformance import run_case
outcomes = [run_case(json.loads(line)) for line in sys.stdin]
print(json.dumps({
    "wrong": [f"{o.id}: got {o.got}" for o in outcomes if not o.ok],
    "run": len(outcomes),
    "peak": next(
        line.split()[1]
        for line in pathlib.Path("/proc/self/status").read_text().splitlines()
        if line.startswith("VmHWM")
    ),
}))
"""


def test_every_attack_ends_in_an_allowed_outcome_and_in_bounded_memory() -> None:
    attacks = cases("attacks")
    # A process of its own: what other tests took of memory is not the attacks' doing. And the
    # peak of its own memory: what getrusage tells comes along from the process that forked it.
    finished = subprocess.run(
        [sys.executable, "-c", ATTACK_ALL],
        input="\n".join(map(json.dumps, attacks)),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    told = json.loads(finished.stdout)
    assert told["wrong"] == []
    assert told["run"] == len(attacks)
    assert int(told["peak"]) * 1024 < MEMORY_BYTES_MAX

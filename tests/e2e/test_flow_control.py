"""Flow control as a user has it: one program, a flow for each rule, events over HTTP."""

import asyncio
from collections import defaultdict
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.programs import (
    RunningProgram,
    nats_credentials,
    running_program,
    write_bundle,
)
from tests.support.streams import read_stream

pytestmark = pytest.mark.e2e

FLOW = """
name: {name}
version: "1"
config: {config}
triggers:
  - {{type: event, event_type: {name}.asked, target: nap}}
nodes:
  - {{id: nap, type: wait, config: {{for: "{{{{payload.ms}}}}"}}, next: say}}
  - {{id: say, type: script, config: {{script: '{script}'}}, next: done}}
"""
RULES = {
    "line": ("{ordered: payload.key}", "payload.number"),
    "crowd": ("{batch: {max_size: 4, max_wait: 2s}}", "events.len()"),
    "gate": ("{rate_limit: {limit: 1, period: 1h}}", "payload.number"),
    "drip": ("{throttle: {limit: 2, period: 1s}}", "payload.number"),
    "last": ("{debounce: {period: 1s, key: payload.key}}", "payload.number"),
    "only": ("{singleton: {mode: skip, key: payload.key}}", "payload.number"),
    "newest": ("{singleton: {mode: cancel, key: payload.key}}", "payload.number"),
}
STREAM = "EVENTS-dev-T-demo"


async def post(program: RunningProgram, name: str, events: list[dict[str, Any]]) -> list[str]:
    ids = []
    async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
        for event in events:
            url = f"{program.url}/events/webhook/demo/{name}.asked"
            answer = await client.post(url, json=event)
            assert answer.status_code == 202, answer.text
            ids.append(str(answer.json()["event_id"]))
    return ids


async def results(data: Path, name: str, events: int) -> list[dict[str, Any]]:
    """Wait until every event has its outcome; the results in the order stored."""
    subject = f"greentic.events.dev.demo.{name}.asked.result"
    async with asyncio.timeout(40):
        while True:
            found = await read_stream(nats_credentials(data), STREAM, subject)
            if sum(len(result.get("batch", "1")) for result in found) >= events:
                return [dict(result) for result in found]
            await asyncio.sleep(0.3)


def by_status(found: list[dict[str, Any]]) -> dict[str, list[Any]]:
    outputs: dict[str, list[Any]] = defaultdict(list)
    for result in found:
        outputs[result["status"]].append(result["output"])
    return dict(outputs)


async def test_every_rule_holds_and_every_event_has_its_outcome(tmp_path: Path) -> None:
    flows = {
        name: FLOW.format(name=name, config=config, script=script)
        for name, (config, script) in RULES.items()
    }
    bundle, data = write_bundle(tmp_path / "bundle", flows), tmp_path / "data"
    async with running_program(bundle, tmp_path / "log", "--data", str(data)) as program:
        # The earlier an event of a key, the longer its run takes: order is no accident.
        line = [{"key": n % 2, "number": n, "ms": 900 - 150 * n} for n in range(6)]
        plain = [{"key": "k", "number": n, "ms": 0} for n in range(6)]
        slow = [{"key": "k", "number": n, "ms": 1500} for n in range(3)]
        sent = {
            "line": await post(program, "line", line),
            "crowd": await post(program, "crowd", plain),
            "gate": await post(program, "gate", plain),
            "drip": await post(program, "drip", plain),
            "last": await post(program, "last", plain),
            "only": await post(program, "only", slow),
            "newest": await post(program, "newest", slow),
        }
        found = {name: await results(data, name, len(ids)) for name, ids in sent.items()}

    for name in ("line", "gate", "drip", "last", "only", "newest"):
        assert sorted(r["event_id"] for r in found[name]) == sorted(sent[name]), name
    for key in (0, 1):
        outputs = [r["output"] for r in found["line"] if r["output"] % 2 == key]
        assert outputs == sorted(outputs), "each key in order"
    assert [r["output"] for r in found["crowd"]] == [4, 2]
    assert [event for r in found["crowd"] for event in r["batch"]] == sent["crowd"]
    assert by_status(found["gate"]) == {"completed": [0], "rejected": [None] * 5}
    starts = sorted(r["started_ms"] for r in found["drip"])
    assert starts[-1] - starts[0] >= 2300, "two a second, evenly spread"
    assert by_status(found["last"]) == {"completed": [5], "rejected": [None] * 5}
    assert by_status(found["only"]) == {"completed": [0], "rejected": [None] * 2}
    assert by_status(found["newest"]) == {"completed": [2], "cancelled": [None] * 2}

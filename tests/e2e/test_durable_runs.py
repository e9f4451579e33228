"""Durable runs as a user has them: asleep through a changed flow and a restart, or cancelled."""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import httpx
import nats
import pytest
from nats.js.errors import NotFoundError

from tests.support.programs import (
    ROOT,
    RunningProgram,
    nats_credentials,
    running_program,
    write_bundle,
)
from tests.support.streams import read_stream

pytestmark = pytest.mark.e2e

SLEEPER = """
name: sleeper
version: "{version}"
triggers:
  - {{type: event, event_type: order.created, target: count}}
nodes:
  - {{id: count, type: state, config: {{action: set, key: n, value: "{text}"}}, next: nap}}
  - {{id: nap, type: wait, config: {{for: "{nap}"}}, next: say}}
  - {{id: say, type: template, config: {{template: "{text} {{{{count}}}}"}}, next: done}}
"""
STREAM = "EVENTS-dev-T-demo"
SLEEPERS = "greentic.work.dev.demo.at.>"
RESULTS = "greentic.events.dev.demo.order.created.result"


async def post(program: RunningProgram) -> str:
    async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
        answer = await client.post(f"{program.url}/events/webhook/demo/order.created", json={})
    assert answer.status_code == 202
    return str(answer.json()["event_id"])


async def results(data: Path, count: int) -> list[Any]:
    """Wait for so many results."""
    async with asyncio.timeout(40):
        while len(found := await read_stream(nats_credentials(data), STREAM, RESULTS)) < count:
            await asyncio.sleep(0.2)
    return found


async def asleep(data: Path) -> dict[str, Any]:
    """Wait until a run sleeps; give its continuation."""
    given = nats_credentials(data)
    client = await nats.connect(given["url"], user=given["user"], password=given["password"])
    try:
        async with asyncio.timeout(20):
            while True:
                try:
                    found = await client.jetstream().get_last_msg("WORK-dev-0", SLEEPERS)
                except NotFoundError:
                    await asyncio.sleep(0.1)
                else:
                    return dict(json.loads(found.data or b""))
    finally:
        await client.close()


async def cli(*arguments: str) -> tuple[int, Any]:
    clean = {key: value for key, value in os.environ.items() if not key.startswith("GREENTIC_")}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "app.cli.main", *arguments, "--json",
        cwd=ROOT, env=clean, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    said, _ = await process.communicate()
    return process.returncode or 0, json.loads(said)


async def test_a_run_sleeps_through_a_change_of_its_flow_and_a_restart(tmp_path: Path) -> None:
    bundle, log, data = tmp_path / "bundle", tmp_path / "log", tmp_path / "data"
    write_bundle(bundle, {"sleeper": SLEEPER.format(version=1, text="old", nap="6s")})
    async with running_program(bundle, log, "--data", str(data)) as program:
        await post(program)
        assert (await asleep(data))["version"]
    write_bundle(bundle, {"sleeper": SLEEPER.format(version=2, text="new", nap="1s")})
    async with running_program(bundle, log, "--data", str(data)) as program:
        await post(program)
        found = await results(data, 2)
    ended = {result["flow_version"]: result for result in found}
    assert ended["1"]["output"] == "old old"
    assert ended["2"]["output"] == "new new"
    assert ended["1"]["finished_ms"] - ended["1"]["started_ms"] >= 6000


async def test_a_sleeping_run_is_cancelled_at_once(tmp_path: Path) -> None:
    bundle, log, data = tmp_path / "bundle", tmp_path / "log", tmp_path / "data"
    write_bundle(bundle, {"sleeper": SLEEPER.format(version=1, text="x", nap="30d")})
    async with running_program(bundle, log, "--data", str(data)) as program:
        event_id = await post(program)
        run_id = (await asleep(data))["run_id"]
        where = ("--tenant", "demo", "--data", str(data))
        code, said = await cli("run", "cancel", run_id, "--reason", "not needed", *where)
        assert (code, said["was_asleep"]) == (0, True)
        (result,) = await results(data, 1)
        assert (result["event_id"], result["status"]) == (event_id, "cancelled")
        assert result["error"]["message"] == "not needed"
        code, said = await cli("run", "cancel", run_id, *where)
        assert (code, said["in_hand"], said["was_asleep"]) == (0, 0, False)
        code, refused = await cli("run", "cancel", "no.id", *where)
        assert (code, refused["error"]["code"]) == (1, "cli.refused")

"""Plans, as an operator writes them: too many events get 429, effects are put off and come later."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import nats
import pytest

from tests.support.programs import (
    ROOT,
    RunningProgram,
    nats_credentials,
    running_program,
    start_program,
    write_bundle,
)
from tests.support.streams import read_stream

MANIFEST = """
name: planned
version: "1.0.0"
tenants:
  demo: {plan: small}
  free: {}
"""

PLAN = """
[plans.small]
events_per_second = 5
effects_per_minute = 2
weight = 0.5

[plans.roomy]
stored_bytes = 33_554_432
"""

FLOW = """
name: chain
version: "1.0.0"
triggers:
  - type: event
    event_type: order.created
    target: tell
nodes:
  - id: tell
    type: event
    config:
      event_type: order.noted
      payload: "{{payload}}"
    next: done
"""

STREAM = "EVENTS-dev-T-demo"


def a_bundle(folder: Path, manifest: str = MANIFEST) -> Path:
    bundle = write_bundle(folder, {"chain": FLOW})
    (bundle / "greentic.demo.yaml").write_text(manifest)
    (bundle / "greentic.toml").write_text(PLAN)
    return bundle


async def post(client: httpx.AsyncClient, program: RunningProgram, tenant: str) -> httpx.Response:
    url = f"{program.url}/events/webhook/{tenant}/order.created"
    return await client.post(url, json={"number": 1})


def cli(*arguments: str) -> str:
    clean = {key: value for key, value in os.environ.items() if not key.startswith("GREENTIC_")}
    command = [sys.executable, "-m", "app.cli.main", *arguments]
    done = subprocess.run(
        command, cwd=ROOT, env=clean, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


async def test_a_plan_limits_its_tenant_and_no_other(tmp_path: Path) -> None:
    data = tmp_path / "data"
    flags = ("--data", str(data))
    async with running_program(a_bundle(tmp_path / "bundle"), tmp_path / "log", *flags) as program:
        async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
            answers = [await post(client, program, "demo") for _ in range(12)]
            others = [await post(client, program, "free") for _ in range(12)]
        assert {answer.status_code for answer in others} == {202}
        accepted = [answer for answer in answers if answer.status_code == 202]
        refused = [answer for answer in answers if answer.status_code == 429]
        assert len(accepted) + len(refused) == 12
        assert 3 <= len(accepted) < 12  # of five at once, two may be those that runs emit
        assert all(int(answer.headers["retry-after"]) >= 1 for answer in refused)
        assert {answer.json()["code"] for answer in refused} == {"actors.quota_exceeded"}

        # Two events may be emitted at once; the rest of the runs are put off, and none has failed.
        credentials = nats_credentials(data)
        async with asyncio.timeout(30):
            while True:
                done = await read_stream(
                    credentials, STREAM, "greentic.events.dev.demo.order.created.result"
                )
                if len(done) >= 2:
                    break
                await asyncio.sleep(0.2)
        assert {result["status"] for result in done} == {"completed"}
        await check_usage(program, data, refused=len(refused), put_off=len(accepted) - 2)
        await check_live_change(program, data)


async def check_usage(program: RunningProgram, data: Path, *, refused: int, put_off: int) -> None:
    key = json.loads(
        await asyncio.to_thread(
            cli,
            "tenant",
            "key",
            "add",
            "demo",
            "--scope",
            "tenant-read",
            "--data",
            str(data),
            "--json",
        )
    )["key"]
    asked = ("tenant", "usage", "demo", "--key", key, "--url", program.where["admin"])
    async with asyncio.timeout(20):
        while True:
            document: dict[str, Any] = json.loads(await asyncio.to_thread(cli, *asked, "--json"))
            if document["used"]["effects_put_off"] >= put_off:
                break
            await asyncio.sleep(0.2)
    assert document["plan"] == "small"
    assert document["limits"]["events_per_second"] == 5
    assert document["used"]["events_refused"] == refused
    assert document["used"]["effects"] == 2
    assert "at most 5 a second" in await asyncio.to_thread(cli, *asked)
    async with httpx.AsyncClient(trust_env=False) as client:
        headers = {"authorization": f"Bearer {key}"}
        url = f"{program.where['admin']}/api/v1/tenants/free/usage"
        assert (await client.get(url, headers=headers)).status_code == 403
        page = (await client.get(f"{program.where['admin']}/metrics")).text
    assert 'greentic_events_refused_total{reason="quota.events",tenant="demo"}' in page
    assert 'greentic_effects_put_off_total{reason="quota.effects",tenant="demo"}' in page


async def check_live_change(program: RunningProgram, data: Path) -> None:
    """Another plan is in force within seconds: in the process, and for what is stored."""
    key = (data / "platform.key").read_text().strip()
    url = f"{program.where['admin']}/api/v1/tenants/demo"
    headers = {"authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(trust_env=False, headers=headers) as client:
        before = (await client.get(f"{url}/usage")).json()
        assert before["limits"]["stored_bytes"] == 1 << 30, "the operator's, for all"
        assert 1_000 < before["used"]["stored_bytes"] < 100_000
        await asyncio.to_thread(
            cli, "tenant", "change", "demo", "--plan", "roomy", "--data", str(data)
        )
        async with asyncio.timeout(5):
            while (await client.get(f"{url}/usage")).json()["plan"] != "roomy":
                await asyncio.sleep(0.05)
            assert (await client.get(f"{url}/usage")).json()["limits"]["stored_bytes"] == 1 << 25
            while await size_limit(data) != 1 << 25:
                await asyncio.sleep(0.05)


async def size_limit(data: Path) -> int:
    """Ask with a client that is not ours."""
    where = nats_credentials(data)
    client = await nats.connect(where["url"], user=where["user"], password=where["password"])
    try:
        return (await client.jetstream().stream_info(STREAM)).config.max_bytes or 0
    finally:
        await client.close()


async def test_a_plan_that_nobody_defined_is_refused(tmp_path: Path) -> None:
    bundle = a_bundle(tmp_path / "bundle", MANIFEST.replace("small", "smal"))
    with pytest.raises(AssertionError, match="there is no plan 'smal'"):
        await start_program(bundle, tmp_path / "log", "--data", str(tmp_path / "data"))

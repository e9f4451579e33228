"""A flow that fails, mended and replayed: by the command line, and by the sender's own repeat."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import httpx

from actors.ids import run_id
from tests.support.programs import (
    ROOT,
    RunningProgram,
    nats_credentials,
    running_program,
    write_bundle,
)
from tests.support.streams import read_stream

BROKEN = """
name: orders/take
version: "{version}"
triggers:
  - {{type: event, event_type: other.thing, target: take}}
  - {{type: event, event_type: order.created, target: take}}
nodes:
  - {{id: take, type: script, config: {{script: "payload.total"}}, next: check}}
  - {{id: check, type: script, config: {{script: "{script}"}}, next: done}}
"""
FINE = """
name: fine
version: "1"
triggers:
  - {type: event, event_type: order.created, target: say}
nodes:
  - {id: say, type: template, config: {template: "fine"}, next: done}
"""
DELIVERY = {"x-github-delivery": "d-1", "x-github-event": "order"}


async def cli(*arguments: str) -> tuple[int, Any]:
    """Run a command and give its exit code and JSON."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "app.cli.main", "dead-letter", *arguments, "--json",
        cwd=ROOT, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    text, _ = await process.communicate()
    return process.returncode or 0, json.loads(text)


async def post(program: RunningProgram, headers: dict[str, str] | None = None) -> str:
    async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
        url = f"{program.url}/events/webhook/demo/order.created"
        answer = await client.post(url, json={"total": 7}, headers=headers)
    assert answer.status_code == 202
    return str(answer.json()["event_id"])


async def results(bundle: Path) -> list[Any]:
    subject = "greentic.events.dev.demo.order.created.result"
    return await read_stream(nats_credentials(bundle / ".greentic"), "EVENTS-dev-T-demo", subject)


async def wait_results(bundle: Path, count: int) -> list[Any]:
    async with asyncio.timeout(30):
        while len(found := await results(bundle)) < count:
            await asyncio.sleep(0.1)
    return found


async def wait_letters(data: str, count: int) -> list[Any]:
    async with asyncio.timeout(30):
        while True:
            code, listed = await cli("list", "--data", data)
            assert code == 0
            if len(listed["letters"]) == count:
                return list(listed["letters"])
            await asyncio.sleep(0.2)


async def mend(bundle: Path, log: Path) -> None:
    """Write the flow anew and wait until it is in force."""
    applied = log.read_text().count("deployment.applied")
    write_bundle(bundle, {"take": BROKEN.format(version=2, script="take + 1")})
    async with asyncio.timeout(30):
        while log.read_text().count("deployment.applied") == applied:
            await asyncio.sleep(0.1)


def broken_bundle(folder: Path) -> Path:
    script = "throw 'the shop is closed'"
    return write_bundle(folder, {"take": BROKEN.format(version=1, script=script), "fine": FINE})


async def test_letter_is_listed_mended_and_replayed(tmp_path: Path) -> None:
    bundle, log = broken_bundle(tmp_path / "bundle"), tmp_path / "log"
    data = str(bundle / ".greentic")
    async with running_program(bundle, log) as program:
        event_id = await post(program)
        await wait_results(bundle, 2)
        [letter] = await wait_letters(data, 1)
        assert (letter["flow"], letter["flow_version"]) == ("orders/take", "1")
        assert (letter["event_id"], letter["path"]) == (event_id, ["take", "check"])
        assert "the shop is closed" in letter["error"]["message"]
        assert letter["letter_id"] == run_id(event_id, "orders/take")
        code, shown = await cli("show", letter["letter_id"], "--data", data)
        assert (code, shown["event"]["payload"], shown["trigger"]) == (0, {"total": 7}, 2)

        await mend(bundle, log)
        code, report = await cli("replay", letter["letter_id"], "--data", data)
        assert (code, report["done"]) == (0, 1)
        replayed = (await wait_results(bundle, 3))[-1]
        assert (replayed["status"], replayed["output"]) == ("completed", 8)
        assert replayed["run_id"] == run_id(event_id, "orders/take", letter["letter_id"])
        assert (replayed["event_id"], replayed["flow_version"]) == (event_id, "2")
        assert await wait_letters(data, 0) == []
        admin = await _metrics(program)
        assert 'greentic_dead_letters_total{flow="orders/take"' in admin
    runs = [(each["flow"], each["status"]) for each in await _all_results(bundle, log)]
    assert sorted(runs) == [
        ("fine", "completed"), ("orders/take", "completed"), ("orders/take", "failed")
    ]  # fmt: skip


async def test_letter_of_a_replay_that_fails_again_is_a_new_one(tmp_path: Path) -> None:
    bundle, log = broken_bundle(tmp_path / "bundle"), tmp_path / "log"
    data = str(bundle / ".greentic")
    async with running_program(bundle, log) as program:
        await post(program)
        [first] = await wait_letters(data, 1)
        code, report = await cli("replay", "--yes", "--flow", "orders/take", "--data", data)
        assert (code, report["chosen"], report["done"]) == (0, 1, 1)
        await wait_results(bundle, 3)
        [second] = await wait_letters(data, 1)
        assert second["letter_id"] == run_id(second["event_id"], "orders/take", first["letter_id"])
        code, report = await cli("discard", second["letter_id"], "--yes", "--data", data)
        assert (code, report["done"]) == (0, 1)
        assert await wait_letters(data, 0) == []


async def test_senders_repeat_redrives_the_failed_flow_alone(tmp_path: Path) -> None:
    bundle, log = broken_bundle(tmp_path / "bundle"), tmp_path / "log"
    data = str(bundle / ".greentic")
    async with running_program(bundle, log) as program:
        event_id = await post(program, DELIVERY)
        await wait_results(bundle, 2)
        [letter] = await wait_letters(data, 1)
        await mend(bundle, log)
        assert await post(program, DELIVERY) == event_id
        replayed = (await wait_results(bundle, 3))[-1]
        assert (replayed["flow"], replayed["status"]) == ("orders/take", "completed")
        assert replayed["run_id"] == run_id(event_id, "orders/take", letter["letter_id"])
        assert await wait_letters(data, 0) == []
        assert await post(program, DELIVERY) == event_id
        await asyncio.sleep(0.5)
        assert len(await results(bundle)) == 3


async def _metrics(program: RunningProgram) -> str:
    async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
        return (await client.get(f"{program.where['admin']}/metrics")).text


async def _all_results(bundle: Path, log: Path) -> list[Any]:
    async with running_program(bundle, log):
        return await results(bundle)

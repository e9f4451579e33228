"""A bundle's change comes into force while it runs, and loses nothing."""

import asyncio
import signal
from pathlib import Path

import httpx

from tests.support.programs import RunningProgram, running_program, write_bundle

FLOW = """
name: echo
version: "{version}"
triggers:
  - {{type: event, event_type: order.created, target: say}}
nodes:
  - {{id: say, type: template, config: {{template: "{text}"}}, next: respond}}
"""


async def post(program: RunningProgram, event_type: str) -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
        return await client.post(f"{program.url}/events/webhook/demo/{event_type}", json={})


async def wait_answer(program: RunningProgram, event_type: str, text: str) -> None:
    async with asyncio.timeout(30):
        while (await post(program, event_type)).text != text:
            await asyncio.sleep(0.1)


async def test_changed_and_added_flows_come_into_force_without_a_restart(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "bundle", {"echo": FLOW.format(version=1, text="old")})
    async with running_program(bundle, tmp_path / "log") as program:
        assert (await post(program, "order.created")).text == "old"
        write_bundle(bundle, {"echo": FLOW.format(version=2, text="new")})
        await wait_answer(program, "order.created", "new")

        other = FLOW.format(version=1, text="other").replace("order.created", "order.paid")
        write_bundle(bundle, {"other": other.replace("name: echo", "name: other")})
        await wait_answer(program, "order.paid", "other")
        assert (await post(program, "order.created")).text == "new"


async def test_broken_bundle_changes_nothing_and_is_reported(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "bundle", {"echo": FLOW.format(version=1, text="old")})
    log = tmp_path / "log"
    async with running_program(bundle, log) as program:
        (bundle / "greentic.demo.yaml").write_text("name: [unclosed\n")
        program.process.send_signal(signal.SIGHUP)
        async with asyncio.timeout(30):
            while "bundle.refused" not in log.read_text():
                await asyncio.sleep(0.05)
        assert (await post(program, "order.created")).text == "old"


async def test_broken_flow_leaves_its_old_version_in_force(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "bundle", {"echo": FLOW.format(version=1, text="old")})
    log = tmp_path / "log"
    async with running_program(bundle, log) as program:
        broken = FLOW.format(version=2, text="new").replace("target: say", "target: nobody")
        write_bundle(bundle, {"echo": broken})
        async with asyncio.timeout(30):
            while "bundle.refused" not in log.read_text():
                await asyncio.sleep(0.05)
        assert (await post(program, "order.created")).text == "old"

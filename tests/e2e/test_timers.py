"""A timer on two workers fires once per tick, whatever one of them does meanwhile."""

import asyncio
import signal
from pathlib import Path
from typing import Any

from tests.support.programs import (
    nats_credentials,
    running_program,
    write_bundle,
)
from tests.support.streams import read_stream

FLOW = """
name: pulse
version: "1"
triggers:
  - {type: timer, cron: "* * * * * *", target: say}
nodes:
  - {id: say, type: template, config: {template: "{{payload.scheduled_ms}}"}, next: done}
"""
SUBJECT = "greentic.events.dev.demo.timer.pulse.1"
SECOND_MS = 1000
TICKS = 6
PAUSE_SECONDS = 3


async def wait_ticks(given: dict[str, Any], count: int) -> list[int]:
    async with asyncio.timeout(60):
        while True:
            events = await read_stream(given, "EVENTS-dev-T-demo", SUBJECT)
            if len(events) >= count:
                return [event["payload"]["scheduled_ms"] for event in events]
            await asyncio.sleep(0.2)


async def test_two_workers_store_one_event_per_tick_also_after_one_was_paused(
    tmp_path: Path,
) -> None:
    bundle = write_bundle(tmp_path / "bundle", {"pulse": FLOW})
    data, log = tmp_path / "data", tmp_path / "log"
    async with running_program(bundle, log, "--roles", "worker", "--data", str(data)) as first:
        given = nats_credentials(data)
        login = f"nats://{given['user']}:{given['password']}@{first.where['nats'].split('//')[1]}"
        flags = ("--roles", "worker", "--nats-url", login)
        async with running_program(bundle, log, *flags) as second:
            before = await wait_ticks(given, TICKS)
            second.process.send_signal(signal.SIGSTOP)
            await asyncio.sleep(PAUSE_SECONDS)
            second.process.send_signal(signal.SIGCONT)
            ticks = await wait_ticks(given, len(before) + TICKS + PAUSE_SECONDS)
        results = await wait_results(given, len(ticks))
    assert sorted(set(ticks)) == list(range(min(ticks), max(ticks) + 1, SECOND_MS))
    assert len(ticks) == len(set(ticks))
    assert len(results) == len(set(results))


async def wait_results(given: dict[str, Any], count: int) -> list[str]:
    async with asyncio.timeout(60):
        while True:
            results = await read_stream(given, "EVENTS-dev-T-demo", SUBJECT + ".result")
            if len(results) >= count:
                return [result["event_id"] for result in results]
            await asyncio.sleep(0.2)

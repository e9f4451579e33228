"""`timer list`, `pause` and `resume` beside a running program, over a restart of it."""

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

from tests.support.programs import ROOT, nats_credentials, running_program, write_bundle
from tests.support.streams import read_stream

FLOWS = {
    "pulse": """
name: pulse
version: "1"
triggers:
  - {type: timer, cron: "* * * * * *", target: say, misfire: all}
  - {type: timer, cron: "0 0 1 1 *", target: say}
nodes:
  - {id: say, type: template, config: {template: "{{payload.scheduled_ms}}"}, next: done}
""",
}
SUBJECT = "greentic.events.dev.demo.timer.pulse.1"
PAUSED_SECONDS = 2.5


async def cli(*arguments: str) -> tuple[int, Any]:
    """Run a command and give its exit code and JSON."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "app.cli.main", *arguments, "--json",
        cwd=ROOT, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    text, _ = await process.communicate()
    return process.returncode or 0, json.loads(text)


async def ticks(given: dict[str, Any]) -> list[int]:
    events = await read_stream(given, "EVENTS-dev-T-demo", SUBJECT)
    return [event["payload"]["scheduled_ms"] for event in events]


async def wait_ticks_after(given: dict[str, Any], time_ms: float) -> list[int]:
    async with asyncio.timeout(30):
        found = await ticks(given)
        while max(found, default=0) <= time_ms:
            await asyncio.sleep(0.2)
            found = await ticks(given)
        return found


async def test_a_paused_timer_is_silent_until_it_is_resumed_whatever_restarts(
    tmp_path: Path,
) -> None:
    bundle = write_bundle(tmp_path / "bundle", FLOWS)
    data, log = bundle / ".greentic", tmp_path / "log"
    async with running_program(bundle, log):
        given = nats_credentials(data)
        await wait_ticks_after(given, 0)
        code, listed = await cli("timer", "list", str(bundle))
        assert code == 0
        first, second = listed["timers"]
        assert (first["timer"], first["paused"], first["next"] != []) == ("pulse#1", False, True)
        assert first["last"]["at_ms"] in await ticks(given)
        assert (second["paused"], second["last"]) == (False, None)

        code, switched = await cli("timer", "pause", "pulse", "--data", str(data))
        paused_ms = time.time() * 1000
        names = [(one["timer"], one["paused"]) for one in switched["timers"]]
        assert (code, names) == (0, [("pulse#1", True), ("pulse#2", True)])
        await asyncio.sleep(PAUSED_SECONDS)
    async with running_program(bundle, log):
        given = nats_credentials(data)
        await asyncio.sleep(PAUSED_SECONDS)
        assert max(await ticks(given)) < paused_ms + 1000
        _, listed = await cli("timer", "list", str(bundle))
        assert [timer["paused"] for timer in listed["timers"]] == [True, True]

        asked_ms = time.time() * 1000
        code, _ = await cli("timer", "resume", "pulse#1", "--data", str(data))
        assert code == 0
        found = await wait_ticks_after(given, asked_ms)
        assert [tick for tick in found if paused_ms + 1000 <= tick < asked_ms] == []
        _, listed = await cli("timer", "list", str(bundle))
        assert [timer["paused"] for timer in listed["timers"]] == [False, True]

        code, refused = await cli("timer", "pause", "pulse#3", "--data", str(data))
        assert (code, refused["error"]["hint"]) == (1, "it has pulse#1, pulse#2")
        code, refused = await cli("timer", "pause", "PULSE#0", "--data", str(data))
        assert (code, "names no timer" in refused["error"]["message"]) == (1, True)

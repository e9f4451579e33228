"""Two processes on one server admit a plan's rate together; the one that stays has all of it.

The test ends one as an operator does, which the other hears at once. `python -m
tests.e2e.test_plan_of_two` kills it, and waits until its reports count no more.
"""

import asyncio
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx

from app.fleet.fleet import TICK_SECONDS
from app.fleet.report import TTL_SECONDS
from tests.support.programs import (
    RunningProgram,
    nats_credentials,
    running_program,
    start_program,
    write_bundle,
)

RATE = 40
PLAN = f"""
[plans.small]
events_per_second = {RATE}
concurrent_runs = 5
"""
FLOW = """
name: tell
version: "1.0.0"
triggers: [{type: event, event_type: order.created, target: tell}]
nodes: [{id: tell, type: template, config: {template: told}, next: done}]
"""
ANSWERS = {"events-webhook": {"enabled": True, "allow_unsigned": True}}
MANIFEST = "tenants: {demo: {plan: small}}\n"
FLOOD_SECONDS = 2.0
SENDERS = 4
"""For each process; each waits for its answer."""


async def flood(programs: list[RunningProgram], seconds: float) -> int:
    """Send as much as there is; gives how much was taken in."""
    until = time.monotonic() + seconds
    taken = 0

    async def send(client: httpx.AsyncClient, url: str) -> None:
        nonlocal taken
        while time.monotonic() < until:
            answer = await client.post(f"{url}/events/webhook/demo/order.created", json={})
            assert answer.status_code in (202, 429), answer.text
            taken += answer.status_code == 202
            await asyncio.sleep(0.01)

    async with (
        httpx.AsyncClient(trust_env=False, timeout=30) as client,
        asyncio.TaskGroup() as group,
    ):
        for program in programs:
            for _ in range(SENDERS):
                group.create_task(send(client, program.url))
    return taken


async def divided(program: RunningProgram, key: str) -> dict[str, Any]:
    url = f"{program.where['admin']}/api/v1/tenants/demo/usage"
    async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
        answer = await client.get(url, headers={"authorization": f"Bearer {key}"})
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    assert document["limits"]["events_per_second"] == RATE, "the plan's, whatever the share"
    return dict(document["divided"])


async def until_divided(programs: list[RunningProgram], key: str, seconds: float) -> float:
    wanted = {"takers": len(programs), "workers": len(programs)}
    begun = time.monotonic()
    async with asyncio.timeout(seconds):
        for program in programs:
            while await divided(program, key) != wanted:
                await asyncio.sleep(0.1)
    return time.monotonic() - begun


async def test_two_programs_share_a_plan_and_one_inherits_it(tmp_path: Path) -> None:
    await play(tmp_path, is_killed=False)


async def play(tmp_path: Path, *, is_killed: bool) -> dict[str, float]:
    bundle = write_bundle(tmp_path / "bundle", {"tell": FLOW}, MANIFEST)
    (bundle / "greentic.toml").write_text(PLAN)
    (bundle / "answers.json").write_text(json.dumps(ANSWERS))
    data = tmp_path / "data"
    async with running_program(bundle, tmp_path / "log-1", "--data", str(data)) as one:
        where = nats_credentials(data)
        login = where["url"].replace("://", f"://{where['user']}:{where['password']}@")
        flags = ("--nats-url", login, "--data", str(tmp_path / "data-2"))
        key = (data / "platform.key").read_text().strip()
        assert await divided(one, key) == {"takers": 1, "workers": 1}
        other = await start_program(bundle, tmp_path / "log-2", *flags)
        try:
            await until_divided([one, other], key, 5.0)
            await flood([one, other], 0.7)  # what may come at once is used up
            together = await flood([one, other], FLOOD_SECONDS) / FLOOD_SECONDS
            assert 0.8 * RATE < together < 1.2 * RATE
        finally:
            ended = time.monotonic()
            await (other.kill() if is_killed else other.terminate())
        await until_divided([one], key, TTL_SECONDS + 3 * TICK_SECONDS)
        inherited = time.monotonic() - ended
        await flood([one], 1.2)
        alone = await flood([one], FLOOD_SECONDS) / FLOOD_SECONDS
        assert 0.8 * RATE < alone < 1.2 * RATE
    return {"together/s": together, "alone/s": alone, "inherited after s": round(inherited, 2)}


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="greentic-plan-") as folder:
        print(json.dumps(asyncio.run(play(Path(folder), is_killed=True))))

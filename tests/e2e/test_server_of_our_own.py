"""`kill -9` of the program leaves no nats-server behind, or the next start adopts it."""

import asyncio
import os
from pathlib import Path

import httpx
import pytest

from tests.support.programs import nats_credentials, start_program, write_bundle

FLOW = """
name: echo
version: "1"
triggers:
  - {type: event, event_type: order.created, target: say}
nodes:
  - {id: say, type: template, config: {template: "{{payload.text}}"}, next: respond}
"""


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")
    return not state.exists() or state.read_text().rsplit(")", 1)[1].split()[0] != "Z"


async def wait_gone(pid: int) -> None:
    async with asyncio.timeout(20):
        while is_running(pid):
            await asyncio.sleep(0.05)


async def test_killed_program_takes_its_server_along_and_the_next_keeps_the_events(
    tmp_path: Path,
) -> None:
    bundle = write_bundle(tmp_path / "bundle", {"echo": FLOW})
    data, log = bundle / ".greentic", tmp_path / "log"
    first = await start_program(bundle, log)
    server = nats_credentials(data)["pid"]
    assert is_running(server)
    await first.kill()
    await wait_gone(server)

    second = await start_program(bundle, log)
    try:
        async with httpx.AsyncClient(trust_env=False) as client:
            answer = await client.post(
                f"{second.url}/events/webhook/demo/order.created", json={"text": "still here"}
            )
        assert (answer.status_code, answer.text) == (200, "still here")
    finally:
        assert await second.terminate() == 0
    await wait_gone(nats_credentials(data)["pid"] or server)


async def test_second_start_on_the_same_data_folder_says_why_it_refuses(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "bundle", {"echo": FLOW})
    first = await start_program(bundle, tmp_path / "log")
    try:
        with pytest.raises(AssertionError, match="another running program uses the data folder"):
            await start_program(bundle, tmp_path / "second.log")
    finally:
        assert await first.terminate() == 0

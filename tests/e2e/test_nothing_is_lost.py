"""Every event that got a 2xx has its results, whatever dies meanwhile.

Real processes: ingress and worker apart, an nats-server of their own.
"""

import asyncio
import os
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.programs import (
    nats_credentials,
    running_program,
    start_program,
    write_bundle,
)
from tests.support.streams import read_stream

EVENTS = int(os.environ.get("GREENTIC_EVENTS", "1000"))
"""5,000 and more at length; `tests.faults` kills under more kinds of load."""
AT_ONCE = 40
FLOWS = ("first", "second")
STREAM = "EVENTS-dev-T-demo"
RESULTS = "greentic.events.dev.demo.order.created.result"

FLOW = """
name: {name}
version: "1.0.0"
triggers:
  - type: event
    event_type: order.created
    target: render
nodes:
  - id: render
    type: template
    config:
      template: "order {{{{payload.number}}}} by {name}"
    next: done
"""


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    flows = {name: FLOW.format(name=name) for name in FLOWS}
    return write_bundle(tmp_path / "bundle", flows)


async def post_all(url: str, posted: set[str], *, count: int = EVENTS) -> None:
    """Post ``count`` webhooks, repeating each until it got its 2xx, as a sender does."""
    numbers = iter(range(count))

    async def sender(client: httpx.AsyncClient) -> None:
        for number in numbers:
            while True:
                try:
                    answer = await client.post(
                        f"{url}/events/webhook/demo/order.created", json={"number": number}
                    )
                except httpx.TransportError:
                    await asyncio.sleep(0.05)
                    continue
                if answer.is_success:
                    posted.add(answer.json()["event_id"])
                    break
                assert answer.status_code in (429, 503), answer.text
                await asyncio.sleep(0.05)

    async with httpx.AsyncClient(timeout=30, trust_env=False) as client:
        await asyncio.gather(*(sender(client) for _ in range(AT_ONCE)))


async def wait_results(credentials: dict[str, Any], posted: set[str]) -> Counter[tuple[str, str]]:
    """Count results by event and flow, once every posted event has one of each flow."""
    wanted = {(event, flow) for event in posted for flow in FLOWS}
    for _ in range(60):
        results = await read_stream(credentials, STREAM, RESULTS)
        counted = Counter((result["event_id"], result["flow"]) for result in results)
        if wanted <= counted.keys():
            return counted
        await asyncio.sleep(1)
    missing = wanted - counted.keys()
    raise AssertionError(f"{len(missing)} results are missing, among them {sorted(missing)[:3]}")


async def wait_posted(posted: set[str], count: int) -> None:
    while len(posted) < count:
        await asyncio.sleep(0.02)


async def test_worker_restarts_lose_nothing_and_repeat_no_result(
    bundle: Path, tmp_path: Path
) -> None:
    data, log = tmp_path / "data", tmp_path / "log"
    async with running_program(bundle, log, "--roles", "ingress", "--data", str(data)) as ingress:
        given = nats_credentials(data)
        login = f"nats://{given['user']}:{given['password']}@{ingress.where['nats'].split('//')[1]}"
        flags = ("--roles", "worker", "--nats-url", login)
        worker = await start_program(bundle, log, *flags)
        posted: set[str] = set()
        posting = asyncio.create_task(post_all(ingress.url, posted))
        for share in (0.3, 0.6):
            await wait_posted(posted, int(EVENTS * share))
            assert await worker.terminate() == 0
            worker = await start_program(bundle, log, *flags)
        await posting
        counted = await wait_results(given, posted)
        assert await worker.terminate() == 0
    assert len(posted) == EVENTS
    assert set(counted.values()) == {1}
    assert len(counted) == EVENTS * len(FLOWS)


async def test_killing_the_bus_loses_no_accepted_event(bundle: Path, tmp_path: Path) -> None:
    data, log = tmp_path / "data", tmp_path / "log"
    async with running_program(bundle, log, "--data", str(data)) as program:
        posted: set[str] = set()
        posting = asyncio.create_task(post_all(program.url, posted))
        for share in (0.3, 0.6):
            await wait_posted(posted, int(EVENTS * share))
            os.kill(nats_credentials(data)["pid"], signal.SIGKILL)
        await posting
        assert len(posted) == EVENTS
        await wait_results(nats_credentials(data), posted)

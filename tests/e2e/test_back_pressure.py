"""A slow flow under a flood: everything on the way is bounded, and nothing that got a 202 is lost.

Real processes: the program with its nats-server, and a web service that takes its time.
"""

import asyncio
import contextlib
import json
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import nats
import pytest
from nats.js import JetStreamContext

from tests.support.programs import RunningProgram, nats_credentials, running_program, write_bundle
from tests.support.streams import read_stream

QUOTA = 600
SENDERS = 50
REFUSALS = 300
"""The flood goes on until so many were refused."""
SLOW_SECONDS = 1.0
PATIENCE_SECONDS = 40.0
IN_HAND_MAX = 32 + 64 + 64 + 128
"""Runs at once, requests in the executor's hand, its mailbox, and one pull of the router."""
GROWTH_BYTES_MAX = 64 * 1024 * 1024
STREAM = "EVENTS-dev-T-demo"
RESULTS = "greentic.events.dev.demo.order.created.result"

FLOW = """
name: slow
version: "1.0.0"
triggers:
  - type: event
    event_type: order.created
    target: call
nodes:
  - id: call
    type: http
    config:
      method: POST
      url: "{url}/orders"
      body: "{{{{payload.number}}}}"
    next: done
"""


@dataclass
class SlowService:
    """Answers after ``seconds``; keeps what it was sent."""

    seconds: float = SLOW_SECONDS
    url: str = ""
    seen: Counter[str] = field(default_factory=Counter)
    at_once: int = 0
    at_once_most: int = 0
    hurried: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                sizes = [h for h in head.lower().split(b"\r\n") if h.startswith(b"content-length")]
                body = await reader.readexactly(int(sizes[0].split(b":")[1]) if sizes else 0)
                await self.answer(body.decode(), writer)
        writer.close()

    async def answer(self, body: str, writer: asyncio.StreamWriter) -> None:
        self.at_once += 1
        self.at_once_most = max(self.at_once_most, self.at_once)
        if not self.hurried.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.hurried.wait(), self.seconds)
        self.at_once -= 1
        self.seen[body] += 1
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
        await writer.drain()


@pytest.fixture
async def service() -> AsyncIterator[SlowService]:
    slow = SlowService()
    server = await asyncio.start_server(slow.serve, "127.0.0.1", 0)
    slow.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    yield slow
    server.close()


@dataclass
class Flood:
    """What the senders were told."""

    accepted: dict[str, int] = field(default_factory=dict)
    """By event id: the number that was sent."""
    statuses: Counter[int] = field(default_factory=Counter)
    retry_after: list[str] = field(default_factory=list)

    async def run(self, url: str) -> None:
        numbers = iter(range(10_000_000))

        async def send(client: httpx.AsyncClient) -> None:
            while self.statuses[httpx.codes.TOO_MANY_REQUESTS] < REFUSALS:
                await self.post(client, url, next(numbers))

        async with (
            asyncio.timeout(PATIENCE_SECONDS),
            httpx.AsyncClient(timeout=30, trust_env=False) as client,
        ):
            await asyncio.gather(*(send(client) for _ in range(SENDERS)))

    async def post(self, client: httpx.AsyncClient, url: str, number: int) -> int:
        target = f"{url}/events/webhook/demo/order.created"
        answer = await client.post(target, json={"number": number})
        self.statuses[answer.status_code] += 1
        if answer.status_code == httpx.codes.ACCEPTED:
            self.accepted[answer.json()["event_id"]] = number
        elif answer.status_code == httpx.codes.TOO_MANY_REQUESTS:
            self.retry_after.append(answer.headers["retry-after"])
            assert answer.json()["code"] == "actors.quota_exceeded"
            await asyncio.sleep(0.05)
        return answer.status_code


@dataclass
class Readings:
    """What was seen of the worker and the stream meanwhile: the most of each."""

    pending: int = 0
    ack_pending: int = 0
    backlog: int = 0
    rss_bytes: int = 0

    async def follow(self, jetstream: JetStreamContext, pid: int) -> None:
        while True:
            info = await jetstream.consumer_info(STREAM, "flows")
            pending, ack_pending = info.num_pending or 0, info.num_ack_pending or 0
            self.pending = max(self.pending, pending)
            self.ack_pending = max(self.ack_pending, ack_pending)
            self.backlog = max(self.backlog, pending + ack_pending)
            self.rss_bytes = max(self.rss_bytes, rss_bytes(pid))
            await asyncio.sleep(0.1)


def rss_bytes(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def a_bundle(folder: Path, service: SlowService) -> Path:
    bundle = write_bundle(folder, {"slow": FLOW.format(url=service.url)})
    grant = service.url.removeprefix("http://")
    (bundle / "greentic.toml").write_text(
        f'[limits]\nbacklog_events = {QUOTA}\n[security]\nallow_private = ["{grant}"]\n'
    )
    return bundle


async def metric(program: RunningProgram, name: str) -> float:
    async with httpx.AsyncClient(trust_env=False) as client:
        page = (await client.get(f"{program.where['admin']}/metrics")).text
    return sum(float(line.split()[-1]) for line in page.splitlines() if line.startswith(name))


async def is_ready(program: RunningProgram) -> bool:
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.get(f"{program.url}/ready")
    return answer.status_code == httpx.codes.OK


async def wait_accepted(flood: Flood, url: str) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        async with httpx.AsyncClient(timeout=30, trust_env=False) as client:
            number = 20_000_000
            while await flood.post(client, url, number) != httpx.codes.ACCEPTED:
                number += 1


async def wait_results(credentials: dict[str, Any], events: set[str]) -> Counter[str]:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            results = await read_stream(credentials, STREAM, RESULTS)
            counted = Counter(result["event_id"] for result in results)
            if events <= counted.keys():
                assert {result["status"] for result in results} == {"completed"}
                return counted
            await asyncio.sleep(0.5)


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads memory from /proc")
async def test_flood_on_a_slow_flow_is_held_back_and_lost_nowhere(
    tmp_path: Path, service: SlowService
) -> None:
    data, log = tmp_path / "data", tmp_path / "log"
    bundle = a_bundle(tmp_path / "bundle", service)
    async with running_program(bundle, log, "--data", str(data)) as program:
        given = nats_credentials(data)
        client = await nats.connect(given["url"], user=given["user"], password=given["password"])
        before, readings, flood = rss_bytes(program.process.pid), Readings(), Flood()
        following = asyncio.create_task(readings.follow(client.jetstream(), program.process.pid))
        await flood.run(program.url)

        assert set(flood.statuses) == {202, 429}, flood.statuses
        assert all(1 <= int(seconds) <= 60 for seconds in flood.retry_after)
        assert 0.8 * QUOTA <= readings.backlog <= QUOTA + 2 * SENDERS
        assert readings.pending > 0, "the backlog grew in the stream"
        assert readings.ack_pending <= IN_HAND_MAX, "and not in the worker: the pull stopped"
        assert service.at_once_most <= 32
        assert readings.rss_bytes - before < GROWTH_BYTES_MAX
        assert await is_ready(program), "flows that are busy are no reason to be taken out"
        assert await metric(program, "greentic_events_refused_total{") == flood.statuses[429]
        assert await metric(program, "greentic_backlog_events{") >= 0.8 * QUOTA
        assert await metric(program, "greentic_events_lost{") == 0

        service.hurried.set()
        await wait_accepted(flood, program.url)
        counted = await wait_results(given, set(flood.accepted))
        assert set(counted.values()) == {1}
        assert set(map(str, flood.accepted.values())) <= service.seen.keys()
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        await client.close()
    lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    said = Counter(line["event"] for line in lines)
    assert said["backlog.filled"] == said["backlog.drained"] == 1, "it does not flap"


async def test_program_that_was_stopped_whole_is_ready_again_by_itself(
    tmp_path: Path, service: SlowService
) -> None:
    log = tmp_path / "log"
    bundle = a_bundle(tmp_path / "bundle", service)
    async with running_program(bundle, log, "--data", str(tmp_path / "data")) as program:
        program.process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(2.5)
        program.process.send_signal(signal.SIGCONT)
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not await is_ready(program):
                await asyncio.sleep(0.05)
        assert '"process.paused"' in log.read_text()
        assert '"loop.stuck"' not in log.read_text()
        service.hurried.set()
        await wait_accepted(Flood(), program.url)

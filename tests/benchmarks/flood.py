"""What a tenant at 100 times its share costs the others (goal: their p99 rises by less than 1.5x).

Eight quiet tenants send `SHARE_PER_SECOND` events each through one worker; then a ninth sends 100
times as much beside them. Time is from publish to result. Stretches alone and beside the flood
take turns, so that what else the machine does falls on both.
"""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles

import nats
import uvloop
from nats.aio.client import Client
from nats.aio.msg import Msg

from tests.benchmarks.flood_events import event_bytes
from tests.benchmarks.programs import BUNDLES, ROOT, program

QUIET = 8
SHARE_PER_SECOND = int(os.environ.get("BENCH_SHARE", "20"))
TIMES = 100
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
SECONDS = 5
SETTLE_SECONDS = 1.0


async def main() -> None:
    with (
        tempfile.TemporaryDirectory() as data,
        program(BUNDLES / "crowd", Path(data), "--roles", "worker") as started,
    ):
        given = json.loads((Path(data) / "nats.json").read_text())
        url, user, password = started["nats"], given["user"], given["password"]
        client = await nats.connect(url, user=user, password=password)
        counts = await _count_flood(client)
        measure = Measure(client)
        await measure.stretch(2)
        alone: list[float] = []
        beside: list[float] = []
        stored: tuple[list[float], list[float]] = ([], [])
        done, used = 0, 0.0
        for _ in range(ROUNDS):
            measure.stored = stored[0]
            alone += await measure.stretch(SECONDS)
            measure.stored = stored[1]
            with flooding(url, user, password):
                await asyncio.sleep(SETTLE_SECONDS)
                before, used_before = counts[0], _used_seconds(started["process"].pid)
                beside += await measure.stretch(SECONDS)
                done += counts[0] - before
                used += _used_seconds(started["process"].pid) - used_before
            await _wait_quiet(counts)
        await client.close()
    _show(alone, beside, done, used)
    _show_stored(*stored)


def _show(alone: list[float], beside: list[float], done: int, used: float) -> None:
    p99_alone, p99_beside = (quantiles(x, n=100)[98] * 1e3 for x in (alone, beside))
    wanted = SHARE_PER_SECOND * TIMES
    print(f"{QUIET} quiet tenants at {SHARE_PER_SECOND}/s: {len(alone)} and {len(beside)} events")
    print(f"alone:            p50 {median(alone) * 1e3:.2f} ms, p99 {p99_alone:.2f} ms")
    print(f"beside the flood: p50 {median(beside) * 1e3:.2f} ms, p99 {p99_beside:.2f} ms")
    print(f"the flood sent {wanted}/s, {done / ROUNDS / SECONDS:.0f}/s of it were done meanwhile")
    busy = used / ROUNDS / SECONDS
    print(
        f"the worker used {busy:.0%} of a core then, the machine's load was {os.getloadavg()[0]:.1f}"
    )
    print(f"p99 rises to {p99_beside / p99_alone:.2f} times its value (goal < 1.5)")


@contextmanager
def flooding(url: str, user: str, password: str) -> Iterator[None]:
    """The flood, from a process of its own."""
    subject = "greentic.events.dev.flood.order.created"
    command = [sys.executable, "-m", "tests.benchmarks.flood_sender", url, user, password]
    command += [subject, str(SHARE_PER_SECOND * TIMES)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "sending"
        yield
    finally:
        process.terminate()
        process.wait(timeout=30)


class Measure:
    """Sends the quiet tenants' events and times their results."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._turn = 0
        self.stored: list[float] = []
        """How long the bus itself took to store each event: what no worker can be blamed for."""

    async def stretch(self, seconds: float) -> list[float]:
        """Give the seconds that each event took."""
        self._turn += 1
        sent: dict[str, float] = {}
        took: list[float] = []
        inbox = self._client.new_inbox()

        async def on_stored(message: Msg) -> None:
            identity = message.subject.rpartition(".")[2]
            self.stored.append(time.perf_counter() - sent[identity])

        async def on_result(message: Msg) -> None:
            event = json.loads(message.data)["event_id"]
            if event in sent:
                took.append(time.perf_counter() - sent[event])

        listening = [
            await self._client.subscribe(f"{_subject(number)}.result", cb=on_result)
            for number in range(QUIET)
        ]
        listening.append(await self._client.subscribe(f"{inbox}.*", cb=on_stored))
        await self._client.flush()
        count = round(seconds * QUIET * SHARE_PER_SECOND)
        began = time.perf_counter()
        for number in range(count):
            due = began + number / (QUIET * SHARE_PER_SECOND)
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            identity = f"{self._turn}-{number}"
            sent[identity] = time.perf_counter()
            await self._client.publish(
                _subject(number % QUIET), event_bytes(identity), reply=f"{inbox}.{identity}"
            )
        deadline = time.monotonic() + 20
        while len(took) < count and time.monotonic() < deadline:
            await asyncio.sleep(0.05)
        for subscription in listening:
            await subscription.unsubscribe()
        assert len(took) == count, f"{count - len(took)} events have no result"
        return took


def _show_stored(alone: list[float], beside: list[float]) -> None:
    p99_alone, p99_beside = (quantiles(x, n=100)[98] * 1e3 for x in (alone, beside))
    print(
        f"of it the bus, to store the event: p99 {p99_alone:.2f} ms alone, {p99_beside:.2f} ms"
        f" beside ({p99_beside / p99_alone:.2f} times)"
    )


def _used_seconds(pid: int) -> float:
    """Give the processor time of a process, not that of its children (proc(5))."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def _count_flood(client: Client) -> list[int]:
    """Count the flood's run records: cheaper to hear than its results, a hundred at a time."""
    counts = [0]

    async def on_records(message: Msg) -> None:
        counts[0] += message.data.count(b'"run_id"')

    await client.subscribe("greentic.runs.dev.flood.>", cb=on_records)
    return counts


async def _wait_quiet(counts: list[int]) -> None:
    """Wait until the flood is worked off."""
    before = -1
    while before != counts[0]:
        before = counts[0]
        await asyncio.sleep(0.3)


def _subject(number: int) -> str:
    return f"greentic.events.dev.quiet-{number + 1}.order.created"


if __name__ == "__main__":
    uvloop.run(main())

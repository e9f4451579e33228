"""Kill workers and the server under the transport: ``python -m tests.transport.run --kills 20``.

Two groups of two workers read one stream of numbers while it is written: one group shares it, and
each number goes on to another topic; the other counts it exclusively and in order into a table.
Again and again a worker of each group gets SIGKILL and another starts in its place; at every fourth
kill the nats-server gets one too, and at every fifth both counting workers are frozen in turn for
longer than a lease lasts. In the end every number must have come out of the first group,
and the table, recovered in a new process, must equal the sum of the stream to the unit.
"""

import argparse
import asyncio
import json
import random
import signal
import sys
import tempfile
from asyncio.subprocess import PIPE, Process, create_subprocess_exec
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any

import nats
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from tests.support.nats_server import KillableServer
from tests.transport.worker import KEYS

ROOT = Path(__file__).resolve().parents[2]
LEASE_SECONDS = 2
SERVER_EVERY = 4
FREEZE_EVERY = 5
FROZEN_SECONDS = 3.0
PATIENCE_SECONDS = 90.0
FAILURES = 0.002
"""Share of the deliveries at which the sharing agent raises."""
CHANCE = random.Random()  # noqa: S311  # when to kill whom is no secret


@dataclass
class Outcome:
    """What a run found."""

    written: int = 0
    passed_on: int = 0
    repeated: int = 0
    missing: list[int] = field(default_factory=list)
    wrong_keys: list[str] = field(default_factory=list)
    worker_kills: int = 0
    server_kills: int = 0
    freezes: int = 0
    crashes: int = 0
    seconds: float = 0.0

    @property
    def is_good(self) -> bool:
        return not (self.missing or self.wrong_keys or self.crashes) and self.written > 0


class Group:
    """Two workers of one role."""

    def __init__(self, role: str, broker: str, folder: Path) -> None:
        self.role, self.broker, self.folder = role, broker, folder
        self.workers: list[Process] = []

    async def start_one(self) -> Process:
        worker = await create_subprocess_exec(
            sys.executable, "-m", "tests.transport.worker", self.role, self.broker, self.role,
            str(self.folder), str(FAILURES), cwd=ROOT, stdout=PIPE,
        )  # fmt: skip
        self.workers.append(worker)
        return worker

    async def ready(self) -> None:
        for worker in self.workers:
            assert worker.stdout is not None
            assert (await worker.stdout.readline()).strip() == b"started"

    async def kill_one(self, *, is_replaced: bool) -> int:
        """Kill one and start another; say how many had ended by themselves."""
        crashed = sum(worker.returncode is not None for worker in self.workers)
        self.workers = [worker for worker in self.workers if worker.returncode is None]
        victim = self.workers.pop(CHANCE.randrange(len(self.workers)))
        victim.kill()
        await victim.wait()
        while is_replaced and len(self.workers) < 2:
            worker = await self.start_one()
            assert worker.stdout is not None
            await asyncio.wait_for(worker.stdout.readline(), PATIENCE_SECONDS)
        return crashed

    async def freeze(self) -> int:
        """Freeze each worker for longer than its lease; say how many."""
        frozen = [worker for worker in self.workers if worker.returncode is None]
        for worker in frozen:
            worker.send_signal(signal.SIGSTOP)
            await asyncio.sleep(FROZEN_SECONDS)
            worker.send_signal(signal.SIGCONT)
            await asyncio.sleep(0.5)
        return len(frozen)

    async def end(self) -> None:
        for worker in self.workers:
            if worker.returncode is None:
                worker.terminate()
        for worker in self.workers:
            try:
                await asyncio.wait_for(worker.wait(), 30)
            except TimeoutError:
                worker.kill()
                await worker.wait()


async def run(kills: int, messages: int, rate: int, *, are_replaced: bool = True) -> Outcome:
    outcome, began = Outcome(), monotonic()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        server = KillableServer(folder / "nats")
        endpoint = await server.start()
        broker = endpoint.url.replace("//", f"//{endpoint.user}:{endpoint.password}@")
        groups = [
            Group(role, f"{broker}?lease_seconds={LEASE_SECONDS}", folder)
            for role in ("share", "count")
        ]
        client = await nats.connect(
            endpoint.url, user=endpoint.user, password=endpoint.password,
            max_reconnect_attempts=-1, error_cb=_expected, reconnect_time_wait=0.1,
        )  # fmt: skip
        try:
            await client.jetstream().add_stream(name="NUMBERS", subjects=["numbers"])
            for group in groups:
                await group.start_one()
                await group.start_one()
            for group in groups:
                await group.ready()
            writing = asyncio.create_task(_write(client, messages, rate))
            for number in range(1, kills + 1):
                await asyncio.sleep(CHANCE.uniform(0.2, 1.0))
                ended = await asyncio.gather(
                    *(group.kill_one(is_replaced=are_replaced) for group in groups)
                )
                outcome.crashes += sum(ended)
                outcome.worker_kills += len(groups)
                if number % FREEZE_EVERY == 0:
                    outcome.freezes += await groups[1].freeze()
                if number % SERVER_EVERY == 0:
                    await server.restart()
                    outcome.server_kills += 1
            outcome.written = await writing
            await _judge(client, groups, outcome)
        finally:
            for group in groups:
                await group.end()
            await client.close()
            await server.stop()
    outcome.seconds = monotonic() - began
    return outcome


async def _expected(_problem: Exception) -> None:
    """Say nothing: the server is killed on purpose."""


async def _write(client: Any, messages: int, rate: int) -> int:
    """Write the numbers, each until it is stored; again with the same id is the same number."""
    stream = client.jetstream()
    for number in range(messages):
        while True:
            try:
                await stream.publish(
                    "numbers", str(number).encode(), timeout=1, headers={"Nats-Msg-Id": str(number)}
                )
                break
            except Exception:  # noqa: BLE001  # the server is away: that is the point
                await asyncio.sleep(0.1)
        await asyncio.sleep(1 / rate if number % 10 else 0)
    return messages


async def _judge(client: Any, groups: list[Group], outcome: Outcome) -> None:
    wanted, until = set(range(outcome.written)), monotonic() + PATIENCE_SECONDS
    seen: Counter[int] = Counter()
    durables = [("NUMBERS", "share"), ("NUMBERS", "count")]
    while monotonic() < until:
        infos = [await client.jetstream().consumer_info(*pair) for pair in durables]
        if not any(info.num_pending or info.num_ack_pending for info in infos):
            break
        await asyncio.sleep(0.2)
    async for number in _numbers(client, "FAUST_share-out"):
        seen[number] += 1
    outcome.passed_on = len(seen)
    outcome.missing = sorted(wanted - set(seen))
    outcome.repeated = sum(seen.values()) - len(seen)
    counting = groups[1]
    await counting.end()
    outcome.wrong_keys = _differences(await _recovered(counting), outcome.written)


async def _numbers(client: Any, stream: str) -> Any:
    config = ConsumerConfig(ack_policy=AckPolicy.NONE, deliver_policy=DeliverPolicy.ALL)
    pull = await client.jetstream().pull_subscribe("", stream=stream, config=config)
    left = (await client.jetstream().stream_info(stream)).state.messages
    while left > 0:
        for message in await pull.fetch(min(left, 500), timeout=5):
            left -= 1
            yield int(message.data)


async def _recovered(group: Group) -> dict[str, Any]:
    viewer = await create_subprocess_exec(
        sys.executable, "-m", "tests.transport.worker", "show", group.broker, group.role,
        str(group.folder), cwd=ROOT, stdout=PIPE,
    )  # fmt: skip
    printed, _ = await asyncio.wait_for(viewer.communicate(), PATIENCE_SECONDS)
    table: dict[str, Any] = json.loads(printed.decode().splitlines()[-1])
    return table


def _differences(table: dict[str, Any], written: int) -> list[str]:
    wrong = []
    for key in range(KEYS):
        numbers = range(key, written, KEYS)
        held = table.get(str(key), {"sum": 0, "count": 0})
        if (held["count"], held["sum"]) != (len(numbers), sum(numbers)):
            wrong.append(f"{key}: {held} is not {len(numbers)}, {sum(numbers)}")
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--messages", type=int, default=20_000)
    parser.add_argument("--rate", type=int, default=400)
    options = parser.parse_args()
    outcome = asyncio.run(run(options.kills, options.messages, options.rate))
    print(
        f"{outcome.written} numbers in {outcome.seconds:.0f} s: {outcome.worker_kills} workers and "
        f"{outcome.server_kills} times the server killed, {outcome.freezes} workers frozen\n"
        f"passed on {outcome.passed_on}, missing {len(outcome.missing)} {outcome.missing[:5]}, "
        f"repeated {outcome.repeated}\n"
        f"keys of the recovered table that are wrong: {len(outcome.wrong_keys)} "
        f"{outcome.wrong_keys[:3]}\nworkers that ended by themselves: {outcome.crashes}"
    )
    return 0 if outcome.is_good else 1


if __name__ == "__main__":
    sys.exit(main())

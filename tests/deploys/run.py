"""`python -m tests.deploys.run`: change a tenant's flows while its events flow, and judge.

In: how many changes, how many workers, a seed. Out: a line of JSON with what was seen; exit code 1
with the findings if something was lost or ran on a version that was replaced.
"""

import argparse
import asyncio
import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx
import nats

from app.bundle.archive import pack_bundle
from app.bundle.files import MemoryFiles
from tests.deploys.judge import Change, Seen, Sent, judge
from tests.support.programs import nats_credentials, running_program, write_bundle

TENANT: Final = "acme"
FLOW: Final = """
name: {name}
version: "{version}"
triggers:
  - {{type: event, event_type: {type}, target: say}}
nodes:
  - {{id: say, type: template, config: {{template: "{version}"}}, next: done}}
"""
QUIET_SECONDS_MAX: Final = 60.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked for."""

    changes: int = 100
    workers: int = 2
    rate: float = 50.0
    """Events a second."""
    seed: int = 1


@dataclass(slots=True)
class Record:
    """What was done."""

    changes: list[Change] = field(default_factory=list)
    sent: list[Sent] = field(default_factory=list)
    refused: int = 0
    acknowledged_seconds: list[float] = field(default_factory=list)
    applies: int = 0
    rollbacks: int = 0
    refused_bundles: int = 0


class Deployer:
    """Changes the tenant's deployment through the API."""

    def __init__(self, client: httpx.AsyncClient, record: Record, chance: random.Random) -> None:
        self._client = client
        self._record = record
        self._chance = chance
        self._numbers: dict[int, tuple[int, bool]] = {}
        """Deployment number to what it was."""
        self._version = 0

    async def change(self) -> None:
        """Apply something new, go back, or have something wrong refused."""
        draw = self._chance.random()
        if draw < 0.1 and self._version:
            await self._apply_wrong()
        if draw < 0.3 and len(self._numbers) > 2:
            await self._go_back()
        else:
            await self._apply()

    async def _apply(self) -> None:
        self._version += 1
        has_second = self._chance.random() < 0.5
        content = archive(self._version, has_second=has_second)
        headers = {"content-type": "application/zip"}
        await self._note(
            (self._version, has_second),
            self._client.post("/deployments", content=content, headers=headers),
            201,
        )
        self._record.applies += 1

    async def _go_back(self) -> None:
        numbers = sorted(self._numbers)[-15:-1]
        number = self._chance.choice(numbers)
        await self._note(
            self._numbers[number],
            self._client.post("/deployments/rollback", json={"number": number}),
            201,
        )
        self._record.rollbacks += 1

    async def _apply_wrong(self) -> None:
        content = archive(self._version + 1, has_second=True, target="nobody")
        headers = {"content-type": "application/zip"}
        answer = await self._client.post("/deployments", content=content, headers=headers)
        if answer.status_code != 422:
            raise AssertionError(f"a wrong bundle was answered {answer.status_code}")
        self._record.refused_bundles += 1

    async def _note(self, what: tuple[int, bool], asking: Any, status: int) -> None:
        began = time.time() * 1000
        answer = await asking
        done = time.time() * 1000
        if answer.status_code not in (200, status):
            raise AssertionError(f"{answer.status_code}: {answer.text}")
        said = answer.json()
        workers = said["workers"]
        if workers["missing"] or workers["failed"]:
            raise AssertionError(f"not taken up: {workers}")
        self._record.acknowledged_seconds.append(workers["seconds"])
        self._record.changes.append(Change(*what, began, done))
        self._numbers[said["deployment"]["number"]] = what


def archive(version: int, *, has_second: bool, target: str = "say") -> bytes:
    """Give a bundle of one or two flows that say their version."""
    first = FLOW.format(name="one", version=version, type="order.created")
    files = {
        "greentic.demo.yaml": f'name: changing\nversion: "{version}"\nproviders: {{events-webhook: {{}}}}\n',
        "answers.json": '{"events-webhook": {"enabled": true, "allow_unsigned": true}}',
        "flows/one.ygtc": first.replace("target: say", f"target: {target}"),
    }
    if has_second:
        files["flows/two.ygtc"] = FLOW.format(name="two", version=version, type="order.paid")
    return pack_bundle(MemoryFiles({name: text.encode() for name, text in files.items()})).content


async def send(url: str, record: Record, plan: Plan, ended: asyncio.Event) -> None:
    """Send events at a steady rate until the end, not waiting for each other."""
    async with httpx.AsyncClient(base_url=url, timeout=30) as client, asyncio.TaskGroup() as group:
        number = 0

        async def one(*, is_second: bool) -> None:
            kind = "order.paid" if is_second else "order.created"
            sent_ms = time.time() * 1000
            answer = await client.post(f"/events/webhook/{TENANT}/{kind}", json={"n": number})
            if answer.status_code == 202:
                record.sent.append(Sent(answer.json()["event_id"], is_second, sent_ms))
            else:
                record.refused += 1

        while not ended.is_set():
            number += 1
            group.create_task(one(is_second=number % 3 == 0))
            await asyncio.sleep(1 / plan.rate)


async def read_results(data: Path) -> list[Seen]:
    """Read every result with a client that is not ours."""
    where = nats_credentials(data)
    client = await nats.connect(where["url"], user=where["user"], password=where["password"])
    try:
        info = await client.jetstream().stream_info(f"EVENTS-dev-T-{TENANT}")
        subscription = await client.jetstream().subscribe(
            f"greentic.events.dev.{TENANT}.*.*.result", ordered_consumer=True
        )
        found: list[Seen] = []
        while True:
            try:
                message = await subscription.next_msg(timeout=1.0)
            except TimeoutError:
                return found
            said = json.loads(message.data)
            if said["status"] != "completed":
                raise AssertionError(f"a run ended as {said['status']}: {said} of {info.state}")
            found.append(
                Seen(said["event_id"], said["flow"], int(said["output"]), said["started_ms"])
            )
    finally:
        await client.close()


async def play(plan: Plan, folder: Path) -> tuple[Record, Sequence[Seen], list[str]]:
    """Do it all, and judge."""
    host = write_bundle(folder / "host", {})
    record, ended = Record(), asyncio.Event()
    chance = random.Random(plan.seed)  # noqa: S311 - a test that can be repeated
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(running_program(host, folder / "log-0"))
        where = nats_credentials(host / ".greentic")
        url = where["url"].replace("://", f"://{where['user']}:{where['password']}@")
        logs = [folder / "log-0"]
        for number in range(1, plan.workers):
            logs.append(folder / f"log-{number}")
            flags = ("--nats-url", url, "--roles", "worker", "--data", str(folder / f"d{number}"))
            await stack.enter_async_context(running_program(host, logs[-1], *flags))
        key = (host / ".greentic" / "platform.key").read_text().strip()
        root = f"{first.where['admin']}/api/v1/tenants"
        headers = {"authorization": f"Bearer {key}"}
        async with httpx.AsyncClient(headers=headers, timeout=60) as client:
            (await client.post(root, json={"id": TENANT})).raise_for_status()
            client.base_url = httpx.URL(f"{root}/{TENANT}")
            deployer = Deployer(client, record, chance)
            await deployer.change()
            sending = asyncio.create_task(send(first.url, record, plan, ended))
            for _ in range(plan.changes):
                await asyncio.sleep(chance.uniform(0.0, 0.4))
                await deployer.change()
            await asyncio.sleep(1)
            ended.set()
            await sending
        seen = await _quiet(host / ".greentic", record)
        findings = judge(record.changes, record.sent, seen)
        if record.refused:
            findings.append(f"{record.refused} events got no 2xx")
    findings += [f"{log.name}: {line[:300]}" for log in logs for line in _errors(log)]
    return record, seen, findings


async def _quiet(data: Path, record: Record) -> Sequence[Seen]:
    """Read results until every event of the first type has one, or for so long."""
    wanted = {event.event_id for event in record.sent if not event.is_second}
    begun = time.monotonic()
    while True:
        seen = await read_results(data)
        is_done = wanted <= {one.event_id for one in seen}
        if is_done or time.monotonic() - begun > QUIET_SECONDS_MAX:
            return seen
        await asyncio.sleep(1)


def _errors(log: Path) -> list[str]:
    return [line for line in log.read_text().splitlines() if '"level":"error"' in line]


def main() -> int:
    """Read the arguments, play, tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--changes", type=int, default=100)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rate", type=float, default=50.0)
    parser.add_argument("--seed", type=int, default=1)
    plan = Plan(**vars(parser.parse_args()))
    with tempfile.TemporaryDirectory(prefix="greentic-deploys-") as folder:
        record, seen, findings = asyncio.run(play(plan, Path(folder)))
    said = sorted(record.acknowledged_seconds)
    summary = {
        "changes": len(record.changes),
        "applies": record.applies,
        "rollbacks": record.rollbacks,
        "refused_bundles": record.refused_bundles,
        "events": len(record.sent),
        "results": len(seen),
        "acknowledged_median_s": round(statistics.median(said), 3),
        "acknowledged_p95_s": round(said[int(len(said) * 0.95)], 3),
        "acknowledged_max_s": round(said[-1], 3),
        "findings": len(findings),
    }
    sys.stdout.write(json.dumps(summary) + "\n")
    for finding in findings[:30]:
        sys.stderr.write(f"{finding}\n")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())

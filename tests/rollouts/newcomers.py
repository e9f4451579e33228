"""`python -m tests.rollouts.newcomers`: make tenants, one after the other, and time each end to end.

In: how many tenants and workers. Out: seconds from the request that makes a tenant to the answer of
its first flow, as JSON: in parts, and how many took longer than a second. The first process is an
ingress and a worker on a server of its own; the others are workers.
"""

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

import httpx

from app.bundle.archive import pack_bundle
from app.bundle.files import MemoryFiles
from tests.support.programs import nats_credentials, running_program, write_bundle

GOAL_SECONDS: Final = 1.0
OK: Final = 200
NOT_THERE_YET: Final = (404, 503)
FLOW: Final = """
name: greet
version: "1"
triggers: [{type: event, event_type: greet.asked, target: answer}]
nodes: [{id: answer, type: http_response, config: {status: 200, body: "hello"}}]
"""
MANIFEST: Final = 'name: greeting\nversion: "1"\nproviders: {events-webhook: {}}\n'
ANSWERS: Final = '{"events-webhook": {"enabled": true, "allow_unsigned": true}}'


def archive() -> bytes:
    """Give a bundle with one flow that answers."""
    files = {"greentic.demo.yaml": MANIFEST, "answers.json": ANSWERS, "flows/greet.ygtc": FLOW}
    return pack_bundle(MemoryFiles({name: text.encode() for name, text in files.items()})).content


async def come(client: httpx.AsyncClient, url: str, tenant: str) -> dict[str, float]:
    """Make a tenant, deploy for it and have its flow answer; gives when each was done."""
    begun = time.monotonic()
    done: dict[str, float] = {}
    (await client.post("/tenants", json={"id": tenant})).raise_for_status()
    done["made"] = time.monotonic() - begun
    headers = {"content-type": "application/zip"}
    answer = await client.post(f"/tenants/{tenant}/deployments", content=archive(), headers=headers)
    answer.raise_for_status()
    workers = answer.json()["workers"]
    if workers["missing"] or workers["failed"]:
        raise AssertionError(f"not taken up: {workers}")
    done["deployed"] = time.monotonic() - begun
    while True:
        answer = await client.post(f"{url}/events/webhook/{tenant}/greet.asked", json={})
        if answer.status_code not in NOT_THERE_YET:
            break
        await asyncio.sleep(0.02)
    if answer.status_code != OK:
        raise AssertionError(f"{answer.status_code}: {answer.text}")
    done["answered"] = time.monotonic() - begun
    return done


async def play(tenants: int, workers: int, folder: Path) -> Sequence[Mapping[str, float]]:
    """Have them all come; gives the times of each."""
    host = write_bundle(folder / "host", {})
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(running_program(host, folder / "log-0"))
        where = nats_credentials(host / ".greentic")
        login = where["url"].replace("://", f"://{where['user']}:{where['password']}@")
        for number in range(1, workers):
            flags = ("--nats-url", login, "--roles", "worker", "--data", str(folder / f"d{number}"))
            log = folder / f"log-{number}"
            await stack.enter_async_context(running_program(host, log, *flags))
        key = (host / ".greentic" / "platform.key").read_text().strip()
        root = f"{first.where['admin']}/api/v1"
        headers = {"authorization": f"Bearer {key}"}
        client = httpx.AsyncClient(base_url=root, headers=headers, timeout=60, trust_env=False)
        async with client:
            return [await come(client, first.url, f"tenant-{n}") for n in range(tenants)]


def figures_of(times: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    """Give the median, the 99th percentile and the slowest of each part."""
    figures: dict[str, Any] = {"tenants": len(times)}
    for part in times[0]:
        found = sorted(one[part] for one in times)
        figures[part] = {
            "p50": round(statistics.median(found), 3),
            "p99": round(found[int(len(found) * 0.99)], 3),
            "max": round(found[-1], 3),
        }
    figures["over the goal"] = sum(one["answered"] > GOAL_SECONDS for one in times)
    return figures


def main() -> int:
    """Run it; exit code 1 where a tenant took too long."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tenants", type=int, default=200)
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="greentic-newcomers-") as folder:
        times = asyncio.run(play(given.tenants, given.workers, Path(folder)))
    figures = figures_of(times)
    sys.stdout.write(json.dumps(figures, indent=2) + "\n")
    return 1 if figures["over the goal"] else 0


if __name__ == "__main__":
    sys.exit(main())

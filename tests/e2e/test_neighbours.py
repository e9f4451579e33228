"""Troublesome tenants cost a healthy one nothing it was promised."""

import asyncio
import json
from pathlib import Path

import nats

from tests.support.programs import nats_credentials, running_program, write_bundle
from tests.support.streams import read_stream

FLOW = """
name: work
version: "1"
triggers:
  - {{type: event, event_type: order.created, target: work}}
nodes:
  - id: work
    type: script
    config:
      script: |
        {script}
    next: done
"""
SCRIPTS = {
    "endless": "let n = 0; while true { n += 1; } n",
    "raising": 'throw "no such luck";',
    "plain": "payload.total * 2",
}
MANIFEST = """
apps:
  endless: {path: apps/endless}
  raising: {path: apps/raising}
  plain: {path: apps/plain}
tenants:
  endless: {apps: [endless]}
  raising: {apps: [raising]}
  poison: {apps: [plain]}
  healthy: {apps: [plain]}
"""
HEALTHY_EVENTS = 200
TROUBLE_EVENTS = 40


def build_bundle(folder: Path) -> Path:
    bundle = write_bundle(folder, {}, MANIFEST)
    for name, script in SCRIPTS.items():
        flows = bundle / "apps" / name / "flows"
        flows.mkdir(parents=True)
        (flows / "work.ygtc").write_text(FLOW.format(script=script))
    return bundle


def event_bytes(identity: str) -> bytes:
    event = {
        "id": identity,
        "event_type": "order.created",
        "source": "test",
        "timestamp": 1,
        "payload": {"total": 60},
    }
    return json.dumps(event).encode()


async def test_healthy_tenant_completes_beside_endless_raising_and_poisoned_ones(
    tmp_path: Path,
) -> None:
    bundle, data = build_bundle(tmp_path / "bundle"), tmp_path / "data"
    async with running_program(bundle, tmp_path / "log", "--roles", "worker", "--data", str(data)):
        given = nats_credentials(data)
        client = await nats.connect(given["url"], user=given["user"], password=given["password"])
        jetstream = client.jetstream()
        for number in range(HEALTHY_EVENTS):
            subject = "greentic.events.dev.healthy.order.created"
            await jetstream.publish(subject, event_bytes(f"h-{number}"))
            if number < TROUBLE_EVENTS:
                for tenant in ("endless", "raising"):
                    subject = f"greentic.events.dev.{tenant}.order.created"
                    await jetstream.publish(subject, event_bytes(f"t-{number}"))
                await jetstream.publish("greentic.events.dev.poison.order.created", b'{"no": ')
        statuses = {
            tenant: await wait_statuses(given, tenant, count)
            for tenant, count in (
                ("healthy", HEALTHY_EVENTS),
                ("endless", TROUBLE_EVENTS),
                ("raising", TROUBLE_EVENTS),
            )
        }
        await wait_parked(given, TROUBLE_EVENTS)
        await client.close()
    assert statuses["healthy"] == [("completed", None)] * HEALTHY_EVENTS
    assert set(statuses["endless"]) <= {
        ("failed", "script.limit_operations"),
        ("failed", "script.limit_time"),
    }
    assert set(statuses["raising"]) == {("failed", "script.thrown")}


async def wait_statuses(
    given: dict[str, str], tenant: str, count: int
) -> list[tuple[str, str | None]]:
    subject = f"greentic.events.dev.{tenant}.order.created.result"
    async with asyncio.timeout(60):
        while True:
            results = await read_stream(given, f"EVENTS-dev-T-{tenant}", subject)
            if len(results) >= count:
                return [(r["status"], (r["error"] or {}).get("code")) for r in results]
            await asyncio.sleep(0.2)


async def wait_parked(given: dict[str, str], count: int) -> None:
    """Wait until every poisoned message lies in the dead letters, with its bytes."""
    async with asyncio.timeout(60):
        while True:
            letters = await read_stream(given, "DEAD-dev", "greentic.dead.dev.poison.>")
            if len(letters) >= count:
                assert len(letters) == count
                return
            await asyncio.sleep(0.2)

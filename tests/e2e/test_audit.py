"""Identity and the audit log of a program as its user starts it."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.identity.lock_out import ADDRESS_FAILURES_MAX
from app.stores.api_key import new_text
from tests.support.programs import ROOT, running_program, write_bundle

pytestmark = pytest.mark.server

FLOWS = {
    "hello": """
name: hello
version: "1"
triggers:
  - {type: event, event_type: greet, target: say}
nodes:
  - {id: say, type: template, config: {template: "hi"}, next: done}
""",
}


async def cli(data: Path, *arguments: str) -> str:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "app.cli.main", *arguments, "--data", str(data),
        cwd=ROOT, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    text, _ = await process.communicate()
    assert process.returncode == 0
    return text.decode()


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


async def post_batch(client: httpx.AsyncClient, url: str, key: str) -> int:
    body = b'{"event_type": "greet", "payload": 1}\n'
    headers = bearer(key) | {"content-type": "application/x-ndjson"}
    answer = await client.post(f"{url}/events/batch/demo", content=body, headers=headers)
    return answer.status_code


async def test_first_key_opens_the_api_and_everything_is_written_down(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "bundle", FLOWS)
    data = bundle / ".greentic"
    async with running_program(bundle, tmp_path / "log") as program, httpx.AsyncClient() as client:
        admin = program.where["admin"]
        platform = (data / "platform.key").read_text().strip()
        key = (await cli(data, "tenant", "key", "add", "demo")).strip()
        async with asyncio.timeout(2):
            while await post_batch(client, program.url, key) != 202:
                await asyncio.sleep(0.3)
        keys = f"{admin}/api/v1/tenants/demo/keys"
        (listed,) = (await client.get(keys, headers=bearer(platform))).json()["keys"]
        assert listed["prefix"] == key[4:12]
        gone = await client.delete(f"{keys}/{key[4:12]}", headers=bearer(platform))
        assert gone.status_code == 204
        await asyncio.sleep(1)
        assert await post_batch(client, program.url, key) == 401
        statuses = [
            await post_batch(client, program.url, str(new_text()))
            for _ in range(ADDRESS_FAILURES_MAX)
        ]
        assert statuses[-1] == 429
        audit = await client.get(f"{admin}/api/v1/audit?order=oldest", headers=bearer(platform))
        metrics = (await client.get(f"{admin}/metrics")).text
        assert 'greentic_lock_outs_total{by="address"} ' in metrics
        assert 'greentic_api_keys_refused_total{reason="unknown"}' in metrics
        exported = [json.loads(line) for line in (await cli(data, "audit", "export")).splitlines()]
    entries: list[dict[str, Any]] = audit.json()["entries"]
    actions = [each["action"] for each in entries]
    assert actions == [
        "key.add", "tenant.add", "deployment.start", "key.add", "key.revoke", "key.locked_out"
    ]  # fmt: skip
    assert entries[2]["actor"] == "system"
    assert (entries[2]["tenant"], entries[2]["after"]["flows"]) == ("demo", 1)
    assert entries[4]["actor"] == f"key:{platform[4:12]}"
    assert exported == entries
    assert platform[13:] not in json.dumps(entries)

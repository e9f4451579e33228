"""A program with tenants that have something of everything, and API keys of every scope.

Two tenants try things with their own keys, on themselves and on each other; the platform's keys do
so with a third, which may come to an end meanwhile.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.support.programs import RunningProgram, running_program, write_bundle

OWN, OTHER, SPARE = "acme", "acme-eu", "spare"
TENANTS = (OWN, OTHER, SPARE)
WAIT_SECONDS = 20.0

TENANT_SCOPES = ("tenant-admin", "tenant-operator", "tenant-publish", "tenant-read")
HOLDS: Mapping[str, frozenset[str]] = {
    "platform-admin": frozenset({"platform-admin", *TENANT_SCOPES}),
    "tenant-admin": frozenset(TENANT_SCOPES),
    "tenant-operator": frozenset(TENANT_SCOPES[1:]),
    "tenant-publish": frozenset({"tenant-publish"}),
    "tenant-read": frozenset({"tenant-read"}),
}
"""What each scope comes to (docs/identity.md), said here once more: the program is not asked."""


@dataclass(frozen=True)
class Key:
    """An API key, or none. ``tenant`` None: the platform's."""

    text: str | None
    scope: str | None
    tenant: str | None

    @property
    def headers(self) -> dict[str, str]:
        return {} if self.text is None else {"authorization": f"Bearer {self.text}"}

    def may(self, scope: str, tenant: str | None) -> bool:
        """Tell whether an operation of that scope in that tenant is this key's to ask for."""
        if self.scope is None:
            return False
        if scope == "any":
            return True
        return scope in HOLDS[self.scope] and self.tenant in (None, tenant)


NOBODY = Key(None, None, None)


@dataclass
class Estate:
    """The program, its keys by name, and its API's document."""

    program: RunningProgram
    bundle: Path
    keys: dict[str, Key]
    document: dict[str, Any]

    @property
    def url(self) -> str:
        return f"{self.program.where['admin']}/api/v1"


def a_flow(name: str, event_type: str, kind: str, config: dict[str, Any]) -> str:
    trigger = {"type": "event", "event_type": event_type, "target": "one"}
    node = {"id": "one", "type": kind, "config": config, "next": "done"}
    return json.dumps({"name": name, "version": "1", "triggers": [trigger], "nodes": [node]})


FLOWS = {
    "hello": a_flow("hello", "greet.asked", "template", {"template": "hi {{payload.name}}"}),
    "fail": a_flow("fail", "order.failed", "error", {"message": "no"}),
    "sleep": a_flow("sleep", "sleep.asked", "wait", {"for": "1h"}),
    "clock": json.dumps({
        "name": "clock", "version": "1",
        "triggers": [{"type": "timer", "cron": "0 0 1 1 *", "target": "one"}],
        "nodes": [{"id": "one", "type": "template", "config": {"template": "x"}, "next": "done"}],
    }),
}  # fmt: skip
EVENTS = b"".join(
    json.dumps({"event_type": kind, "payload": {"name": number}}).encode() + b"\n"
    for kind in ("greet.asked", "order.failed", "sleep.asked")
    for number in range(3)
)


@asynccontextmanager
async def an_estate(root: Path) -> AsyncIterator[Estate]:
    """Start the program, make keys, post events that succeed, fail and wait."""
    manifest = "tenants:\n" + "".join(f"  {tenant}: {{}}\n" for tenant in TENANTS)
    bundle = write_bundle(root / "bundle", FLOWS, manifest)
    async with running_program(bundle, root / "log") as program:
        first = (bundle / ".greentic" / "platform.key").read_text().strip()
        estate = Estate(program, bundle, {"nobody": NOBODY}, {})
        estate.keys["platform-admin"] = Key(first, "platform-admin", None)
        headers = estate.keys["platform-admin"].headers
        async with httpx.AsyncClient(trust_env=False, timeout=30, headers=headers) as client:
            await _make_keys(client, estate)
            await _post_events(client, estate)
            answer = await client.get(f"{estate.url}/openapi.json")
            estate.document = answer.json()
            yield estate


async def _make_keys(client: httpx.AsyncClient, estate: Estate) -> None:
    wanted: list[tuple[str, str, str | None]] = [
        *((f"own-{scope}", scope, OWN) for scope in TENANT_SCOPES),
        ("platform-tenant-read", "tenant-read", None),
    ]
    wanted += [("other-tenant-admin", "tenant-admin", OTHER), ("spare", "tenant-admin", SPARE)]
    for name, scope, tenant in wanted:
        root = estate.url if tenant is None else f"{estate.url}/tenants/{tenant}"
        answer = await client.post(f"{root}/keys", json={"name": name, "scopes": [scope]})
        assert answer.status_code == 201, answer.text
        estate.keys[name] = Key(answer.json()["key"], scope, tenant)
    async with asyncio.timeout(WAIT_SECONDS):
        for key in estate.keys.values():
            path = f"{estate.url}/openapi.json"
            while key.text and (await client.get(path, headers=key.headers)).status_code != 200:
                await asyncio.sleep(0.1)


async def _post_events(client: httpx.AsyncClient, estate: Estate) -> None:
    names = {OWN: "own-tenant-admin", OTHER: "other-tenant-admin", SPARE: "spare"}
    for tenant, name in names.items():
        headers = {**estate.keys[name].headers, "content-type": "application/x-ndjson"}
        path = f"{estate.program.url}/events/batch/{tenant}"
        answer = await client.post(path, content=EVENTS, headers=headers)
        assert answer.status_code == 202, answer.text
        letters = f"{estate.url}/tenants/{tenant}/dead-letters"
        async with asyncio.timeout(WAIT_SECONDS):
            while len((await client.get(letters)).json()["letters"]) < 3:
                await asyncio.sleep(0.1)
        secret = f"{estate.url}/tenants/{tenant}/secrets/PIN"
        await client.put(secret, json={"value": "4711"})

"""Whoever changes the deployment: the CLI in a process of its own, or the API, as people use them.

In: a running cluster, a seed. Out: a `Change` for every revision that came of it, read from the
bucket itself. Bad bundles are offered too, and must be refused and change nothing.
"""

import asyncio
import json
import os
import random
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx
from nats.aio.client import Client

from app.bundle.archive import pack_bundle
from tests.faults.processes import SEALING_KEY, Cluster
from tests.faults.scenario import ENV, TENANT
from tests.rollouts.judge import Change
from tests.rollouts.versions import BROKEN, Version, first_version, next_version
from tests.support.programs import ROOT

KINDS: Final = ("apply", "apply", "apply", "rollback", "back to", "bad")
BACK_MAX: Final = 10
PAUSES: Final = {True: (0.2, 1.5), False: (0.0, 0.5)}
"""Before the next change, in seconds, by whether this one was waited for."""
UNPROCESSABLE: Final = 422


@dataclass
class Changer:
    """Changes one tenant's deployment; nobody else does."""

    cluster: Cluster
    client: Client
    folder: Path
    chance: random.Random
    changes: list[Change] = field(default_factory=list)
    before: Callable[[], None] = lambda: None
    """Called before a change is asked for that comes at once."""
    refused: int = 0
    surprises: list[str] = field(default_factory=list)
    _versions: dict[int, Version] = field(default_factory=dict)
    _made: int = 0
    _key: str = ""

    async def begin(self) -> None:
        """Make the tenant, a key, and put the first version in force."""
        await self._cli("tenant", "add", TENANT)
        said = json.loads((await self._cli("platform", "key", "add", "--json"))[1])
        self._key = said["key"]
        await self._apply(first_version(), by_cli=True, waited=True)

    async def change(self) -> None:
        """Make one change at the seed's choice, and pause."""
        kind = self.chance.choice(KINDS)
        waited = self.chance.random() < 0.5
        by_cli = waited and self.chance.random() < 0.5
        newest = self._versions[self._made]
        if kind == "bad":
            await self._offer_bad(newest, by_cli=by_cli)
        elif kind == "apply" or len(self.changes) < BACK_MAX // 3:
            last = self.changes[-1].version
            await self._apply(
                next_version(last, self._made + 1, self.chance), by_cli=by_cli, waited=waited
            )
        else:
            await self._roll_back(kind, by_cli=by_cli, waited=waited)
        await asyncio.sleep(self.chance.uniform(*PAUSES[waited]))

    async def _apply(self, version: Version, *, by_cli: bool, waited: bool) -> None:
        self._made, self._versions[version.number] = version.number, version
        bundle = version.write(self.folder / f"bundle-{version.number}")
        began = time.time()
        if by_cli:
            wait = () if waited else ("--no-wait",)
            self._expect(0, await self._cli("apply", str(bundle), "--tenant", TENANT, *wait))
        else:
            self._expect(201, await self._post("", pack_bundle(bundle).content, waited=waited))
        await self._note("apply", began, waited=waited)

    async def _roll_back(self, kind: str, *, by_cli: bool, waited: bool) -> None:
        past = [change.number for change in self.changes[-BACK_MAX:-1]]
        number = self.chance.choice(past) if kind == "back to" else None
        began = time.time()
        if by_cli:
            to = () if number is None else ("--to", str(number))
            wait = () if waited else ("--no-wait",)
            self._expect(0, await self._cli("rollback", "--tenant", TENANT, *to, *wait))
        else:
            body = json.dumps({"number": number}).encode()
            self._expect(201, await self._post("/rollback", body, waited=waited))
        await self._note("rollback", began, waited=waited)

    async def _offer_bad(self, version: Version, *, by_cli: bool) -> None:
        self.refused += 1
        bundle = version.write(self.folder / f"bad-{self.refused}", self.chance.choice(BROKEN))
        before = await self._document()
        if by_cli:
            self._expect(1, await self._cli("apply", str(bundle), "--tenant", TENANT))
        else:
            self._expect(UNPROCESSABLE, await self._post("", pack_bundle(bundle).content))
        if await self._document() != before:
            self.surprises.append(f"a bad bundle changed deployment {before[1]['number']}")

    # ── Ways ─────────────────────────────────────────────────────────────────────────────────

    async def _cli(self, *arguments: str) -> tuple[int, str]:
        endpoint = self.cluster.endpoint
        assert endpoint is not None
        clean = {key: text for key, text in os.environ.items() if not key.startswith("GREENTIC_")}
        login = f"nats://{endpoint.user}:{endpoint.password}@127.0.0.1:{endpoint.port}"
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "app.cli.main",
            *arguments,
            cwd=ROOT,
            env={**clean, "GREENTIC_NATS_URL": login, "GREENTIC_SECRET_KEY": SEALING_KEY},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        said, error = await process.communicate()
        assert process.returncode is not None
        return process.returncode, (said or error).decode()

    async def _post(self, path: str, body: bytes, *, waited: bool = True) -> tuple[int, str]:
        self.before()
        admin = self.cluster.ingresses[0].where["admin"]
        is_json = path == "/rollback"
        async with httpx.AsyncClient(timeout=60, trust_env=False) as client:
            answer = await client.post(
                f"{admin}/api/v1/tenants/{TENANT}/deployments{path}",
                params={"wait_seconds": 30 if waited else 0},
                content=body,
                headers={
                    "authorization": f"Bearer {self._key}",
                    "content-type": f"application/{'json' if is_json else 'zip'}",
                },
            )
        return answer.status_code, answer.text

    def _expect(self, wanted: int, said: tuple[int, str]) -> None:
        if said[0] != wanted:
            self.surprises.append(f"{said[0]} instead of {wanted}: {said[1][:300]}")

    async def _note(self, kind: str, began: float, *, waited: bool) -> None:
        stored, document = await self._document()
        if self.changes and self.changes[-1].revision == stored.revision:
            return  # it was refused, which is noted, or was in force already
        activated = {key: one["sequence"] for key, one in document["activated"].items()}
        self.changes.append(
            Change(
                number=document["number"],
                revision=stored.revision,
                kind=kind,
                began_at=began,
                stored_at=stored.at,
                version=self._versions[int(document["version"])],
                activated=activated,
                waited=waited,
            )
        )

    async def _document(self) -> tuple["Place", dict[str, Any]]:
        jetstream = self.client.jetstream()
        name = f"$KV.deployments-{ENV}.{TENANT}.deployment"
        message = await jetstream.get_last_msg(f"KV_deployments-{ENV}", name)
        assert message.data is not None
        assert message.seq is not None
        assert message.time is not None
        return Place(message.seq, message.time.timestamp()), json.loads(message.data)


@dataclass(frozen=True)
class Place:
    """Where a document lies, and since when."""

    revision: int
    at: float


def kinds_of(changes: Sequence[Change]) -> dict[str, int]:
    """Count the changes by kind."""
    found: dict[str, int] = {}
    for change in changes:
        found[change.kind] = found.get(change.kind, 0) + 1
    return found

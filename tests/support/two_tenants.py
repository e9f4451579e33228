"""One program with two tenants, one of whom wants what is the other's; and all that both left.

The attacker's name is the beginning of the victim's, so that a prefix taken for a name would show.
Whatever is the victim's alone carries `MARK`: it must turn up nowhere that the attacker sees.
"""

import asyncio
import hashlib
import hmac
import json
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx
import nats
from nats.aio.client import Client
from nats.js.errors import NotFoundError

from app.cli.auditing import cli_who
from app.cli.setup_store import open_store
from app.settings.loading import load_settings
from app.stores.secrets import BUNDLE_SCOPE
from tests.support import twilio
from tests.support.echo_server import EchoServer, an_echo_server
from tests.support.programs import (
    ROOT,
    RunningProgram,
    nats_credentials,
    running_program,
    write_bundle,
)

ATTACKER, VICTIM = "acme", "acme-eu"
MARK = "of-the-victim-7f3a9c21"
HOOK_SECRET = "hook-secret-for-tests-only"
WAIT_SECONDS = 20.0
SETTLE_SECONDS = 1.0


class Stored(NamedTuple):
    """A message of a stream."""

    stream: str
    sequence: int
    subject: str
    data: bytes
    headers: Mapping[str, str]

    def is_of(self, tenant: str) -> bool:
        """Tell whether its place is the tenant's; elsewhere its name is only a word."""
        tokens = self.subject.split(".")
        place = 3 if tokens[0] == "greentic" else 2  # else `$KV.BUCKET.TENANT…`
        return tenant in tokens[place : place + 1] or self.stream.endswith(f"-T-{tenant}")


@dataclass
class TwoTenants:
    """The program, and how its tenants and its operator reach it."""

    program: RunningProgram
    bundle: Path
    client: httpx.AsyncClient
    bus: Client
    echo: EchoServer
    keys: dict[str, str] = field(default_factory=dict)
    answers: list[bytes] = field(default_factory=list)
    """All that the attacker was told."""

    @property
    def admin(self) -> str:
        return str(self.program.where["admin"])

    # ── As a sender ──────────────────────────────────────────────────────────────────────────

    async def post(
        self, tenant: str, event_type: str, payload: Any, **headers: str
    ) -> dict[str, Any]:
        """Post a signed event that must be taken."""
        body = json.dumps(payload).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        answer = await self.client.post(
            f"{self.program.url}/events/webhook/{tenant}/{event_type}",
            content=body,
            headers={"content-type": "application/json", "x-sig": signed(body), **named},
        )
        assert answer.status_code in (200, 202), answer.text
        if tenant == ATTACKER:
            self.answers.append(answer.content)
        document: dict[str, Any] = answer.json()
        return document

    async def api(self, method: str, path: str, key: str = ATTACKER, **more: Any) -> httpx.Response:
        """Ask the API, as the attacker unless ``key`` says who else."""
        headers = {"authorization": f"Bearer {self.keys[key]}"}
        answer = await self.client.request(method, f"{self.admin}{path}", headers=headers, **more)
        if key == ATTACKER:
            self.answers.append(answer.content)
        return answer

    async def raw(self, target: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes]:
        """Send a request whose target no client library has made orderly."""
        place = urlsplit(self.program.url)
        reader, writer = await asyncio.open_connection(place.hostname, place.port)
        given = {"host": place.netloc, "connection": "close", "content-length": str(len(body))}
        lines = [f"{name}: {value}" for name, value in (given | dict(headers)).items()]
        head = "\r\n".join([f"POST {target} HTTP/1.1", *lines, "", ""])
        try:
            writer.write(head.encode("utf-8") + body)
            async with asyncio.timeout(WAIT_SECONDS):
                said = await reader.read()
        finally:
            writer.close()
        self.answers.append(said)
        return int(said.split(b" ", 2)[1]), said

    async def cli(self, *arguments: str) -> tuple[int, str]:
        """Run a command of the operator's."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "app.cli.main", *arguments,
            "--data", str(self.bundle / ".greentic"),
            cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        text, _ = await process.communicate()
        return process.returncode or 0, text.decode()

    # ── What is stored ───────────────────────────────────────────────────────────────────────

    async def stored(self, tenant: str | None = None, stream: str = "") -> list[Stored]:
        """Read every stream, those behind buckets too, with a client that is not ours."""
        streams = await self.bus.jetstream().streams_info()
        wanted = [info for info in streams if stream in ("", info.config.name)]
        found = await asyncio.gather(
            *(
                self._read(info.config.name or "", sequence)
                for info in wanted
                for sequence in range(max(1, info.state.first_seq), info.state.last_seq + 1)
            )
        )
        return [one for one in found if one is not None and (tenant is None or one.is_of(tenant))]

    async def _read(self, stream: str, sequence: int) -> Stored | None:
        try:
            message = await self.bus.jetstream().get_msg(stream, sequence)
        except NotFoundError:
            return None
        data, headers = message.data or b"", message.headers or {}
        return Stored(stream, sequence, message.subject or "", data, headers)

    async def events(self, tenant: str, event_type: str) -> list[dict[str, Any]]:
        """Give the tenant's events of a type, or with ``.result`` its results."""
        subject = f"greentic.events.dev.{tenant}.{event_type}"
        return [
            json.loads(one.data)
            for one in await self.stored(tenant, f"EVENTS-dev-T-{tenant}")
            if one.subject == subject
        ]

    async def result_of(
        self, tenant: str, event_type: str, event_id: str, flow: str = ""
    ) -> dict[str, Any]:
        """Wait for the outcome of the event's run of a flow, named like the type's first token."""
        wanted = (event_id, flow or event_type.partition(".")[0])
        async with asyncio.timeout(WAIT_SECONDS):
            while True:
                for result in await self.events(tenant, f"{event_type}.result"):
                    if (result["event_id"], result["flow"]) == wanted:
                        return result
                await asyncio.sleep(0.1)

    async def ask(
        self, event_type: str, payload: Any, tenant: str = ATTACKER, flow: str = ""
    ) -> dict[str, Any]:
        """Post an event and give its result."""
        accepted = await self.post(tenant, event_type, payload)
        return await self.result_of(tenant, event_type, accepted["event_id"], flow)

    @asynccontextmanager
    async def victim_unharmed(self) -> AsyncIterator[None]:
        """Fail if anything of the victim's changes meanwhile, or if the attacker sees any of it."""
        before = _places(await self.stored(VICTIM))
        yield
        await asyncio.sleep(SETTLE_SECONDS)
        after = _places(await self.stored(VICTIM))
        assert after == before, f"gone {before - after}, new {after - before}"
        await self.check_no_leak()

    async def check_no_leak(self) -> None:
        """Fail if the attacker saw anything of the victim's: in answers, data, calls, log lines."""
        mark = MARK.encode()
        seen = [("answer", each) for each in self.answers]
        seen += [("call", each) for each in self.echo.heard]
        seen += [
            (one.subject, one.data + str(one.headers).encode())
            for one in await self.stored(ATTACKER)
        ]
        for line in self.program.log.read_bytes().splitlines():
            if b'"tenant":"acme"' in line:
                seen.append(("log", line))
        leaks = [(place, data[:400]) for place, data in seen if mark in data]
        assert not leaks, leaks


def signed(body: bytes) -> str:
    """Sign a body with the bundle's secret."""
    return hmac.new(HOOK_SECRET.encode(), body, hashlib.sha256).hexdigest()


def _places(messages: list[Stored]) -> set[tuple[str, int, str]]:
    """Name messages; what an API key was used for last says nothing of its tenant's data."""
    return {one[:3] for one in messages if not one.stream.startswith("KV_key-uses")}


@asynccontextmanager
async def two_tenants(
    root: Path, apps: Mapping[str, Mapping[str, str]], manifest: str
) -> AsyncIterator[TwoTenants]:
    """Start the program with the apps' flows, a key for each tenant, and secrets of one name."""
    async with AsyncExitStack() as stack:
        echo = await stack.enter_async_context(an_echo_server(1))
        bundle = _write(root, apps, manifest, echo)
        await _store_secrets(bundle)
        program = await stack.enter_async_context(running_program(bundle, root / "log"))
        client = await stack.enter_async_context(httpx.AsyncClient(trust_env=False, timeout=30))
        given = nats_credentials(bundle / ".greentic")
        bus = await nats.connect(given["url"], user=given["user"], password=given["password"])
        stack.push_async_callback(bus.close)
        world = TwoTenants(program, bundle, client, bus, echo)
        world.keys["platform"] = (bundle / ".greentic" / "platform.key").read_text().strip()
        for tenant in (ATTACKER, VICTIM):
            wanted = {"name": "all", "scopes": ["tenant-admin"]}
            made = await world.api(
                "POST", f"/api/v1/tenants/{tenant}/keys", "platform", json=wanted
            )
            world.keys[tenant] = made.json()["key"]
        await _wait_for_keys(world)
        yield world


async def _wait_for_keys(world: TwoTenants) -> None:
    async with asyncio.timeout(5):
        for tenant in (ATTACKER, VICTIM):
            path = f"/api/v1/tenants/{tenant}/audit"
            while (await world.api("GET", path, tenant)).status_code != 200:
                await asyncio.sleep(0.1)


def _write(
    root: Path, apps: Mapping[str, Mapping[str, str]], manifest: str, echo: EchoServer
) -> Path:
    bundle = write_bundle(root / "bundle", {}, manifest)
    for app, flows in apps.items():
        folder = bundle / "apps" / app / "flows"
        folder.mkdir(parents=True)
        for name, text in flows.items():
            (folder / f"{name}.ygtc").write_text(text.replace("ECHO", echo.urls[0]))
    library = bundle / "apps" / "good" / "scripts" / "library.rhai"
    library.parent.mkdir()
    library.write_text(f'fn formula() {{ "{MARK}" }}')
    answers = {
        "events-webhook": {
            "secret_header": "x-sig",
            "secret_key": HOOK_SECRET,
            "public_base_url": twilio.BASE,
            "sync_timeout_ms": 0,
        },
        "events-sms-twilio": {
            "account_sid": twilio.ACCOUNT,
            "auth_token": twilio.TOKEN,
            "from_number": twilio.OURS,
        },
    }
    (bundle / "answers.json").write_text(json.dumps(answers))
    (bundle / "greentic.toml").write_text(
        f"[security]\nallow_private = {json.dumps(echo.places)}\n"
        "[logging]\nlevel = 'debug'\nformat = 'json'\n"
    )
    return bundle


async def _store_secrets(bundle: Path) -> None:
    settings = load_settings(bundle / "greentic.toml", {}, {})
    async with open_store(settings, bundle) as desk:
        await desk.set(cli_who(), ATTACKER, "PIN", "attackers-own-pin-4711")
        await desk.set(cli_who(), VICTIM, "PIN", f"pin-{MARK}")
        await desk.set(cli_who(), VICTIM, "ONLY", f"only-{MARK}")
        await desk.set(cli_who(), BUNDLE_SCOPE, "HOOK", f"of-the-providers-{MARK}")

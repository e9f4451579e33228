"""The processes under test: nats-server, ingress and workers, each started again when it ends.

In: a folder and a bundle. Out: a running `Cluster` whose members can be killed, frozen and continued
by id. A member that ends without having been killed is remembered as a crash.
"""

import asyncio
import base64
import contextlib
import hashlib
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

import httpx

from app.bus.server_folder import Endpoint
from tests.support.nats_server import KillableServer
from tests.support.programs import ROOT

READY_SECONDS_MAX: Final = 90.0
END_SECONDS_MAX: Final = 60.0
SEALING_KEY: Final = base64.b64encode(hashlib.sha256(b"the fault suite").digest()).decode()
"""One for all members; nothing in the suite is secret."""
STARTS_MAX: Final = 3
"""A member that fails so often at the beginning will not come up."""
SAID_CHARS_MAX: Final = 500
RESTART_SECONDS: Final = 0.3
"""Between the end of a member and its next start, as a supervisor of processes has it."""


class Member:
    """One `greentic-events start`, in a place that is filled again when it falls vacant."""

    def __init__(
        self, name: str, command: Sequence[str], log: Path, env: Mapping[str, str]
    ) -> None:
        self.name, self.log = name, log
        self._command, self._env = command, dict(env)
        self.where: dict[str, Any] = {}
        self.process: asyncio.subprocess.Process | None = None
        self.is_ready = asyncio.Event()
        self.kills = 0
        self.crashes: list[str] = []
        self.starts = 0
        self.stop_seconds = 0.0
        self._said = ""
        self._is_wanted = False
        self._is_ending = False
        self._keeper: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int:
        """The process id now; 0 while there is none."""
        process = self.process
        return process.pid if process is not None and process.returncode is None else 0

    async def start(self) -> None:
        self._keeper = asyncio.create_task(self._keep(), name=f"keep-{self.name}")
        async with asyncio.timeout(READY_SECONDS_MAX):
            while not self.is_ready.is_set():
                assert len(self.crashes) < STARTS_MAX, self.crashes[-1]
                await asyncio.sleep(0.02)

    async def _keep(self) -> None:
        while not self._is_ending:
            code = await self._run_once()
            self.is_ready.clear()
            if not (self._is_wanted or self._is_ending):
                self.crashes.append(f"{self.name} ended with {code} {self._said}".strip())
            self._is_wanted = False
            await asyncio.sleep(RESTART_SECONDS)

    async def _run_once(self) -> int:
        with self.log.open("ab") as errors:
            self.process = await asyncio.create_subprocess_exec(
                *self._command,
                cwd=ROOT,
                env=self._env,
                stdout=asyncio.subprocess.PIPE,
                stderr=errors,
            )
        self.starts += 1
        assert self.process.stdout is not None
        line = await self.process.stdout.readline()
        if b'"ready"' in line:
            self.where = json.loads(line)
            self.is_ready.set()
        self._said = "" if self.is_ready.is_set() else line.decode()
        # Drained to its end, so that a talkative member never blocks on a full pipe.
        while more := await self.process.stdout.read(1 << 16):
            self._said = (self._said + more.decode())[:SAID_CHARS_MAX]
        return await self.process.wait()

    def kill(self) -> bool:
        """SIGKILL, whatever it is doing, starting included; False when there is nobody to kill."""
        if not self.pid or self._is_wanted:
            return False
        self._is_wanted = True
        self.kills += 1
        os.kill(self.pid, signal.SIGKILL)
        return True

    def restart(self) -> None:
        """SIGTERM, as a deploy does it; the next one starts when it has ended."""
        if self.pid and not self._is_wanted:
            self._is_wanted = True
            os.kill(self.pid, signal.SIGTERM)

    def send(self, number: signal.Signals) -> None:
        if self.pid:
            os.kill(self.pid, number)

    async def stop(self) -> None:
        self._is_ending = True
        self.send(signal.SIGCONT)
        self.send(signal.SIGTERM)
        if self._keeper is not None:
            began = time.monotonic()
            _, pending = await asyncio.wait([self._keeper], timeout=END_SECONDS_MAX)
            if pending:
                self.crashes.append(f"{self.name} did not end within {END_SECONDS_MAX:.0f} s")
                self.kill()
                await asyncio.wait([self._keeper])
            self.stop_seconds = time.monotonic() - began

    async def metrics(self) -> dict[str, float]:
        """Read its metrics page; sums over labels. Empty where it does not answer."""
        found: dict[str, float] = {}
        with contextlib.suppress(httpx.HTTPError, KeyError):
            async with httpx.AsyncClient(timeout=5, trust_env=False) as client:
                page = (await client.get(f"{self.where['admin']}/metrics")).text
            for line in page.splitlines():
                if line and not line.startswith("#"):
                    name, _, value = line.rpartition(" ")
                    name = name.partition("{")[0]
                    found[name] = found.get(name, 0.0) + float(value)
        return found


@dataclass
class Outside:
    """The recording service and mail server: no fault reaches it."""

    process: asyncio.subprocess.Process
    port: int
    hosts: Sequence[str]
    smtp_port: int
    book: Path

    @property
    def url(self) -> str:
        return f"http://{self.hosts[0]}:{self.port}"

    @property
    def ports(self) -> frozenset[int]:
        return frozenset({self.port, self.smtp_port})

    def flaky(self, number: int) -> str:
        """Give the address at which scripted troubles are had, spread over the hosts but one."""
        others = self.hosts[1:] or self.hosts
        return f"http://{others[number % len(others)]}:{self.port}"

    async def set_mood(self, **mood: Any) -> None:
        async with httpx.AsyncClient(timeout=10, trust_env=False) as client:
            (await client.post(f"{self.url}/_mood", json=mood)).raise_for_status()


@dataclass
class Layout:
    """How a cluster is made."""

    bundle: Path | None
    """What all start with; None: what others deploy is run."""
    workers: int = 2
    ingresses: int = 1
    data: Path | None = None
    """Where the server's store is; in the cluster's folder by default."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Added to that of workers and ingress."""
    nats: Callable[[Path], "Server"] = KillableServer
    """Makes the server in its folder, or several that stand where one stands."""


class Server(Protocol):
    """A nats-server, or several, on the same port and store after every start."""

    async def start(self) -> Endpoint:
        """Start it and wait until JetStream answers."""
        ...

    async def kill(self) -> None:
        """End it with SIGKILL."""
        ...

    async def stop(self) -> None:
        """End it."""
        ...


class Cluster:
    """A nats-server, and `greentic-events` around it in processes of their own."""

    def __init__(self, folder: Path, layout: Layout) -> None:
        self.folder, self.layout = folder, layout
        self.nats = layout.nats(layout.data or folder / "data")
        self.nats_kills = 0
        self.endpoint: Endpoint | None = None
        self.workers: list[Member] = []
        self.ingresses: list[Member] = []

    @property
    def members(self) -> list[Member]:
        return [*self.ingresses, *self.workers]

    @property
    def urls(self) -> list[str]:
        return [str(member.where["url"]) for member in self.ingresses if member.where]

    async def start(self) -> None:
        self.endpoint = await self.nats.start()
        self.ingresses = [
            self._member(f"ingress-{n}", "ingress") for n in range(self.layout.ingresses)
        ]
        self.workers = [self._member(f"worker-{n}", "worker") for n in range(self.layout.workers)]
        # One first: it makes the streams that the others wait for.
        await self.workers[0].start()
        await asyncio.gather(*(m.start() for m in self.members if m is not self.workers[0]))

    def _member(self, name: str, roles: str) -> Member:
        assert self.endpoint is not None
        login = f"{self.endpoint.user}:{self.endpoint.password}"
        address = self.endpoint.url.replace("nats://", f"nats://{login}@")
        bundle = self.layout.bundle
        command = [sys.executable, "-m", "app.cli.main", "start", "--json"]
        command += [] if bundle is None else [str(bundle)]
        command += ["--port", "0", "--admin", "127.0.0.1:0", "--roles", roles]
        command += ["--nats-url", address, "--data", str(self.folder / f"{name}-data")]
        clean = {k: v for k, v in os.environ.items() if not k.startswith("GREENTIC_")}
        clean |= {"GREENTIC_LOG_FORMAT": "json", "GREENTIC_SECRET_KEY": SEALING_KEY}
        return Member(
            name, command, self.folder / f"{name}.log", clean | dict(self.layout.environment)
        )

    async def kill_nats(self) -> None:
        """SIGKILL the server; it stays dead until `revive_nats`."""
        self.nats_kills += 1
        await self.nats.kill()

    async def revive_nats(self) -> float:
        """Start it on its old port and store; gives the seconds until JetStream answered."""
        began = time.monotonic()
        await self.nats.start()
        return time.monotonic() - began

    async def wait_ready(self) -> None:
        """Wait until every member is up."""
        async with asyncio.timeout(READY_SECONDS_MAX):
            await asyncio.gather(*(member.is_ready.wait() for member in self.members))

    async def stop(self) -> None:
        await asyncio.gather(*(member.stop() for member in self.members))
        await self.nats.stop()


@contextlib.asynccontextmanager
async def running_outside(folder: Path) -> AsyncIterator[Outside]:
    """Run the recorder."""
    book = folder / "book.jsonl"
    command = [sys.executable, "-m", "tests.faults.recorder", str(book)]
    with (folder / "recorder.log").open("ab") as errors:
        process = await asyncio.create_subprocess_exec(
            *command, cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=errors
        )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(READY_SECONDS_MAX):
            where = json.loads(await process.stdout.readline())
        yield Outside(process, where["port"], where["hosts"], where["smtp_port"], book)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


@contextlib.asynccontextmanager
async def running_cluster(folder: Path, layout: Layout) -> AsyncIterator[Cluster]:
    """Run a cluster; all of it is ended at the end, whatever happened."""
    cluster = Cluster(folder, layout)
    try:
        await cluster.start()
        yield cluster
    finally:
        await cluster.stop()

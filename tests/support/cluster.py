"""Three real nats-servers with a common JetStream, each in a network namespace of its own.

In: a folder. Out: a `NatsCluster` whose nodes can be killed, started again and cut off. Refuses,
with the reason that a test is skipped for, where namespaces are not allowed.

Every node has two links into a namespace that is the switch: ``clients`` (the tests reach it by one
veth pair) and ``routes``, where the servers talk to each other. Taking both down is a machine that
is gone from the network; taking ``routes`` down alone is the worse case, a server that clients
reach and that has no quorum any more. Names carry the pid of the tests, so that whoever comes later
can clear away what a killed run left behind. Nothing outside these namespaces is changed but that
one veth pair; addresses are of 198.18.0.0/15, which is set aside for tests (RFC 2544).
"""

import asyncio
import contextlib
import functools
import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from app.bus import server_exec
from app.bus.server_folder import STORE_RESERVATION_BYTES, Endpoint
from app.bus.server_process import find_binary, is_answering

NODES: Final = ("n1", "n2", "n3")
READY_SECONDS: Final = 40.0
POLL_SECONDS: Final = 0.05
LOOK_SECONDS: Final = 0.25
HEALTHY_LOOKS: Final = 4
"""A node that comes back says that it is current before it knows what it has missed."""
PREFIX: Final = "gtnc"
CLIENT_PORT: Final = 4222
ROUTE_PORT: Final = 6222
MONITOR_PORT: Final = 8222
NETWORKS: Final = 256
ROUTES_NETWORK: Final = "198.19.0"
"""The same for all: nobody outside of a cluster's namespaces sees it."""
CLIENTS: Final = "clients"
ROUTES: Final = "routes"
LINKS: Final = (CLIENTS, ROUTES)

_LEFT_BEHIND = re.compile(rf"{PREFIX}-(\d+)-\d+-\w+")


def ip(*arguments: str) -> str:
    """Run iproute2; CalledProcessError with what it said."""
    program = shutil.which("ip") or "ip"
    done = subprocess.run([program, *arguments], check=True, capture_output=True, text=True)
    return done.stdout


@functools.cache
def why_not() -> str | None:
    """Say why there can be no cluster here; None where there can."""
    if sys.platform != "linux" or shutil.which("ip") is None:
        return "network namespaces need Linux and iproute2"
    trial = f"{PREFIX}-{os.getpid()}-0-trial"
    try:
        ip("netns", "add", trial)
        ip("-n", trial, "link", "add", "name", "one", "type", "veth", "peer", "name", "two")
        ip("netns", "exec", trial, "true")
    except (OSError, subprocess.CalledProcessError) as error:
        said = getattr(error, "stderr", None) or error
        return f"network namespaces are not allowed here: {str(said).strip()}"
    finally:
        with contextlib.suppress(OSError, subprocess.CalledProcessError):
            ip("netns", "delete", trial)
    return None


@dataclass
class Node:
    """One server in its namespace."""

    name: str
    namespace: str
    address: str
    route_address: str
    folder: Path
    process: "subprocess.Popen[bytes] | None" = None
    kills: int = 0
    down: set[str] = field(default_factory=set)
    """The links that are down."""

    @property
    def is_up(self) -> bool:
        """Whether the process runs; it may be cut off."""
        return self.process is not None and self.process.poll() is None

    @property
    def url(self) -> str:
        return f"nats://{self.address}:{CLIENT_PORT}"

    def log_tail(self) -> str:
        with contextlib.suppress(OSError):
            return (self.folder / "server.log").read_text(errors="replace")[-2000:]
        return ""


class NatsCluster:
    """The nodes, the switch between them, and one login for all. Use `running_cluster_of_nats`."""

    _made = 0

    def __init__(self, folder: Path) -> None:
        sweep()
        NatsCluster._made += 1
        self._tag = f"{PREFIX}-{os.getpid()}-{NatsCluster._made}"
        self._switch = f"{self._tag}-switch"
        self._veth = f"gt{os.getpid():x}n{NatsCluster._made:x}"
        self.user, self.password = "greentic", secrets.token_urlsafe(16)
        network = _free_network()
        self._gateway = f"{network}.254"
        self.nodes = {
            name: Node(
                name=name,
                namespace=f"{self._tag}-{name}",
                address=f"{network}.{number}",
                route_address=f"{ROUTES_NETWORK}.{number}",
                folder=folder / name,
            )
            for number, name in enumerate(NODES, start=1)
        }

    # ── Where it is ──────────────────────────────────────────────────────────────────────────

    @property
    def url(self) -> str:
        """All servers, comma-separated, without the login."""
        return ",".join(node.url for node in self.nodes.values())

    @property
    def endpoint(self) -> Endpoint:
        """All servers as one endpoint."""
        return Endpoint(self.url, self.user, self.password)

    def endpoint_of(self, *names: str) -> Endpoint:
        """Only these servers, the first one first."""
        return Endpoint(",".join(self.nodes[name].url for name in names), self.user, self.password)

    # ── Start and end ────────────────────────────────────────────────────────────────────────

    def start_blocking(self) -> None:
        """Make namespaces and links, start the servers, wait until JetStream is there."""
        self._wire()
        for node in self.nodes.values():
            node.folder.mkdir(parents=True, exist_ok=True)
            (node.folder / "nats.conf").write_text(self._config(node))
            self.spawn(node.name)
        deadline = time.monotonic() + READY_SECONDS
        while not self.is_healthy():
            if time.monotonic() > deadline:
                tails = "\n".join(node.log_tail() for node in self.nodes.values())
                raise AssertionError(f"the cluster is not ready:\n{tails}")
            time.sleep(POLL_SECONDS)

    def stop_blocking(self) -> None:
        """End what was started by its pid and take away what was made by its name."""
        for node in self.nodes.values():
            if node.process is not None:
                node.process.kill()
                node.process.wait()
        for namespace in (self._switch, *(node.namespace for node in self.nodes.values())):
            with contextlib.suppress(subprocess.CalledProcessError):
                ip("netns", "delete", namespace)
        with contextlib.suppress(subprocess.CalledProcessError):
            ip("link", "delete", self._veth)  # its other end may have taken it along already

    def _wire(self) -> None:
        switch = self._switch
        ip("netns", "add", switch)
        for bridge in LINKS:
            ip("-n", switch, "link", "add", "name", bridge, "type", "bridge")
            ip("-n", switch, "link", "set", bridge, "up")
        ip(
            "link",
            "add",
            "name",
            self._veth,
            "type",
            "veth",
            "peer",
            "name",
            "tests",
            "netns",
            switch,
        )
        ip("addr", "add", f"{self._gateway}/24", "dev", self._veth)
        ip("link", "set", self._veth, "up")
        ip("-n", switch, "link", "set", "tests", "master", "clients", "up")
        for node in self.nodes.values():
            ip("netns", "add", node.namespace)
            ip("-n", node.namespace, "link", "set", "lo", "up")
            for link, address in zip(LINKS, (node.address, node.route_address), strict=True):
                port = _port(node, link)
                pair = (
                    "link",
                    "add",
                    "name",
                    link,
                    "type",
                    "veth",
                    "peer",
                    "name",
                    port,
                    "netns",
                    switch,
                )
                ip("-n", node.namespace, *pair)
                ip("-n", node.namespace, "addr", "add", f"{address}/24", "dev", link)
                ip("-n", node.namespace, "link", "set", link, "up")
                ip("-n", switch, "link", "set", port, "master", link, "up")

    def _config(self, node: Node) -> str:
        routes = ", ".join(
            f'"nats://{other.route_address}:{ROUTE_PORT}"' for other in self.nodes.values()
        )
        return (
            f'server_name: "{node.name}"\n'
            f'listen: "{node.address}:{CLIENT_PORT}"\n'
            f'http: "{node.address}:{MONITOR_PORT}"\n'
            f'log_file: "{node.folder / "server.log"}"\n'
            f'authorization {{ user: "{self.user}", password: "{self.password}" }}\n'
            f'jetstream {{ store_dir: "{node.folder / "store"}",'
            f" max_file_store: {STORE_RESERVATION_BYTES} }}\n"
            f'cluster {{ name: "{self._tag}", listen: "{node.route_address}:{ROUTE_PORT}",'
            f" routes: [{routes}] }}\n"
        )

    # ── Faults ───────────────────────────────────────────────────────────────────────────────

    def spawn(self, name: str) -> None:
        """Start a server on its old store, without waiting. It dies with the tests."""
        node = self.nodes[name]
        assert not node.is_up, f"{name} runs"
        launcher = str(Path(server_exec.__file__))
        inside = [sys.executable, "-I", "-S", launcher, str(os.getpid()), str(find_binary())]
        command = ["ip", "netns", "exec", node.namespace, *inside]
        with (node.folder / "output").open("wb") as output:
            node.process = subprocess.Popen(
                [*command, "-c", str(node.folder / "nats.conf")],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def kill(self, name: str) -> None:
        """SIGKILL; the store stays."""
        node = self.nodes[name]
        assert node.process is not None
        node.kills += 1
        node.process.kill()
        node.process.wait()

    def cut(self, name: str, *links: str) -> None:
        """Take a node's links down: both of them, or those that are named."""
        node = self.nodes[name]
        for link in links or LINKS:
            ip("-n", self._switch, "link", "set", _port(node, link), "down")
            node.down.add(link)

    def heal(self, name: str) -> None:
        """Put a node's links up again."""
        node = self.nodes[name]
        for link in sorted(node.down):
            ip("-n", self._switch, "link", "set", _port(node, link), "up")
        node.down.clear()

    # ── Looking at it ────────────────────────────────────────────────────────────────────────

    def is_healthy(self) -> bool:
        """Whether every node says that all it has of streams and consumers is current."""
        with httpx.Client(timeout=2, trust_env=False) as client:
            return all(_is_current(client, node) for node in self.nodes.values())

    async def wait_healthy(self, seconds: float = READY_SECONDS) -> float:
        """Wait until all nodes are current and stay so; gives the seconds it took."""
        began, looks = time.monotonic(), 0
        async with asyncio.timeout(seconds):
            while looks < HEALTHY_LOOKS:
                looks = looks + 1 if await asyncio.to_thread(self.is_healthy) else 0
                await asyncio.sleep(LOOK_SECONDS)
        return time.monotonic() - began

    async def leader_of(self, stream: str, consumer: str | None = None) -> str | None:
        """Name the node that leads a stream, or a consumer of it; None while nobody does."""
        for detail in await self._details(stream):
            for one in (detail, *(detail.get("consumer_detail") or ())):
                leader = (one.get("cluster") or {}).get("leader")
                if one["name"] == (consumer or stream) and leader:
                    return str(leader)
        return None

    async def last_sequence(self, stream: str) -> int | None:
        """Give the highest sequence that any node that can be asked has in a stream."""
        found = [detail["state"]["last_seq"] for detail in await self._details(stream)]
        return max(found, default=None)

    async def has_client(self, name: str, client_name: str) -> bool:
        """Whether a client of this name is connected to a node."""
        document = await self._ask(name, "connz?limit=1000")
        return any(one.get("name") == client_name for one in document.get("connections", ()))

    async def _details(self, stream: str) -> list[dict[str, Any]]:
        """Give what each node that has a quorum says of a stream."""
        names = [name for name, node in self.nodes.items() if node.is_up and not node.down]
        answers = [await self._ask(name, "jsz?streams=1&consumers=1&config=0") for name in names]
        return [
            detail
            for document in answers
            for account in document.get("account_details") or ()
            for detail in account.get("stream_detail") or ()
            if detail["name"] == stream
        ]

    async def _ask(self, name: str, what: str) -> dict[str, Any]:
        """Ask a node's monitor; nothing where it does not answer."""
        url = f"http://{self.nodes[name].address}:{MONITOR_PORT}/{what}"
        with contextlib.suppress(httpx.HTTPError, ValueError):
            async with httpx.AsyncClient(timeout=2, trust_env=False) as client:
                document: dict[str, Any] = (await client.get(url)).raise_for_status().json()
                return document
        return {}

    def server_of(self, client_url: str) -> str | None:
        """Name the node at a url."""
        for name, node in self.nodes.items():
            if f"{node.address}:" in client_url:
                return name
        return None

    async def is_answering(self, name: str) -> bool:
        """Whether a node's JetStream answers its own clients."""
        return await is_answering(self.endpoint_of(name))


def _is_current(client: httpx.Client, node: Node) -> bool:
    try:
        answer = client.get(f"http://{node.address}:{MONITOR_PORT}/healthz")
    except httpx.HTTPError:
        return False
    return answer.is_success and json.loads(answer.content).get("status") == "ok"


def _port(node: Node, link: str) -> str:
    return f"{node.name}-{link}"


def _free_network() -> str:
    """Choose a network of 256 addresses, as all but their last number."""
    taken = ip("-o", "-4", "addr")
    for attempt in range(NETWORKS):
        network = f"198.18.{(os.getpid() + attempt) % NETWORKS}"
        if f" {network}." not in taken:
            return network
    raise AssertionError("no network is free")


def sweep() -> None:
    """Take away the namespaces of tests whose process is gone."""
    for line in ip("netns", "list").splitlines():
        found = _LEFT_BEHIND.match(line)
        if found and not Path(f"/proc/{found[1]}").exists():
            with contextlib.suppress(subprocess.CalledProcessError):
                ip("netns", "delete", found[0])


@contextlib.contextmanager
def a_nats_cluster(folder: Path) -> Iterator[NatsCluster]:
    """Run a cluster; skips the test, with the reason, where there can be none."""
    reason = why_not()
    if reason is not None:
        pytest.skip(reason)
    cluster = NatsCluster(folder)
    try:
        cluster.start_blocking()
        yield cluster
    finally:
        cluster.stop_blocking()


@contextlib.asynccontextmanager
async def cut_off(cluster: NatsCluster, name: str, *links: str) -> AsyncIterator[None]:
    """Cut a node off for the body."""
    cluster.cut(name, *links)
    try:
        yield
    finally:
        cluster.heal(name)

"""Real nats-servers for tests, on free loopback ports.

``nats_server``: one per test process (so one per xdist worker), shared by all its tests.
``fresh_env``: an env token no other test has, so that tests share a server without meeting.
``killable_server``: one of the test's own, to be killed and started again on its port and store.
"""

import asyncio
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from app.bus.server_folder import Endpoint, ServerFolder
from app.bus.server_process import RunningServer, ServerSettings, launch, spawn, wait_ready

READY_SECONDS = 30.0


class KillableServer:
    """A nats-server that a test may kill, stop and start again; port and store stay."""

    def __init__(self, data_dir: Path) -> None:
        self.folder = ServerFolder(data_dir)
        self.folder.prepare()
        self._server: RunningServer | None = None

    @property
    def endpoint(self) -> Endpoint:
        """Url, user and password; the same after every restart."""
        endpoint = self.folder.read_endpoint()
        assert endpoint is not None, "the server was never started"
        return endpoint

    async def start(self) -> Endpoint:
        """Start it and wait until JetStream answers."""
        self._server = await launch(self.folder, ServerSettings())
        return self._server.endpoint

    def start_blocking(self) -> Endpoint:
        """Start it from a fixture, whether or not a loop runs: the waiting has its own thread."""
        self._server = spawn(self.folder, ServerSettings())
        with ThreadPoolExecutor(1) as thread:
            is_ready = thread.submit(asyncio.run, wait_ready(self._server, READY_SECONDS)).result()
        assert is_ready, self.folder.log_tail()
        return self._server.endpoint

    async def kill(self) -> None:
        """End it with SIGKILL, as a crash would."""
        self.kill_blocking()

    def kill_blocking(self) -> None:
        """End it with SIGKILL; it may be dead already."""
        if self._server is not None:
            self._server.kill()

    async def stop(self) -> None:
        """End it with SIGTERM, and with SIGKILL if it dawdles."""
        if self._server is not None:
            await self._server.stop(2)

    async def restart(self) -> Endpoint:
        """Kill it and start it again on the same port and store."""
        await self.kill()
        return await self.start()


@pytest.fixture(scope="session")
def nats_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    """Give the endpoint of this test process's server."""
    server = KillableServer(tmp_path_factory.mktemp("nats"))
    yield server.start_blocking()
    server.kill_blocking()


@pytest.fixture
def killable_server(tmp_path: Path) -> Iterator[KillableServer]:
    """Give a running server of the test's own."""
    server = KillableServer(tmp_path / "killable-nats")
    server.start_blocking()
    yield server
    server.kill_blocking()


@pytest.fixture
def fresh_env() -> str:
    """Give an env token that occurs in no other test."""
    return f"t{uuid.uuid4().hex[:16]}"

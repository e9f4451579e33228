"""Real nats-servers for tests, on free loopback ports.

``nats_server``: one per test process (so one per xdist worker), shared by all its tests.
``fresh_env``: an env token no other test has, so that tests share a server without meeting.
``killable_server``: one of the test's own, to be killed and started again on its port and store.
"""

import asyncio
import signal
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.bus.server_folder import Endpoint, ServerFolder
from app.bus.server_process import RunningServer, ServerSettings, launch


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
        self._server = await launch(self.folder, ServerSettings(stop_seconds=2))
        return self._server.endpoint

    async def kill(self) -> None:
        """End it with SIGKILL, as a crash would."""
        assert self._server is not None
        self._server.send_signal(signal.SIGKILL)
        await self._server.wait_ended()

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
    yield asyncio.run(server.start())
    asyncio.run(server.stop())


@pytest.fixture
def killable_server(tmp_path: Path) -> Iterator[KillableServer]:
    """Give a running server of the test's own."""
    server = KillableServer(tmp_path / "killable-nats")
    asyncio.run(server.start())
    yield server
    asyncio.run(server.stop())


@pytest.fixture
def fresh_env() -> str:
    """Give an env token that occurs in no other test."""
    return f"t{uuid.uuid4().hex[:16]}"

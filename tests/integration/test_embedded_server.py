"""The embedded nats-server is started, watched, adopted and stopped, for real."""

import asyncio
import json
import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import nats
import pytest
from nats.aio.client import Client

from app.bus.server import (
    RESTARTS_MAX,
    EmbeddedServer,
    ServerDied,
    ServerGivenUp,
    ServerRestarted,
)
from app.bus.server_folder import Endpoint, ServerFolder, new_endpoint
from app.bus.server_process import ServerSettings, is_answering, launch
from app.errors import BusError
from tests.support.nats_server import KillableServer

WAIT_SECONDS = 20.0


class Heard:
    """An observer that a test can wait on."""

    def __init__(self) -> None:
        self.observations: list[object] = []
        self._arrived = asyncio.Event()

    def observe(self, observation: object) -> None:
        self.observations.append(observation)
        self._arrived.set()

    async def wait_for(self, kind: type, count: int = 1) -> None:
        async with asyncio.timeout(WAIT_SECONDS):
            while sum(isinstance(item, kind) for item in self.observations) < count:
                self._arrived.clear()
                await self._arrived.wait()


Started = Callable[..., Awaitable[EmbeddedServer]]


@pytest.fixture
async def started(tmp_path: Path) -> AsyncIterator[Started]:
    servers: list[EmbeddedServer] = []

    async def start(
        data_dir: Path = tmp_path / "data",
        settings: ServerSettings | None = None,
        observer: Heard | None = None,
    ) -> EmbeddedServer:
        server = EmbeddedServer(data_dir, settings, observer=observer)
        servers.append(server)
        await server.start()
        return server

    yield start
    for server in servers:
        await server.stop()


async def connect(endpoint: Endpoint) -> Client:
    return await nats.connect(
        endpoint.url, user=endpoint.user, password=endpoint.password, allow_reconnect=False
    )


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def is_running(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        return sys.platform != "linux"
    return status.rpartition(")")[2].split()[0] != "Z"


async def wait_gone(pid: int) -> None:
    async with asyncio.timeout(WAIT_SECONDS):
        while is_running(pid):
            await asyncio.sleep(0.02)


# ── Starting ─────────────────────────────────────────────────────────────────────────────────


async def test_started_server_answers_only_to_its_credentials(started: Started) -> None:
    endpoint = (await started()).endpoint
    assert await is_answering(endpoint)
    stranger = Endpoint(endpoint.url, endpoint.user, "guess", endpoint.pid)
    assert not await is_answering(stranger)


async def test_server_listens_on_loopback_only(started: Started) -> None:
    endpoint = (await started()).endpoint
    assert endpoint.url.startswith("nats://127.0.0.1:")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as route:
        try:
            route.connect(("192.0.2.1", 9))  # sends nothing; tells our own address
        except OSError:
            pytest.skip("this machine has no other address")
        address = route.getsockname()[0]
    if address.startswith("127."):
        pytest.skip("this machine has no other address")
    with socket.socket() as probe:
        assert probe.connect_ex((address, endpoint.port)) != 0


async def test_nats_json_tells_local_clients_where_to_connect(
    started: Started, tmp_path: Path
) -> None:
    endpoint = (await started()).endpoint
    document = json.loads((tmp_path / "data" / "nats.json").read_text())
    assert document == {
        "url": endpoint.url,
        "user": endpoint.user,
        "password": endpoint.password,
        "pid": endpoint.pid,
    }
    client = await nats.connect(
        document["url"], user=document["user"], password=document["password"]
    )
    await client.close()


async def test_folders_and_files_are_private(started: Started, tmp_path: Path) -> None:
    client = await connect((await started()).endpoint)
    await client.jetstream().add_stream(name="S", subjects=["s"])
    await client.jetstream().publish("s", b"secret")
    await client.close()
    paths = [tmp_path / "data", *(tmp_path / "data").rglob("*")]
    assert len(paths) > 8
    assert {mode_of(path) for path in paths if path.is_dir()} == {0o700}
    assert {mode_of(path) for path in paths if path.is_file()} == {0o600}


async def test_password_is_in_no_representation(started: Started) -> None:
    server = await started()
    assert server.endpoint.password not in repr(server.endpoint)
    assert len(server.endpoint.password) >= 32


async def test_server_takes_messages_up_to_one_mebibyte(started: Started) -> None:
    client = await connect((await started()).endpoint)
    assert client.max_payload == 1024 * 1024
    await client.close()


async def test_folder_name_with_quotes_and_umlauts(started: Started, tmp_path: Path) -> None:
    server = await started(tmp_path / 'Jürgen\'s "data" $HOME {x} # y')
    assert await is_answering(server.endpoint)
    assert (ServerFolder(tmp_path / 'Jürgen\'s "data" $HOME {x} # y').store_dir).is_dir()


async def test_sync_interval_reaches_the_server(started: Started) -> None:
    server = await started(settings=ServerSettings(sync_interval="always"))
    assert await is_answering(server.endpoint)


@pytest.mark.parametrize("interval", ["0", "2", "2m\n}", "fast", "", "-1s"])
def test_wrong_sync_interval_is_refused(interval: str) -> None:
    with pytest.raises(BusError, match="sync_interval"):
        ServerSettings(sync_interval=interval)


async def test_server_that_cannot_start_shows_its_log(tmp_path: Path) -> None:
    folder = ServerFolder(tmp_path)
    folder.prepare()
    folder.store_dir.rmdir()
    folder.store_dir.write_text("in the way of the store")
    server = EmbeddedServer(tmp_path)
    with pytest.raises(BusError, match="cannot use the data folder"):
        await server.start()
    folder.store_dir.unlink()
    folder.store_dir.mkdir()
    (folder.store_dir / "jetstream").write_text("in the way of the store")
    with pytest.raises(BusError, match="storage directory is not a directory"):
        await server.start()
    (folder.store_dir / "jetstream").unlink()
    await server.start()
    await server.stop()


async def test_start_outside_the_main_thread_is_refused(tmp_path: Path) -> None:
    server = EmbeddedServer(tmp_path)
    with pytest.raises(BusError, match="main thread"):
        await asyncio.to_thread(asyncio.run, server.start())


async def test_unstarted_server_has_no_endpoint_and_stops_quietly(tmp_path: Path) -> None:
    server = EmbeddedServer(tmp_path)
    await server.stop()
    with pytest.raises(BusError, match="not started"):
        _ = server.endpoint
    with pytest.raises(BusError, match="not started"):
        await server.wait_given_up()


async def test_absent_binary_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("app.bus.server_process.DISTRIBUTION", "no-such-distribution")
    monkeypatch.setattr("sys.executable", str(tmp_path / "bin" / "python"))
    with pytest.raises(BusError, match="install the package"):
        await EmbeddedServer(tmp_path).start()


# ── Once more ────────────────────────────────────────────────────────────────────────────────


async def test_stop_and_start_keep_messages_port_and_credentials(
    started: Started, tmp_path: Path
) -> None:
    first = await started()
    before = first.endpoint
    client = await connect(before)
    await client.jetstream().add_stream(name="S", subjects=["s"])
    await client.jetstream().publish("s", b"kept")
    await client.close()
    await first.stop()
    assert json.loads((tmp_path / "data" / "nats.json").read_text())["pid"] is None
    after = (await started()).endpoint
    assert (after.url, after.user, after.password) == (before.url, before.user, before.password)
    client = await connect(after)
    assert (await client.jetstream().get_msg("S", 1)).data == b"kept"
    await client.close()


async def test_taken_port_is_replaced(started: Started) -> None:
    first = await started()
    before = first.endpoint
    await first.stop()
    with socket.socket() as squatter:
        squatter.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        squatter.bind(("127.0.0.1", before.port))
        squatter.listen()
        after = (await started()).endpoint
    assert after.port != before.port
    assert after.password == before.password


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"url": "nats://203.0.113.5:1"}', "\x00"])
async def test_unreadable_nats_json_is_replaced(
    started: Started, tmp_path: Path, text: str
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "nats.json").write_text(text)
    assert await is_answering((await started()).endpoint)


async def test_address_elsewhere_in_nats_json_is_never_contacted(
    started: Started, tmp_path: Path
) -> None:
    (tmp_path / "data").mkdir()
    planted = {"url": "nats://203.0.113.5:4222", "user": "u", "password": "p", "pid": 1}
    (tmp_path / "data" / "nats.json").write_text(json.dumps(planted))
    assert (await started()).endpoint.password != "p"


async def test_second_start_on_a_folder_is_refused(started: Started, tmp_path: Path) -> None:
    first = await started()
    with pytest.raises(BusError, match="another running program uses the data folder"):
        await started()
    assert await is_answering(first.endpoint)
    with pytest.raises(BusError, match="already started"):
        await first.start()
    assert await is_answering(first.endpoint)


async def test_two_starts_at_once_make_one_server(tmp_path: Path) -> None:
    servers = [EmbeddedServer(tmp_path) for _ in range(4)]
    outcomes = await asyncio.gather(*(server.start() for server in servers), return_exceptions=True)
    assert sum(isinstance(outcome, Endpoint) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, BusError) for outcome in outcomes) == 3
    for server in servers:
        await server.stop()


# ── Dying ────────────────────────────────────────────────────────────────────────────────────

PARENT = """
import asyncio, sys
from pathlib import Path
from app.bus.server import EmbeddedServer
from app.bus.server_process import ServerSettings
async def main():
    server = EmbeddedServer(Path(sys.argv[1]), ServerSettings(die_with_parent=sys.argv[2] == "1"))
    print((await server.start()).pid, flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""


async def start_and_kill_parent(data_dir: Path, *, die_with_parent: bool) -> int:
    """Run a program that starts a server there, kill it with SIGKILL, give the server's pid."""
    program = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PARENT, str(data_dir), str(int(die_with_parent))),
        stdout=subprocess.PIPE,
    )
    assert program.stdout is not None
    pid = int(await asyncio.wait_for(program.stdout.readline(), WAIT_SECONDS))
    program.kill()
    await program.wait()
    return pid


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can bind a child's life to ours")
async def test_killed_program_leaves_no_server_behind(started: Started, tmp_path: Path) -> None:
    pid = await start_and_kill_parent(tmp_path / "data", die_with_parent=True)
    await wait_gone(pid)
    assert not (await started()).is_adopted


async def test_next_start_adopts_an_orphaned_server(started: Started, tmp_path: Path) -> None:
    pid = await start_and_kill_parent(tmp_path / "data", die_with_parent=False)
    server = await started()
    assert server.is_adopted
    assert server.endpoint.pid == pid
    assert await is_answering(server.endpoint)
    await server.stop()
    await wait_gone(pid)


async def test_adopted_server_is_watched_too(started: Started, tmp_path: Path) -> None:
    pid = await start_and_kill_parent(tmp_path / "data", die_with_parent=False)
    heard = Heard()
    server = await started(observer=heard)
    os.kill(pid, signal.SIGKILL)
    await heard.wait_for(ServerRestarted)
    assert not server.is_adopted
    assert server.endpoint.pid != pid


async def test_server_with_the_store_but_other_credentials_is_named(tmp_path: Path) -> None:
    pid = await start_and_kill_parent(tmp_path, die_with_parent=False)
    try:
        (tmp_path / "nats.json").unlink()
        with pytest.raises(BusError, match="does not answer to the credentials"):
            await EmbeddedServer(tmp_path, ServerSettings(ready_seconds=0.1)).start()
    finally:
        os.kill(pid, signal.SIGKILL)


async def test_killed_server_comes_back_on_its_port_and_store(started: Started) -> None:
    heard = Heard()
    server = await started(observer=heard)
    before = server.endpoint
    client = await connect(before)
    await client.jetstream().add_stream(name="S", subjects=["s"])
    for number in range(50):
        await client.jetstream().publish("s", str(number).encode())
    await client.close()
    os.kill(before.pid, signal.SIGKILL)
    await heard.wait_for(ServerRestarted)
    assert heard.observations[0] == ServerDied(before.pid, RESTARTS_MAX - 1)
    assert server.endpoint.url == before.url
    client = await connect(server.endpoint)
    assert (await client.jetstream().stream_info("S")).state.messages == 50
    await client.close()


async def test_server_that_cannot_come_back_is_given_up(
    started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.bus.server.BACKOFF_MAX_SECONDS", 0.0)
    heard = Heard()
    server = await started(observer=heard)
    monkeypatch.setattr("app.bus.server_process.DISTRIBUTION", "no-such-distribution")
    monkeypatch.setattr("sys.executable", "/nowhere/python")
    os.kill(server.endpoint.pid, signal.SIGKILL)
    async with asyncio.timeout(WAIT_SECONDS):
        reason = await server.wait_given_up()
    assert "install the package" in str(reason)
    assert heard.observations[0] == ServerDied(server.endpoint.pid, RESTARTS_MAX - 1)
    assert heard.observations[-1] == ServerGivenUp(str(reason))


async def test_restart_never_moves_to_another_port(tmp_path: Path) -> None:
    with socket.socket() as squatter:
        squatter.bind(("127.0.0.1", 0))
        squatter.listen()
        folder = ServerFolder(tmp_path)
        folder.prepare()
        folder.write_endpoint(new_endpoint(squatter.getsockname()[1]))
        with pytest.raises(BusError, match="somebody else listens"):
            await launch(folder, ServerSettings(), keep_port=True)


async def test_server_deaf_to_sigterm_is_killed(tmp_path: Path) -> None:
    server = EmbeddedServer(tmp_path, ServerSettings(stop_seconds=0.2))
    pid = (await server.start()).pid
    os.kill(pid, signal.SIGSTOP)
    await server.stop()
    assert not is_running(pid)


async def test_start_cancelled_half_way_leaves_nothing_behind(tmp_path: Path) -> None:
    server = EmbeddedServer(tmp_path)
    starting = asyncio.create_task(server.start())
    folder = ServerFolder(tmp_path)
    while (endpoint := folder.read_endpoint()) is None:
        await asyncio.sleep(0)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert not is_running(endpoint.pid)
    await server.start()
    await server.stop()


async def test_killable_server_keeps_port_and_store(killable_server: KillableServer) -> None:
    before = killable_server.endpoint
    client = await connect(before)
    await client.jetstream().add_stream(name="S", subjects=["s"])
    await client.jetstream().publish("s", b"kept")
    await client.close()
    after = await killable_server.restart()
    assert (after.url, after.password) == (before.url, before.password)
    assert after.pid != before.pid
    client = await connect(after)
    assert (await client.jetstream().get_msg("S", 1)).data == b"kept"
    await client.close()

"""Signed accounts and logins in a cluster of real servers, configured from ``deploy/nats``."""

import asyncio
import contextlib
import json
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import nats
import nats.errors
import pytest
from nats.aio.client import Client, RawCredentials
from nats.aio.msg import Msg

from app.accounts.claims import login_credentials, our_credentials, server_text
from app.accounts.grants import TenantAccount
from app.accounts.login import BusLogin, UserKey, new_user_key
from app.accounts.resolver import ResolvedAccounts, ResolverDoor
from app.accounts.signing import Operator, new_operator_seed
from app.bus.admin import JetStreamAdmin
from app.bus.bus_accounts import PLATFORM_ACCOUNT, SYSTEM_ACCOUNT
from app.bus.connection import Bus, BusSettings
from app.bus.login_trial import takes_login
from app.bus.server_process import find_binary
from app.cli.exit_codes import FAILED, OK
from app.cli.main import run
from app.control.credentials import ensure_credential_buckets
from app.control.limits import StreamLimits
from app.control.streams import events_spec
from app.errors import StoreError
from tests.support.bus import DeafObserver
from tests.support.bus_doors import an_event, answer_of

pytestmark = pytest.mark.server
DEPLOY = Path(__file__).parents[2] / "deploy" / "nats"


class Cluster:
    """Three servers configured from ``deploy/nats``, and the operator they trust."""

    def __init__(self, folder: Path) -> None:
        self.seed = new_operator_seed()
        self.operator = Operator(self.seed)
        ports = _free_ports(6)
        self.urls = [f"nats://127.0.0.1:{port}" for port in ports[:3]]
        self._route_ports = ports[3:]
        self._folder = folder
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        routes = json.dumps([f"nats://127.0.0.1:{port}" for port in self._route_ports])
        for number, url in enumerate(self.urls):
            folder = self._folder / str(number)
            folder.mkdir()
            for file in DEPLOY.glob("*.conf"):
                (folder / file.name).write_text(file.read_text())
            trust = server_text(self.operator, str(folder / "accounts"))
            (folder / "trust.conf").write_text(trust)
            # TLS is by file, and tests have no certificates; everything else is as deployed.
            (folder / "tls.conf").write_text("")
            (folder / "tls-routes.conf").write_text("")
            environment = {
                "NATS_SERVER_NAME": f"server-{number}",
                "NATS_LISTEN": url.removeprefix("nats://"),
                "NATS_CLUSTER_LISTEN": f"127.0.0.1:{self._route_ports[number]}",
                "NATS_ROUTES": routes,
                "NATS_STORE_DIR": str(folder / "store"),
                "NATS_MAX_FILE_STORE": "1TB",
                "NATS_MONITOR": "127.0.0.1:-1",
            }
            command = [str(find_binary()), "-c", str(folder / "cluster.conf")]
            with (folder / "log").open("wb") as log:
                self._processes.append(
                    subprocess.Popen(command, stdout=log, stderr=log, env=environment)
                )

    def stop(self) -> None:
        for process in self._processes:
            process.kill()
            process.wait()


class Server:
    """The cluster as one test sees it: an env of its own."""

    def __init__(self, cluster: Cluster, env: str) -> None:
        self.env = env
        self.seed, self.operator, self.urls = cluster.seed, cluster.operator, cluster.urls
        self.url = cluster.urls[0]
        self.settings = BusSettings(self.url, credentials=self.credentials(PLATFORM_ACCOUNT))
        system = BusSettings(self.url, credentials=self.credentials(SYSTEM_ACCOUNT))
        self.accounts = ResolvedAccounts(self.operator, ResolverDoor(system, DeafObserver()))

    def credentials(self, account: str) -> str:
        return our_credentials(self.operator, account, new_user_key())


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        found = [stack.enter_context(socket.socket()) for _ in range(count)]
        for free in found:
            free.bind(("127.0.0.1", 0))
        return [int(free.getsockname()[1]) for free in found]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path_factory.mktemp("resolved"))
    cluster.start()
    yield cluster
    cluster.stop()


@pytest.fixture
async def server(cluster: Cluster, fresh_env: str) -> Server:
    server = Server(cluster, fresh_env)
    bus = await Bus.connect(server.settings, DeafObserver(), deadline_seconds=20)
    admin = JetStreamAdmin(bus)
    for tenant in ("acme", "bolt"):
        await admin.ensure_stream(events_spec(fresh_env, tenant, StreamLimits(replicas=3)))
    await ensure_credential_buckets(bus, fresh_env)
    await bus.drain_and_close(1)
    return server


def a_login(tenant: str, key: UserKey, *, seconds: int | None = None) -> BusLogin:
    now_ms = int(time.time() * 1000)
    expires_ms = None if seconds is None else now_ms + seconds * 1000
    return BusLogin("abcdefgh", tenant, "n", key.public_key, now_ms, expires_ms)


async def _ignore(_: Exception) -> None:
    """Refusals are expected."""


@contextlib.asynccontextmanager
async def logged_in(server: Server, login: BusLogin, key: UserKey) -> AsyncIterator[Client]:
    text = login_credentials(server.operator, server.env, login, key)
    client = await nats.connect(
        server.url, user_credentials=RawCredentials(text), allow_reconnect=False, error_cb=_ignore
    )
    try:
        yield client
    finally:
        await client.close()


async def publish_surely(client: Client, subject: str, data: bytes) -> Msg:
    """Publish as clients do: again, under the same id, until the stream says that it has it.

    What a new account may reach takes a moment to be known to all servers.
    """
    async with asyncio.timeout(20):
        while True:
            with contextlib.suppress(nats.errors.TimeoutError, nats.errors.NoRespondersError):
                return await client.request(subject, data, timeout=2, headers={"Nats-Msg-Id": "1"})


async def test_a_signed_login_publishes_and_hears_its_own_and_nothing_else(server: Server) -> None:
    key = new_user_key()
    login = a_login("acme", key)
    await server.accounts.apply([TenantAccount(server.env, "acme", (login,))])
    async with logged_in(server, login, key) as client:
        heard = await client.subscribe(f"greentic.events.{server.env}.acme.>")
        own = f"greentic.events.{server.env}.acme.order.paid"
        answer = await publish_surely(client, own, an_event("order.paid"))
        assert b'"seq":1' in answer.data
        assert (await heard.next_msg(10)).subject == own
        for subject in (
            f"greentic.events.{server.env}.bolt.order.paid", f"{own}.result", "$JS.API.INFO",
            f"greentic.events.{server.env}.acme.timer.x", "$SYS.REQ.SERVER.PING", f"$KV.keys-{server.env}.acme.x",
            f"$JS.API.STREAM.INFO.EVENTS-{server.env}-T-acme",
        ):  # fmt: skip
            assert await answer_of(client, subject) is None, subject
        await client.publish(own, b"x", reply=f"greentic.events.{server.env}.bolt.order.paid")
        await client.flush()
        bus = await nats.connect(
            server.url, user_credentials=RawCredentials(server.credentials(PLATFORM_ACCOUNT))
        )
        assert (
            await bus.jetstream().stream_info(f"EVENTS-{server.env}-T-bolt")
        ).state.messages == 0
        await bus.close()


async def test_what_one_server_is_told_all_know(server: Server) -> None:
    key = new_user_key()
    login = a_login("acme", key)
    await server.accounts.apply([TenantAccount(server.env, "acme", (login,))])
    text = login_credentials(server.operator, server.env, login, key)
    for url in server.urls:
        async with asyncio.timeout(5):
            while not await takes_login(url, credentials=text):
                await asyncio.sleep(0.05)


@pytest.mark.parametrize("how", ["revoked", "ended"])
async def test_the_end_of_a_signed_login_cuts_its_connections(server: Server, how: str) -> None:
    key, lasting = new_user_key(), new_user_key()
    login = a_login("acme", key, seconds=2 if how == "ended" else None)
    stays = a_login("acme", lasting)
    await server.accounts.apply([TenantAccount(server.env, "acme", (login, stays))])
    async with logged_in(server, login, key) as client, logged_in(server, stays, lasting) as other:
        if how == "revoked":
            now_ms = int(time.time() * 1000)
            ended = BusLogin(login.id, "acme", "n", key.public_key, login.created_ms, None, now_ms)
            await server.accounts.apply([TenantAccount(server.env, "acme", (stays,), (ended,))])
        async with asyncio.timeout(4):
            while client.is_connected:
                await asyncio.sleep(0.02)
        text = login_credentials(server.operator, server.env, login, key)
        async with asyncio.timeout(3):  # the second in which it ends still counts as before
            while await takes_login(server.url, credentials=text):
                await asyncio.sleep(0.1)
        assert other.is_connected


async def test_logins_of_an_erased_tenant_are_worth_nothing_to_the_next_of_its_name(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, after = new_user_key(), new_user_key()
    with monkeypatch.context() as patch:
        month_ago = time.time() - 30 * 86_400
        patch.setattr(time, "time", lambda: month_ago)
        old = a_login("acme", before)
        text = login_credentials(server.operator, server.env, old, before)
    await server.accounts.apply([TenantAccount(server.env, "acme", (old,))])
    async with asyncio.timeout(5):
        while not await takes_login(server.url, credentials=text):
            await asyncio.sleep(0.05)
    # Nothing is on record any more, and the tenant is made anew.
    new = a_login("acme", after)
    await server.accounts.apply([TenantAccount(server.env, "acme", (new,))])
    async with asyncio.timeout(5):
        while await takes_login(server.url, credentials=text):
            await asyncio.sleep(0.05)
    async with logged_in(server, new, after) as client:
        assert client.is_connected


async def test_another_operators_signature_is_worth_nothing(server: Server) -> None:
    other, key = Operator(new_operator_seed()), new_user_key()
    login = a_login("acme", key)
    system = BusSettings(server.url, credentials=server.credentials(SYSTEM_ACCOUNT))
    # The server keeps what its own account sends, and does not believe it.
    await ResolvedAccounts(other, ResolverDoor(system, DeafObserver())).apply(
        [TenantAccount(server.env, "acme", (login,))]
    )
    text = login_credentials(other, server.env, login, key)
    assert not await takes_login(server.url, credentials=text)
    assert not await takes_login(server.url, seed=key.seed)


def test_an_accounts_key_is_derived_and_no_other_accounts() -> None:
    seed = new_operator_seed()
    names = ("GREENTIC", "SYSTEM", "TENANT-dev-T-acme", "TENANT-dev-T-bolt")
    keys = [Operator(seed).account(name).public_key for name in names]
    assert keys == [Operator(seed).account(name).public_key for name in names]
    assert len(set(keys)) == len(names)
    assert Operator(new_operator_seed()).account("GREENTIC").public_key != keys[0]


@pytest.mark.parametrize(
    "seed", ["", "x", "SUAM", new_user_key().seed], ids=["none", "x", "cut", "user"]
)
def test_what_is_no_operators_seed_is_refused(seed: str) -> None:
    with pytest.raises(StoreError):
        Operator(seed)


# ── The command line ─────────────────────────────────────────────────────────────────────────


async def test_commands_make_an_operator_and_sign_logins(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    folder = tmp_path / "cli"
    folder.mkdir()
    monkeypatch.chdir(folder)
    (folder / "seed").write_text(server.seed)
    (folder / "seed").chmod(0o600)

    async def call(*arguments: str) -> int:
        line = ("tenant", "creds", *arguments, "--nats-url", server.url, "--env", server.env)
        signed = (*line, "--operator-seed", "seed", "--json")
        return await asyncio.get_running_loop().run_in_executor(None, run, signed)

    assert await call("issue", "acme", "--expires", "1h") == OK
    issued = json.loads(capsys.readouterr().out)
    assert (issued["file"], issued["in_force"]) == ("acme-client.creds", True)
    path = folder / "acme-client.creds"
    assert path.stat().st_mode & 0o777 == 0o600
    client = await nats.connect(
        server.url, user_credentials=str(path), allow_reconnect=False, error_cb=_ignore
    )
    await client.request(f"greentic.events.{server.env}.acme.order.paid", b"x", timeout=2)
    assert await call("revoke", "acme", issued["id"]) == OK
    async with asyncio.timeout(4):
        while client.is_connected:
            await asyncio.sleep(0.02)
    await client.close()
    (folder / "seed").chmod(0o644)
    assert await call("list", "acme") == FAILED


def test_an_operator_is_made_once(tmp_path: Path) -> None:
    folder = str(tmp_path / "op")
    assert run(("tenant", "creds", "operator", folder)) == OK
    files = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "op").iterdir()}
    assert files == {"operator.seed": 0o600, "trust.conf": 0o600, "platform.creds": 0o600}
    seed = (tmp_path / "op" / "operator.seed").read_text()
    assert seed.strip() not in (tmp_path / "op" / "trust.conf").read_text()
    assert Operator(seed).public_key.startswith("O")
    assert run(("tenant", "creds", "operator", folder)) == FAILED
    assert (tmp_path / "op" / "operator.seed").read_text() == seed

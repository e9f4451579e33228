"""Signed accounts and logins on a server that resolves them: `deploy/nats`, with the real server."""

import asyncio
import contextlib
import socket
import subprocess
import time
from collections.abc import AsyncIterator
from pathlib import Path

import nats
import pytest
from nats.aio.client import Client, RawCredentials

from app.accounts.claims import login_credentials, our_credentials, server_text
from app.accounts.grants import TenantAccount
from app.accounts.login import BusLogin, UserKey, new_user_key
from app.accounts.resolver import ResolvedAccounts, ResolverDoor
from app.accounts.signing import Operator, new_operator_seed
from app.bus.bus_accounts import PLATFORM_ACCOUNT, SYSTEM_ACCOUNT
from app.bus.connection import Bus, BusSettings
from app.bus.login_trial import takes_login
from app.bus.server_process import find_binary
from app.control.control import Control, TenantSubscriptions
from app.errors import StoreError
from tests.support.bus import DeafObserver
from tests.support.bus_doors import an_event, answer_of

pytestmark = pytest.mark.server
DEPLOY = Path(__file__).parents[2] / "deploy" / "nats"


class Server:
    """A server configured from ``deploy/nats``, and the operator it trusts."""

    def __init__(self, folder: Path) -> None:
        self.operator = Operator(new_operator_seed())
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        self.url = f"nats://127.0.0.1:{self.port}"
        self.settings = BusSettings(self.url, credentials=self.credentials(PLATFORM_ACCOUNT))
        system = BusSettings(self.url, credentials=self.credentials(SYSTEM_ACCOUNT))
        self.accounts = ResolvedAccounts(self.operator, ResolverDoor(system, DeafObserver()))
        self._folder = folder

    def credentials(self, account: str) -> str:
        return our_credentials(self.operator, account, new_user_key())

    def start(self) -> "subprocess.Popen[bytes]":
        folder = self._folder
        for name in ("jetstream.conf", "limits.conf"):
            (folder / name).write_text((DEPLOY / name).read_text())
        (folder / "trust.conf").write_text(server_text(self.operator, str(folder / "accounts")))
        config = folder / "server.conf"
        config.write_text(
            f'listen: "127.0.0.1:{self.port}"\nserver_name: "one"\n'
            f'include "limits.conf"\ninclude "jetstream.conf"\ninclude "trust.conf"\n'
        )
        environment = {"NATS_STORE_DIR": str(folder / "store"), "NATS_MAX_FILE_STORE": "1TB"}
        log = (folder / "log").open("wb")
        with log:
            return subprocess.Popen(
                [str(find_binary()), "-c", str(config)], stdout=log, stderr=log, env=environment
            )


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    server = Server(tmp_path)
    process = server.start()
    try:
        bus = await Bus.connect(server.settings, DeafObserver(), deadline_seconds=10)
        tenants = [TenantSubscriptions(name, {"t": ">"}) for name in ("acme", "bolt")]
        await Control(bus, "dev").apply(tenants)
        await bus.drain_and_close(1)
        yield server
    finally:
        process.kill()
        process.wait()


def a_login(tenant: str, key: UserKey, *, seconds: int | None = None) -> BusLogin:
    now_ms = int(time.time() * 1000)
    expires_ms = None if seconds is None else now_ms + seconds * 1000
    return BusLogin("abcdefgh", tenant, "n", key.public_key, now_ms, expires_ms)


async def _ignore(_: Exception) -> None:
    """Refusals are expected."""


@contextlib.asynccontextmanager
async def logged_in(server: Server, login: BusLogin, key: UserKey) -> AsyncIterator[Client]:
    text = login_credentials(server.operator, "dev", login, key)
    client = await nats.connect(
        server.url, user_credentials=RawCredentials(text), allow_reconnect=False, error_cb=_ignore
    )
    try:
        yield client
    finally:
        await client.close()


async def test_a_signed_login_publishes_and_hears_its_own_and_nothing_else(server: Server) -> None:
    key = new_user_key()
    login = a_login("acme", key)
    await server.accounts.apply([TenantAccount("dev", "acme", (login,))])
    async with logged_in(server, login, key) as client:
        heard = await client.subscribe("greentic.events.dev.acme.>")
        own = "greentic.events.dev.acme.order.paid"
        answer = await client.request(own, an_event("order.paid"), timeout=2)
        assert b'"seq":1' in answer.data
        assert (await heard.next_msg(2)).subject == own
        for subject in (
            "greentic.events.dev.bolt.order.paid", f"{own}.result", "$JS.API.INFO",
            "greentic.events.dev.acme.timer.x", "$SYS.REQ.SERVER.PING", "$KV.keys-dev.acme.x",
            "$JS.API.CONSUMER.MSG.NEXT.EVENTS-dev-T-acme.flows",
        ):  # fmt: skip
            assert await answer_of(client, subject) is None, subject
        await client.publish(own, b"x", reply="greentic.events.dev.bolt.order.paid")
        await client.flush()
        bus = await nats.connect(
            server.url, user_credentials=RawCredentials(server.credentials(PLATFORM_ACCOUNT))
        )
        assert (await bus.jetstream().stream_info("EVENTS-dev-T-bolt")).state.messages == 0
        await bus.close()


@pytest.mark.parametrize("how", ["revoked", "ended"])
async def test_the_end_of_a_signed_login_cuts_its_connections(server: Server, how: str) -> None:
    key, lasting = new_user_key(), new_user_key()
    login = a_login("acme", key, seconds=2 if how == "ended" else None)
    stays = a_login("acme", lasting)
    await server.accounts.apply([TenantAccount("dev", "acme", (login, stays))])
    async with logged_in(server, login, key) as client, logged_in(server, stays, lasting) as other:
        if how == "revoked":
            now_ms = int(time.time() * 1000)
            ended = BusLogin(login.id, "acme", "n", key.public_key, login.created_ms, None, now_ms)
            await server.accounts.apply([TenantAccount("dev", "acme", (stays,), (ended,))])
        async with asyncio.timeout(4):
            while client.is_connected:
                await asyncio.sleep(0.02)
        text = login_credentials(server.operator, "dev", login, key)
        assert not await takes_login(server.url, credentials=text)
        assert other.is_connected


async def test_another_operators_signature_is_worth_nothing(server: Server) -> None:
    other, key = Operator(new_operator_seed()), new_user_key()
    login = a_login("acme", key)
    system = BusSettings(server.url, credentials=server.credentials(SYSTEM_ACCOUNT))
    # The server keeps what its own account sends, and does not believe it.
    await ResolvedAccounts(other, ResolverDoor(system, DeafObserver())).apply(
        [TenantAccount("dev", "acme", (login,))]
    )
    text = login_credentials(other, "dev", login, key)
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

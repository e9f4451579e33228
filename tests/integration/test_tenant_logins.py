"""Logins are issued, end and are revoked under live connections, within seconds, for real."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import nats.errors
import pytest
from nats.aio.client import Client

from app.accounts.grants import TenantAccount
from app.accounts.login import BusLogin, new_user_key, public_key_of
from app.accounts.logins import LOGINS_MAX, KvBusLogins
from app.accounts.steward import AccountsSteward
from app.bus.admin import JetStreamAdmin
from app.bus.bus_accounts import FORMER_ACCOUNT, PLATFORM_ACCOUNT
from app.bus.connection import Bus
from app.bus.login_trial import takes_login
from app.cli.exit_codes import FAILED, OK, REFUSED
from app.cli.main import run
from app.control import names
from app.control.credentials import ensure_credential_buckets
from app.control.limits import StreamLimits
from app.control.streams import events_spec
from app.errors import BusError, NotFoundError, StoreError
from app.stores.kv import KvBucket
from app.system import SystemClock
from tests.support.bus import connected
from tests.support.bus_doors import connect_as, connect_as_platform, included
from tests.support.nats_server import KillableServer

SECONDS = 4.0
"""Within which a change must be in force: the steward looks once a second."""
pytestmark = pytest.mark.server


class Host:
    """A server, its bucket of logins, and the steward that keeps its accounts."""

    def __init__(self, server: KillableServer, bus: Bus) -> None:
        clock = SystemClock()
        self.server = server
        self.url = server.endpoint.url
        self.bucket = KvBucket(bus, names.bus_logins_bucket("dev"))
        self.logins = KvBusLogins(self.bucket, clock)
        self.accounts = included(server.folder, server.endpoint)
        self.steward = AccountsSteward("dev", self.logins, self.accounts, clock)
        self.admin = JetStreamAdmin(bus)

    async def add_tenant(self, tenant: str) -> None:
        await self.admin.ensure_stream(events_spec("dev", tenant, StreamLimits()))

    async def publish(self, client: Client, tenant: str) -> int:
        """Publish as clients do: again while nobody listens, for as long as a change may take."""
        subject = f"greentic.events.dev.{tenant}.order.paid"
        async with asyncio.timeout(SECONDS):
            while True:
                with contextlib.suppress(nats.errors.NoRespondersError):
                    answer = await client.request(subject, b"x", timeout=2)
                    return int(json.loads(answer.data)["seq"])
                await asyncio.sleep(0.05)


@pytest.fixture
async def host(killable_server: KillableServer) -> AsyncIterator[Host]:
    async with connected(killable_server.endpoint) as bus:
        await ensure_credential_buckets(bus, "dev")
        host = Host(killable_server, bus)
        for tenant in ("acme", "bolt"):
            await host.add_tenant(tenant)
        host.steward.start()
        yield host
        await host.steward.stop()


async def wait_until(is_so: Callable[[], Any]) -> float:
    """Wait until something holds and give the seconds it took."""
    began = time.monotonic()
    async with asyncio.timeout(SECONDS):
        while True:
            found = is_so()
            if await found if asyncio.iscoroutine(found) else found:
                return time.monotonic() - began
            await asyncio.sleep(0.02)


async def test_a_login_works_within_seconds_and_its_seed_is_stored_nowhere(host: Host) -> None:
    login, key = await host.logins.issue("acme", "billing")
    await wait_until(lambda: takes_login(host.url, seed=key.seed))
    client = await connect_as(host.url, key.seed)
    assert await host.publish(client, "acme") == 1
    await client.close()
    assert public_key_of(key.seed) == login.public_key
    stored = (await host.bucket.get(login.place)).value
    assert stored is not None
    files = [path for path in host.server.folder.data_dir.rglob("*") if path.is_file()]
    assert not [path for path in files if key.seed.encode() in path.read_bytes()]
    assert host.server.folder.tenants_path.stat().st_mode & 0o777 == 0o600
    assert key.seed not in repr(key)


async def test_a_second_tenant_comes_in_while_the_first_is_at_work(host: Host) -> None:
    """The server forgets to connect a new account's imports unless it is told twice."""
    _, first = await host.logins.issue("acme", "a")
    await wait_until(lambda: takes_login(host.url, seed=first.seed))
    client = await connect_as(host.url, first.seed)
    _, second = await host.logins.issue("bolt", "b")
    await wait_until(lambda: takes_login(host.url, seed=second.seed))
    other = await connect_as(host.url, second.seed)
    assert await host.publish(other, "bolt") == 1
    assert await host.publish(client, "acme") == 1
    assert client.is_connected
    await client.close()
    await other.close()


@pytest.mark.parametrize("how", ["revoked", "ended", "all revoked"])
async def test_the_end_of_a_login_cuts_its_connections_and_no_others(host: Host, how: str) -> None:
    soon = SystemClock().now_ms() + 2500 if how == "ended" else None
    login, key = await host.logins.issue("acme", "a", expires_ms=soon)
    _, lasting = await host.logins.issue("bolt", "b")
    for seed in (key.seed, lasting.seed):
        await wait_until(lambda seed=seed: takes_login(host.url, seed=seed))  # type: ignore[misc]
    client = await connect_as(host.url, key.seed)
    other = await connect_as(host.url, lasting.seed)
    assert await host.publish(client, "acme") == 1
    if how == "revoked":
        await host.logins.revoke("acme", login.id)
    elif how == "all revoked":
        await host.logins.revoke_all("acme")
    await wait_until(lambda: not client.is_connected)
    assert not await takes_login(host.url, seed=key.seed)
    assert await host.publish(other, "bolt") == 1
    await client.close()
    await other.close()


async def test_one_of_two_logins_of_a_tenant_is_revoked(host: Host) -> None:
    login, key = await host.logins.issue("acme", "a")
    _, stays = await host.logins.issue("acme", "b")
    await wait_until(lambda: takes_login(host.url, seed=stays.seed))
    client = await connect_as(host.url, stays.seed)
    await host.logins.revoke("acme", login.id)
    await host.steward.refresh()
    assert not await takes_login(host.url, seed=key.seed)
    assert await host.publish(client, "acme") == 1
    await client.close()


async def test_logins_outlive_the_servers_restart(host: Host) -> None:
    _, key = await host.logins.issue("acme", "a")
    await wait_until(lambda: takes_login(host.url, seed=key.seed))
    await host.server.restart()
    assert await takes_login(host.url, seed=key.seed)


async def test_what_the_server_does_not_take_is_undone(host: Host) -> None:
    _, key = await host.logins.issue("acme", "a")
    await wait_until(lambda: takes_login(host.url, seed=key.seed))
    await host.steward.stop()
    path = host.server.folder.tenants_path
    before = path.read_text()
    config = host.server.folder.config_path
    good = config.read_text()
    config.write_text(good + "\nnonsense {{{\n")
    with pytest.raises(BusError, match="did not take"):
        await host.accounts.apply([])
    assert path.read_text() == before
    assert await takes_login(host.url, seed=key.seed)
    config.write_text(good)
    await host.accounts.apply([])
    assert not await takes_login(host.url, seed=key.seed)


async def test_a_record_under_another_tenants_key_lets_nobody_in(host: Host) -> None:
    login, _ = await host.logins.issue("acme", "a")
    moved = f"bolt.{login.id}"
    await host.bucket.put(moved, login.as_bytes())
    await host.bucket.put("acme.zzzzzzzz", b"no record")
    assert await host.logins.all() == (login,)
    assert await host.logins.list("bolt") == ()


async def test_what_cannot_be_issued_or_revoked_is_refused(host: Host) -> None:
    for name in ("", "a\n", "x" * 101):
        with pytest.raises(StoreError, match="name"):
            await host.logins.issue("acme", name)
    with pytest.raises(StoreError, match="future"):
        await host.logins.issue("acme", "a", expires_ms=1)
    with pytest.raises(NotFoundError):
        await host.logins.revoke("acme", "abcdefgh")
    for _ in range(LOGINS_MAX):
        await host.logins.issue("acme", "a")
    with pytest.raises(StoreError, match="the most"):
        await host.logins.issue("acme", "a")


# ── What an earlier version stored ───────────────────────────────────────────────────────────


async def test_what_a_server_without_accounts_stored_is_the_platforms(
    killable_server: KillableServer,
) -> None:
    """Earlier versions had one user and no accounts; their data folders go on to work."""
    server, folder = killable_server, killable_server.folder
    await server.stop()
    endpoint = server.endpoint
    (folder.store_dir / "jetstream" / PLATFORM_ACCOUNT).rename(
        folder.store_dir / "jetstream" / FORMER_ACCOUNT
    ) if (folder.store_dir / "jetstream" / PLATFORM_ACCOUNT).exists() else None
    plain = (
        f'listen: "127.0.0.1:{endpoint.port}"\n'
        f'authorization {{ user: "{endpoint.user}", password: "{endpoint.password}" }}\n'
        f'jetstream {{ store_dir: "{folder.store_dir}", max_file_store: 1099511627776 }}\n'
    )
    await _run_plainly(server, plain)
    await server.start()
    client = await connect_as_platform(server.endpoint)
    stored = await client.jetstream().stream_info("OLD")
    assert stored.state.messages == 1
    await client.close()


async def _run_plainly(server: KillableServer, config: str) -> None:
    """Run a server as an earlier version did, and store something."""
    from app.bus.server_process import find_binary, is_answering

    path = server.folder.data_dir / "plain.conf"
    path.write_text(config)
    process = await asyncio.create_subprocess_exec(
        str(find_binary()), "-c", str(path), "-l", str(path.with_suffix(".log"))
    )
    try:
        while not await is_answering(server.endpoint):
            await asyncio.sleep(0.05)
        client = await connect_as_platform(server.endpoint)
        await client.jetstream().add_stream(name="OLD", subjects=["old.>"])
        await client.jetstream().publish("old.x", b"kept")
        await client.close()
    finally:
        process.terminate()
        await process.wait()


# ── The command line ─────────────────────────────────────────────────────────────────────────


@pytest.fixture
def command(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., "asyncio.Future[int]"]:
    """Run a command in an empty folder, in a thread of its own: it has its own event loop."""
    folder = tmp_path / "cli"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("GREENTIC_DATA_DIR", str(host.server.folder.data_dir))

    def call(*arguments: str) -> "asyncio.Future[int]":
        return asyncio.get_running_loop().run_in_executor(
            None, run, ("tenant", "creds", *arguments)
        )

    return call


def document_in(output: str) -> Any:
    """Read what a command printed; the steward of this process logs in between."""
    begins = [place for place in range(len(output)) if output.startswith("{\n", place)]
    return json.JSONDecoder().raw_decode(output[begins[0] :])[0]


async def test_commands_issue_list_and_revoke(
    host: Host, command: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await command("issue", "acme", "--name", "billing", "--expires", "24h", "--json") == OK
    issued = document_in(capsys.readouterr().out)
    path = tmp_path / "cli" / "acme-billing.nk"
    seed = path.read_text().strip()
    assert (issued["file"], issued["in_force"]) == ("acme-billing.nk", True)
    assert issued["expires_ms"] - issued["created_ms"] == pytest.approx(86_400_000, abs=1000)
    assert path.stat().st_mode & 0o777 == 0o600
    assert public_key_of(seed) == issued["public_key"]
    # As a plain client reads it: the file is nats-py's `nkeys_seed`.
    client = await nats.connect(host.url, nkeys_seed=str(path), allow_reconnect=False)
    assert await host.publish(client, "acme") == 1
    assert await command("list", "acme") == OK
    shown = capsys.readouterr().out
    assert (issued["id"] in shown, "billing" in shown, seed in shown) == (True, True, False)
    assert await command("revoke", "acme", issued["id"]) == OK
    await wait_until(lambda: not client.is_connected)
    assert await command("list", "acme", "--json") == OK
    assert document_in(capsys.readouterr().out)["logins"][0]["revoked_ms"] is not None
    await client.close()
    async with connected(host.server.endpoint) as bus:
        stored = await JetStreamAdmin(bus).count_by_subject(
            "AUDIT-dev", "greentic.audit.dev.acme.>"
        )
    assert stored == {
        "greentic.audit.dev.acme.login.issue": 1, "greentic.audit.dev.acme.login.revoke": 1,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("issue", "acme", "--expires", "soon"), FAILED),
        (("issue", "acme", "--expires", "99999d"), FAILED),
        (("issue", "no.tenant"), FAILED),
        (("issue", "acme", "--name", "x" * 200, "--output", "x.nk"), REFUSED),
        (("issue", "acme", "--output", "taken.nk"), FAILED),
        (("issue", "acme", "--output", "no/folder.nk"), FAILED),
        (("revoke", "acme", "abcdefgh"), REFUSED),
    ],
    ids=lambda value: "-".join(value)[:40].replace("/", "_") if isinstance(value, tuple) else "",
)
async def test_commands_refuse(
    command: Any, tmp_path: Path, arguments: tuple[str, ...], code: int
) -> None:
    (tmp_path / "cli" / "taken.nk").write_text("mine")
    assert await command(*arguments) == code
    assert [path.name for path in (tmp_path / "cli").iterdir()] == ["taken.nk"]
    assert (tmp_path / "cli" / "taken.nk").read_text() == "mine"


# ── What it costs ────────────────────────────────────────────────────────────────────────────

EVENTS = 4000
AT_ONCE = 100


async def test_publishing_through_the_import_costs_little(
    host: Host, record_property: Callable[[str, object], None]
) -> None:
    """Acknowledged events a second, in turns: through a tenant's account, and the platform's own."""
    _, key = await host.logins.issue("acme", "a")
    await wait_until(lambda: takes_login(host.url, seed=key.seed))
    tenant = await connect_as(host.url, key.seed)
    platform = await connect_as_platform(host.server.endpoint)
    rates: dict[str, list[float]] = {"tenant": [], "platform": []}
    for _ in range(3):
        for name, client, owner in (("tenant", tenant, "acme"), ("platform", platform, "bolt")):
            rates[name].append(await _rate(client, f"greentic.events.dev.{owner}.order.paid"))
    best = {name: max(found) for name, found in rates.items()}
    record_property("events_per_second", {name: round(rate) for name, rate in best.items()})
    print({name: [round(rate) for rate in found] for name, found in rates.items()})
    await tenant.close()
    await platform.close()
    assert best["tenant"] > 0.4 * best["platform"]


async def _rate(client: Client, subject: str) -> float:
    """Publish in parallel, each with its acknowledgement, and give events a second."""
    left = iter(range(EVENTS))

    async def publish() -> None:
        for _ in left:
            await client.request(subject, b"x" * 200, timeout=10)

    began = time.monotonic()
    await asyncio.gather(*(publish() for _ in range(AT_ONCE)))
    return EVENTS / (time.monotonic() - began)


async def test_a_server_that_reads_its_accounts_anew_is_asked_again(host: Host) -> None:
    """Meanwhile JetStream's administration is not there at all."""
    await host.steward.stop()
    is_over = False

    async def ask() -> int:
        asked = 0
        while not is_over:
            await host.logins.revision()
            asked += 1
        return asked

    asking = [asyncio.create_task(ask()) for _ in range(4)]
    accounts = [
        TenantAccount("dev", f"t{number}", (BusLogin("abcdefgh", f"t{number}", "n", key, 1),))
        for number, key in enumerate(new_user_key().public_key for _ in range(200))
    ]
    for some in (accounts[:-1], accounts):
        await host.accounts.apply(some)
    is_over = True
    assert min(await asyncio.gather(*asking)) > 0

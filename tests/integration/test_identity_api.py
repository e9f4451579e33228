"""Keys over the API on a real server, with two replicas: made, used, rotated, revoked, guessed at."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from starlette.routing import Mount

from app.audit.entry import OURSELVES
from app.audit.lock_outs import LockOutTeller
from app.audit.reading import AuditFilter
from app.bootstrap.audit_side import AuditSide
from app.bootstrap.credentials import Credentials
from app.bootstrap.first_key import KEY_FILE, make_first_key
from app.bus.server_folder import Endpoint
from app.control.keys import KeyDesk
from app.http.api import ROOT, build_api
from app.http.api_access import ApiAccess
from app.http.audit_api import AuditApi
from app.http.key_api import KeyApi
from app.http.pages import build_admin_app
from app.identity.lock_out import ADDRESS_FAILURES_MAX
from app.settings.secrets import SecretsSection
from app.stores import key_uses
from app.stores.api_key import PLATFORM, new_text
from app.stores.api_keys import NewKey
from app.stores.key_source import KeySource
from app.system import SystemClock
from tests.support.bus import DeafObserver, connected
from tests.support.ingress import Client, Reply

pytestmark = pytest.mark.server

KEYS = "/api/v1/tenants/acme/keys"


@dataclass
class Replica:
    """One process's half of it: what it knows of keys, and its admin address."""

    credentials: Credentials
    audit: AuditSide
    desk: KeyDesk
    client: Client

    async def ask(
        self, method: str, path: str, key: str | None, body: Any = None, query: str = ""
    ) -> Reply:
        headers = {} if key is None else {"authorization": f"Bearer {key}"}
        parts = [b"" if body is None else json.dumps(body).encode()]
        return await self.client.request(
            method, path, headers=headers, parts=parts, query=query.encode()
        )


@dataclass
class Pair:
    """Two replicas, and a platform key that both know."""

    one: Replica
    other: Replica
    platform: str


async def a_replica(stack: AsyncExitStack, server: Endpoint, env: str, folder: Path) -> Replica:
    bus = await stack.enter_async_context(connected(server))
    clock, observer = SystemClock(), DeafObserver()
    source = KeySource(SecretsSection(), env, folder)
    credentials = await Credentials.open(bus, source, clock, observer)
    stack.push_async_callback(credentials.close)
    audit = await AuditSide.open(bus, env, clock, observer)
    stack.push_async_callback(audit.close)
    credentials.api_keys.on_locked = LockOutTeller(audit.log, clock)
    desk = KeyDesk(credentials.key_store, credentials.key_uses, audit.log, clock)
    access = ApiAccess(credentials.api_keys, observer)
    resources = [
        KeyApi(desk, access, clock).resource(), AuditApi(audit.reader, access, clock).resource()
    ]  # fmt: skip
    api = Mount(ROOT, build_api(resources, access))
    app = build_admin_app(lambda: (), lambda: (b"", "text/plain"), [api])
    return Replica(credentials, audit, desk, Client(app))


@pytest.fixture
async def pair(
    nats_server: Endpoint, fresh_env: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Pair]:
    monkeypatch.setattr(key_uses, "LOOK_SECONDS", 0.1)
    async with AsyncExitStack() as stack:
        one = await a_replica(stack, nats_server, fresh_env, tmp_path)
        other = await a_replica(stack, nats_server, fresh_env, tmp_path)
        await make_first_key(one.desk, tmp_path)
        platform = (tmp_path / KEY_FILE).read_text().strip()
        for replica in (one, other):
            await until(replica, "GET", "/api/v1/keys", platform, lambda s: s == 200)
        yield Pair(one, other, platform)


async def until(
    replica: Replica, method: str, path: str, key: str, fits: Callable[[int], bool],
    seconds: float = 1.0,
) -> Reply:  # fmt: skip
    """Ask until the status is as expected, for a second at most; wrong keys cost a lock-out."""
    async with asyncio.timeout(seconds):
        while True:
            # Below the lock-out's count: what is refused by a replica is asked of its ring.
            reply = await replica.ask(method, path, key) if knows(replica, key, fits) else None
            if reply is not None and fits(reply.status):
                return reply
            await asyncio.sleep(0.01)


def knows(replica: Replica, key: str, fits: Callable[[int], bool]) -> bool:
    """Tell whether the replica's ring already judges as expected, without a request."""
    return (replica.credentials._ring.find(key) is not None) == fits(200)


async def a_key(pair: Pair, scopes: list[str], **more: Any) -> str:
    body = {"name": "ci", "scopes": scopes, **more}
    reply = await pair.one.ask("POST", KEYS, pair.platform, body)
    assert reply.status == 201
    key: str = reply.json["key"]
    return key


async def test_first_key_is_made_once_and_for_the_owner_alone(pair: Pair, tmp_path: Path) -> None:
    path = tmp_path / KEY_FILE
    assert path.stat().st_mode & 0o777 == 0o600
    before = path.read_text()
    await make_first_key(pair.one.desk, tmp_path)
    assert path.read_text() == before
    path.unlink()
    await make_first_key(pair.one.desk, tmp_path)
    assert not path.exists(), "there is a platform key"
    assert len(await pair.one.desk.list(PLATFORM)) == 1


async def test_revocation_holds_on_every_replica_within_a_second(pair: Pair) -> None:
    key = await a_key(pair, ["tenant-admin"])
    for replica in (pair.one, pair.other):
        await until(replica, "GET", KEYS, key, lambda status: status == 200)
    prefix = key[4:12]
    started = asyncio.get_running_loop().time()
    reply = await pair.one.ask("DELETE", f"{KEYS}/{prefix}", pair.platform)
    assert reply.status == 204
    for replica in (pair.one, pair.other):
        refused = await until(replica, "GET", KEYS, key, lambda status: status == 401)
        assert refused.json["code"] == "http.api_key"
    assert asyncio.get_running_loop().time() - started < 1.0
    assert (await pair.one.ask("DELETE", f"{KEYS}/{prefix}", pair.platform)).status == 404
    listed = await pair.other.ask("GET", KEYS, pair.platform, query="revoked=true")
    assert listed.json["keys"][0]["revoked_ms"] is not None
    assert (await pair.other.ask("GET", KEYS, pair.platform)).json["keys"] == []


@pytest.mark.parametrize(
    ("scopes", "status", "code"),
    [
        (["tenant-admin"], 200, None),
        (["tenant-operator"], 403, "http.forbidden"),
        (["tenant-publish", "tenant-read"], 403, "http.forbidden"),
        (["publish"], 403, "http.forbidden"),
    ],
    ids=str,
)
async def test_keys_and_audit_are_for_the_tenants_admin(
    pair: Pair, scopes: list[str], status: int, code: str | None
) -> None:
    key = await a_key(pair, scopes)
    await until(pair.one, "GET", "/health", key, lambda status: status == 200)
    for path in (KEYS, "/api/v1/tenants/acme/audit"):
        reply = await pair.one.ask("GET", path, key)
        assert (reply.status, reply.json.get("code")) == (status, code)
    for path in ("/api/v1/tenants/other/keys", "/api/v1/tenants/nobody/audit"):
        reply = await pair.one.ask("GET", path, key)
        assert (reply.status, reply.json["code"]) == (403, "http.wrong_tenant")
    for path in ("/api/v1/keys", "/api/v1/audit"):
        reply = await pair.one.ask("GET", path, key)
        assert (reply.status, reply.json["code"]) == (403, "http.forbidden")


async def test_nobody_gets_above_its_own_scope(pair: Pair) -> None:
    key = await a_key(pair, ["tenant-admin"])
    await until(pair.one, "GET", "/health", key, lambda status: status == 200)
    body = {"name": "up", "scopes": ["platform-admin"]}
    assert (await pair.one.ask("POST", KEYS, key, body)).status == 400
    assert (await pair.one.ask("POST", "/api/v1/keys", key, body)).status == 403
    _, text = await pair.one.desk.add(OURSELVES, NewKey(PLATFORM, "everywhere", ["tenant-admin"]))
    await until(pair.one, "GET", "/health", str(text), lambda status: status == 200)
    for path in ("/api/v1/tenants/*/keys", "/api/v1/tenants/PLATFORM/keys"):
        reply = await pair.one.ask("POST", path, str(text), body)
        assert reply.status == 422
    assert (await pair.one.ask("POST", "/api/v1/keys", str(text), body)).status == 403
    assert len(await pair.one.desk.list(PLATFORM)) == 2


async def test_rotation_lets_both_work_until_the_old_one_ends(pair: Pair) -> None:
    key = await a_key(pair, ["tenant-admin"], expires="90d")
    path = f"{KEYS}/{key[4:12]}/rotate"
    reply = await pair.one.ask("POST", path, pair.platform, {"overlap": "1s"})
    assert reply.status == 201
    successor = reply.json["key"]
    assert reply.json["rotated_from"] == key[4:12]
    assert reply.json["scopes"] == ["tenant-admin"]
    lifetime_ms = reply.json["expires_ms"] - reply.json["created_ms"]
    assert lifetime_ms == pytest.approx(90 * 86_400_000, abs=1000)
    assert (await until(pair.other, "GET", KEYS, successor, lambda s: s == 200)).status == 200
    refused = await until(pair.other, "GET", KEYS, key, lambda s: s == 401, seconds=3)
    assert refused.json["code"] == "http.api_key"
    assert (await pair.other.ask("GET", KEYS, successor)).status == 200


async def test_last_use_is_known_everywhere_soon(pair: Pair) -> None:
    key = await a_key(pair, ["tenant-admin"])
    await until(pair.other, "GET", KEYS, key, lambda status: status == 200)
    async with asyncio.timeout(3):
        while True:
            (known,) = (await pair.one.ask("GET", KEYS, pair.platform)).json["keys"]
            if known["last_used_ms"] is not None:
                break
            await asyncio.sleep(0.05)
    assert known["last_used_ms"] >= known["created_ms"]


async def test_guessing_is_locked_out_told_and_shuts_no_owner_out(pair: Pair) -> None:
    key = await a_key(pair, ["tenant-admin"])
    await until(pair.one, "GET", KEYS, key, lambda status: status == 200)
    for _ in range(ADDRESS_FAILURES_MAX):
        assert (await pair.one.ask("GET", KEYS, str(new_text()))).status == 401
    reply = await pair.one.ask("GET", KEYS, str(new_text()))
    assert (reply.status, reply.json["code"]) == (429, "http.locked_out")
    assert reply.header("retry-after") == "1"
    assert (await pair.one.ask("GET", KEYS, key)).status == 200, "known from this address"
    await asyncio.sleep(0.1)
    page = await pair.one.audit.reader.page(None, AuditFilter(action="key.locked_out"))
    (kept,) = page.entries
    assert kept.entry is not None
    assert (kept.entry.actor, kept.entry.after["failures"]) == ("system", ADDRESS_FAILURES_MAX)


async def test_audit_says_who_made_what_and_hides_the_platforms_names(pair: Pair) -> None:
    key = await a_key(pair, ["tenant-admin"])
    await until(pair.one, "GET", KEYS, key, lambda status: status == 200)
    body = {"name": "second", "scopes": ["tenant-read"]}
    assert (await pair.one.ask("POST", KEYS, key, body)).status == 201
    of_tenant = await pair.one.ask(
        "GET", "/api/v1/tenants/acme/audit", key, query="order=oldest&action=key"
    )
    first, second = of_tenant.json["entries"]
    assert (first["actor"], second["actor"]) == ("platform", f"key:{key[4:12]}")
    assert second["after"]["name"] == "second"
    platforms = f"key:{pair.platform[4:12]}"
    hidden = await pair.one.ask(
        "GET", "/api/v1/tenants/acme/audit", key, query=f"actor={platforms}"
    )
    assert hidden.json["entries"] == []
    of_all = await pair.one.ask("GET", "/api/v1/audit", pair.platform, query="limit=2&tenant=acme")
    assert [each["actor"] for each in of_all.json["entries"]] == [f"key:{key[4:12]}", platforms]
    assert key[13:] not in json.dumps(of_all.json)


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=1001", "after=-1", "order=up", "colour=red", "since=soon", "a=1&a=2"],
)
async def test_wrong_parameters_of_the_audit_are_refused(pair: Pair, query: str) -> None:
    reply = await pair.one.ask("GET", "/api/v1/audit", pair.platform, query=query)
    assert (reply.status, reply.json["code"]) == (400, "http.bad_request")


@pytest.mark.parametrize(
    "body",
    [{}, {"name": "x"}, {"name": "", "scopes": ["publish"]}, {"name": "x", "scopes": []},
     {"name": "x", "scopes": ["everything"]}, {"name": "x", "scopes": ["publish"], "more": 1},
     {"name": "x", "scopes": ["publish"], "expires": "soon"}, {"name": "a\nb", "scopes": ["publish"]},
     {"name": "x", "scopes": ["publish"], "expires": "9999w"}, [], "x"],
    ids=str,
)  # fmt: skip
async def test_wrong_keys_are_refused(pair: Pair, body: Any) -> None:
    reply = await pair.one.ask("POST", KEYS, pair.platform, body)
    assert (reply.status, reply.json["code"]) == (400, "http.bad_request")
    assert (await pair.one.ask("GET", KEYS, pair.platform)).json["keys"] == []


async def test_keys_are_listed_page_by_page(pair: Pair) -> None:
    for _ in range(5):
        await a_key(pair, ["publish"])
    found: list[str] = []
    after = ""
    while True:
        reply = await pair.one.ask("GET", KEYS, pair.platform, query=f"limit=2&after={after}")
        found += [key["prefix"] for key in reply.json["keys"]]
        if reply.json["next_after"] is None:
            break
        after = reply.json["next_after"]
    assert len(set(found)) == len(found) == 5

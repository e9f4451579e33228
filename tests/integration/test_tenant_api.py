"""Tenants over the API on a real server: who may, what comes back, and what a revision is for."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
from starlette.routing import Mount

from actors.testing.clock import VirtualClock
from app.audit.reading import AuditFilter
from app.bootstrap.audit_side import AuditSide
from app.bus.admin import JetStreamAdmin
from app.bus.server_folder import Endpoint
from app.control import names, streams
from app.http.api import ROOT, build_api
from app.http.api_access import ApiAccess
from app.http.pages import build_admin_app
from app.http.tenant_api import TenantApi
from app.identity.authentication import Authenticator
from app.identity.lock_out import LockOut
from app.stores.api_key import PLATFORM, new_text
from app.stores.kv import KvBucket
from app.tenancy.desk import TenantDesk
from app.tenancy.store import TenantStore
from tests.support.bus import DeafObserver, connected
from tests.support.ingress import Client, Reply
from tests.support.key_rings import a_ring, a_stored_key

pytestmark = pytest.mark.server

TENANTS = "/api/v1/tenants"
ACME = f"{TENANTS}/acme"


@dataclass
class Rig:
    """The API, and a key of each kind."""

    client: Client
    audit: AuditSide
    bucket: KvBucket
    keys: dict[str, str]

    async def ask(
        self, method: str, path: str, body: Any = None, *, key: str = "platform", **more: Any
    ) -> Reply:
        """Ask with a key of this kind; ``query`` and further headers in ``more``."""
        headers = {"authorization": f"Bearer {self.keys[key]}"} if key else {}
        query = str(more.pop("query", "")).encode()
        headers |= {name.replace("_", "-"): value for name, value in more.items()}
        parts = [b"" if body is None else json.dumps(body).encode()]
        return await self.client.request(method, path, headers=headers, parts=parts, query=query)


@pytest.fixture
async def rig(nats_server: Endpoint, fresh_env: str) -> AsyncIterator[Rig]:
    owners = {
        "platform": (PLATFORM, ("platform-admin",)),
        "platform-reader": (PLATFORM, ("tenant-read",)),
        "admin": ("acme", ("tenant-admin",)),
        "reader": ("acme", ("tenant-read",)),
        "publisher": ("acme", ("tenant-publish",)),
        "other": ("other", ("tenant-admin",)),
    }
    texts = {kind: new_text() for kind in owners}
    clock = VirtualClock()
    stored = [
        a_stored_key(texts[kind], tenant=tenant, scopes=scopes)
        for kind, (tenant, scopes) in owners.items()
    ]
    keys = Authenticator(a_ring(stored, clock), LockOut(clock.monotonic), DeafObserver())
    async with connected(nats_server) as bus:
        name = names.tenants_bucket(fresh_env)
        await JetStreamAdmin(bus).ensure_stream(streams.bucket_spec(name))
        audit = await AuditSide.open(bus, fresh_env, clock, DeafObserver())
        bucket = KvBucket(bus, name)
        desk = TenantDesk(TenantStore(bucket, clock), audit.log, clock, plans=["small"])
        access = ApiAccess(keys, DeafObserver())
        api = Mount(ROOT, build_api([TenantApi(desk, access).resource()], access))
        app = build_admin_app(lambda: (), lambda: (b"", "text/plain"), [api])
        texts_by_kind = {kind: str(text) for kind, text in texts.items()}
        yield Rig(Client(app), audit, bucket, texts_by_kind)
        await audit.close()


def header(reply: Reply, name: str) -> str | None:
    found = [value.decode() for key, value in reply.headers if key.decode().lower() == name]
    return found[0] if found else None


async def made(rig: Rig, tenant: str = "acme", **more: Any) -> dict[str, Any]:
    reply = await rig.ask("POST", TENANTS, {"id": tenant, **more})
    assert reply.status == 201, reply.json
    document: dict[str, Any] = reply.json
    return document


async def test_tenant_is_made_read_changed_and_removed(rig: Rig) -> None:
    settings = {"timezone": "Europe/Berlin", "language": "de"}
    body = {"id": "acme", "name": "Acme Ltd", "plan": "small", "settings": settings, "workers": 2}
    created = await rig.ask("POST", TENANTS, body)
    assert created.status == 201
    assert header(created, "location") == ACME
    assert created.json | body == created.json
    assert (created.json["status"], created.json["origin"]) == ("active", "api")
    read = await rig.ask("GET", ACME)
    assert (read.status, read.json) == (200, created.json)
    assert header(read, "etag") == header(created, "etag") == f'"{created.json["revision"]}"'
    assert header(read, "cache-control") == "no-store"
    changes = {"name": "Acme", "settings": {"timezone": None}, "workers": None}
    changed = await rig.ask("PATCH", ACME, changes, if_match=header(read, "etag"))
    assert changed.status == 200
    assert changed.json["settings"] == {"timezone": None, "language": "de"}
    assert (changed.json["name"], changed.json["workers"]) == ("Acme", None)
    assert changed.json["plan"] == "small"
    removed = await rig.ask("DELETE", ACME, if_match=header(changed, "etag"))
    assert (removed.status, removed.json["status"]) == (202, "deleted")
    assert removed.json["ends_ms"] > removed.json["deleted_ms"]
    assert (await rig.ask("GET", ACME)).json == removed.json


async def test_entry_names_the_key(rig: Rig) -> None:
    await made(rig)
    await rig.ask("POST", f"{ACME}/suspend")
    page = await rig.audit.reader.page("acme", AuditFilter(), order="oldest")
    entries = [kept.entry for kept in page.entries if kept.entry is not None]
    assert [entry.action for entry in entries] == ["tenant.add", "tenant.suspend"]
    assert {entry.actor for entry in entries} == {f"key:{rig.keys['platform'][4:12]}"}
    assert entries[1].before["status"] == "active"
    assert entries[1].after["status"] == "suspended"


async def test_suspended_tenant_is_resumed(rig: Rig) -> None:
    await made(rig)
    for verb, status in (("suspend", "suspended"), ("suspend", "suspended"), ("resume", "active")):
        reply = await rig.ask("POST", f"{ACME}/{verb}")
        assert (reply.status, reply.json["status"]) == (200, status)


async def test_list_goes_page_by_page(rig: Rig) -> None:
    for tenant in ("c", "a", "d", "b"):
        await made(rig, tenant)
    await rig.ask("DELETE", f"{TENANTS}/d")
    await rig.bucket.put("noise", b"noise")
    first = (await rig.ask("GET", TENANTS, query="limit=2")).json
    assert [one["id"] for one in first["tenants"]] == ["a", "b"]
    last = (await rig.ask("GET", TENANTS, query=f"after={first['next_after']}")).json
    assert [one["id"] for one in last["tenants"]] == ["c"]
    assert (last["next_after"], last["unreadable"]) == (None, ["noise"])
    every = (await rig.ask("GET", TENANTS, query="deleted=true")).json
    assert [one["id"] for one in every["tenants"]] == ["a", "b", "c", "d"]


# ── Revisions ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PATCH", ACME, {"name": "x"}),
        ("POST", f"{ACME}/suspend", None),
        ("POST", f"{ACME}/resume", None),
        ("DELETE", ACME, None),
    ],
    ids=["change", "suspend", "resume", "remove"],
)
async def test_change_for_another_revision_is_refused(
    rig: Rig, method: str, path: str, body: Any
) -> None:
    before = await made(rig)
    for tag in (f'"{before["revision"] + 1}"', '"0"'):
        assert (await rig.ask(method, path, body, if_match=tag)).status == 412
    assert (await rig.ask(method, path, body, if_match="nonsense")).status == 400
    assert (await rig.ask("GET", ACME)).json == before
    assert (await rig.ask(method, path, body, if_match="*")).status in (200, 202)


async def test_known_revision_is_not_told_again(rig: Rig) -> None:
    document = await made(rig)
    tag = f'"{document["revision"]}"'
    same = await rig.ask("GET", ACME, if_none_match=tag)
    assert (same.status, same.body, header(same, "etag")) == (304, b"", tag)
    assert (await rig.ask("GET", ACME, if_none_match='"1000000"')).status == 200


# ── Refusals ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400),
        ({"id": "Acme"}, 400),
        ({"id": "a.b"}, 400),
        ({"id": "x" * 64}, 400),
        ({"id": "acme", "cell": "mine"}, 400),
        ({"id": "acme", "status": "deleted"}, 400),
        ({"id": "acme", "workers": 0}, 400),
        ({"id": "acme", "workers": "2"}, 400),
        ({"id": "acme", "name": ""}, 400),
        ({"id": "acme", "settings": None}, 400),
        ({"id": "acme", "name": "a\nb"}, 422),
        ({"id": "acme", "plan": "gold"}, 422),
        ({"id": "acme", "settings": {"timezone": "Mars"}}, 422),
        ({"id": "acme", "settings": {"language": "\x00"}}, 422),
    ],
    ids=lambda value: json.dumps(value)[:48],
)
async def test_tenant_of_no_sense_is_refused(rig: Rig, body: Any, status: int) -> None:
    reply = await rig.ask("POST", TENANTS, body)
    assert reply.status == status
    assert reply.json["status"] == status
    assert (await rig.ask("GET", ACME)).status == 404


@pytest.mark.parametrize(
    "body",
    [
        {"name": None},
        {"plan": ""},
        {"name": ""},
        {"id": "other"},
        {"settings": None},
        {"cell": "x"},
    ],
    ids=json.dumps,
)
async def test_change_of_no_sense_is_refused(rig: Rig, body: Any) -> None:
    before = await made(rig)
    assert (await rig.ask("PATCH", ACME, body)).status == 400
    assert (await rig.ask("GET", ACME)).json == before


async def test_id_is_taken_by_a_tenant_and_by_its_tombstone(rig: Rig) -> None:
    await made(rig)
    assert (await rig.ask("POST", TENANTS, {"id": "acme"})).status == 409
    removed = await rig.ask("DELETE", ACME)
    refused = await rig.ask("POST", TENANTS, {"id": "acme"})
    assert (refused.status, refused.json["code"]) == (409, "store.conflict")
    assert "until 2023-12-14" in refused.json["detail"]
    for method, path, body in (
        ("PATCH", ACME, {"name": "x"}),
        ("POST", f"{ACME}/suspend", None),
        ("POST", f"{ACME}/resume", None),
    ):
        assert (await rig.ask(method, path, body)).status == 409
    again = await rig.ask("DELETE", ACME)
    assert (again.status, again.json) == (202, removed.json)


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
async def test_tenant_that_is_not_there_is_not_found(rig: Rig, method: str) -> None:
    assert (await rig.ask(method, ACME, {} if method == "PATCH" else None)).status == 404
    tagged = await rig.ask(method, ACME, {} if method == "PATCH" else None, if_match='"1"')
    assert tagged.status == 404


# ── Who may ──────────────────────────────────────────────────────────────────────────────────

CHANGES = (
    ("POST", TENANTS, {"id": "third"}),
    ("PATCH", ACME, {"name": "x"}),
    ("POST", f"{ACME}/suspend", None),
    ("POST", f"{ACME}/resume", None),
    ("DELETE", ACME, None),
    ("GET", TENANTS, None),
)


@pytest.mark.parametrize("key", ["platform-reader", "admin", "reader", "publisher", "other"])
async def test_only_the_platforms_admin_changes_and_lists(rig: Rig, key: str) -> None:
    before = await made(rig)
    for method, path, body in CHANGES:
        assert (await rig.ask(method, path, body, key=key)).status == 403
    assert (await rig.ask("GET", ACME)).json == before
    assert (await rig.ask("GET", f"{TENANTS}/third")).status == 404


async def test_nobody_does_anything_without_a_key(rig: Rig) -> None:
    await made(rig)
    for method, path, body in (*CHANGES, ("GET", ACME, None)):
        assert (await rig.ask(method, path, body, key="")).status == 401


@pytest.mark.parametrize(
    ("key", "status"),
    [("platform", 200), ("platform-reader", 200), ("admin", 200), ("reader", 200),
     ("publisher", 403), ("other", 403)],
)  # fmt: skip
async def test_tenant_is_read_by_its_own_keys(rig: Rig, key: str, status: int) -> None:
    await made(rig)
    assert (await rig.ask("GET", ACME, key=key)).status == status


async def test_key_of_another_tenant_does_not_learn_whether_there_is_one(rig: Rig) -> None:
    await made(rig)
    there = await rig.ask("GET", ACME, key="other")
    nowhere = await rig.ask("GET", f"{TENANTS}/nowhere", key="other")
    assert (there.status, there.body) == (nowhere.status, nowhere.body)

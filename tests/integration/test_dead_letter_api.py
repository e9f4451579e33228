"""The API of dead letters on a real server: who may, what comes, what is refused."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
from starlette.routing import Mount

from actors.testing.continuations import MemoryContinuations
from app.audit.reading import AuditFilter
from app.bootstrap.audit_side import AuditSide
from app.dead_letters.desk import DeadLetterDesk
from app.http.api import ROOT, build_api
from app.http.api_access import ApiAccess
from app.http.dead_letters import BODY_BYTES_MAX, DeadLetterApi
from app.http.pages import build_admin_app
from app.identity.authentication import Authenticator
from app.identity.lock_out import LockOut
from app.identity.principal import Principal
from app.system import SystemClock
from tests.support.bus import DeafObserver
from tests.support.bus_rig import a_rig
from tests.support.ingress import Client, Reply
from tests.support.letters import a_desk, a_letter, park_all

pytestmark = pytest.mark.server

KEYS = {
    "acme-key": Principal.of("acmekey0", "acme", "acme", ["dead_letters"]),
    "other-key": Principal.of("otherkey", "other", "other", ["tenant-operator"]),
    "publish-key": Principal.of("publishk", "publish", "acme", ["publish"]),
}


class Keys:
    """A ring of three keys."""

    def find(self, token: str) -> Principal | None:
        return KEYS.get(token)


def an_access() -> ApiAccess:
    observer = DeafObserver()
    return ApiAccess(Authenticator(Keys(), LockOut(lambda: 0.0), observer), observer)


@dataclass
class Api:
    """The admin address over a desk."""

    client: Client
    desk: DeadLetterDesk
    scheduled: MemoryContinuations
    audit: AuditSide

    async def get(
        self, path: str = "", *, tenant: str = "acme", key: str | None = "acme-key", query: str = ""
    ) -> Reply:
        headers = {} if key is None else {"authorization": f"Bearer {key}"}
        return await self.client.request(
            "GET",
            f"/api/v1/tenants/{tenant}/dead-letters{path}",
            headers=headers,
            query=query.encode(),
        )

    async def post(
        self, path: str, body: Any, *, tenant: str = "acme", key: str = "acme-key"
    ) -> Reply:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return await self.client.request(
            "POST",
            f"/api/v1/tenants/{tenant}/dead-letters/{path}",
            headers={"authorization": f"Bearer {key}"},
            parts=[data],
        )


@pytest.fixture
async def api(nats_server: Any, fresh_env: str) -> AsyncIterator[Api]:
    scheduled = MemoryContinuations()
    async with a_rig(nats_server, fresh_env) as rig, a_desk(rig, scheduled) as desk:
        await park_all(rig, map(a_letter, range(7)))
        await park_all(rig, [a_letter(1, "other", letter_id="theirs")])
        audit = await AuditSide.open(rig.bus, fresh_env, SystemClock(), DeafObserver())
        letters = DeadLetterApi(desk, an_access(), audit.log, SystemClock()).resource()
        routes = [Mount(ROOT, build_api([letters], an_access()))]
        app = build_admin_app(lambda: (), lambda: (b"", "text/plain"), routes)
        yield Api(Client(app), desk, scheduled, audit)
        await audit.close()


@pytest.mark.parametrize(
    ("key", "status", "code"),
    [
        (None, 401, "http.api_key"),
        ("", 401, "http.api_key"),
        ("nobody", 401, "http.api_key"),
        ("publish-key", 403, "http.forbidden"),
        ("other-key", 403, "http.wrong_tenant"),
    ],
    ids=["none", "empty", "unknown", "scope", "tenant"],
)
async def test_only_a_key_of_the_tenant_with_the_scope_opens_it(
    api: Api, key: str | None, status: int, code: str
) -> None:
    for reply in (
        await api.get(key=key),
        await api.get("/r1", key=key),
        await api.post("replay", {"all": True}, key=key or ""),
        await api.post("discard", {"all": True}, key=key or ""),
    ):
        assert (reply.status, reply.json["code"]) == (status, code)
        assert reply.header("content-type") == "application/problem+json"
        if status == 401:
            assert reply.header("www-authenticate") == "Bearer"
    assert (await api.desk.count("acme")).total == 7
    assert api.scheduled.scheduled == {}


async def test_listing_goes_on_from_page_to_page(api: Api) -> None:
    found: list[str] = []
    query = "limit=3&order=oldest"
    while True:
        reply = await api.get(query=query)
        assert reply.status == 200
        assert reply.header("cache-control") == "no-store"
        found += [each["letter_id"] for each in reply.json["letters"]]
        if reply.json["next_after"] is None:
            break
        query = f"limit=3&order=oldest&after={reply.json['next_after']}"
    assert found == [f"r{number}" for number in range(7)]
    reply = await api.get(query="flow=flow1&reason=script&since=1970-01-01T00:00:00Z")
    assert [each["letter_id"] for each in reply.json["letters"]] == ["r1"]
    reply = await api.get(tenant="other", key="other-key")
    assert [each["letter_id"] for each in reply.json["letters"]] == ["theirs"]


async def test_one_letter_is_shown_whole_to_its_tenant_alone(api: Api) -> None:
    reply = await api.get("/r1")
    assert (reply.status, reply.json["event"]["payload"]) == (200, {"n": 1})
    for path in ("/theirs", "/@8", "/*", "/nobody"):
        reply = await api.get(path)
        assert (reply.status, reply.json["code"]) == (404, "store.not_found")


async def test_replay_and_discard_by_ids_filter_and_all(api: Api) -> None:
    reply = await api.post("replay", {"ids": ["r1", "theirs"], "rate": 500})
    assert (reply.status, reply.json["done"], reply.json["failed"]) == (200, 1, 1)
    reply = await api.post("replay", {"filter": {"flow": "flow1"}, "dry_run": True})
    assert (reply.json["dry_run"], reply.json["done"]) == (True, 2)
    reply = await api.post("discard", {"filter": {"flow": "flow1"}, "limit": 1})
    assert (reply.json["done"], reply.json["has_more"]) == (1, True)
    reply = await api.post("replay", {"all": True})
    assert (reply.json["done"], reply.json["failed"], reply.json["has_more"]) == (5, 0, False)
    assert [each.event.id for each in api.scheduled.scheduled.values()] == [
        "e1", "e0", "e2", "e4", "e5", "e6"
    ]  # fmt: skip
    assert (await api.desk.count("other")).total == 1
    page = await api.audit.reader.page("acme", AuditFilter(action="dead_letter"), order="oldest")
    entries = [kept.entry for kept in page.entries if kept.entry is not None]
    assert [(each.action, each.actor, each.source) for each in entries] == [
        ("dead_letter.replay", "key:acmekey0", "api"),
        ("dead_letter.discard", "key:acmekey0", "api"),
        ("dead_letter.replay", "key:acmekey0", "api"),
    ]
    assert entries[0].after["ids"] == ["r1", "theirs"]
    assert entries[1].after["filter"] == {"flow": "flow1"}


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=1001", "limit=x", "after=-1", "order=up", "colour=red", "since=soon",
     "flow=", "flow=a&flow=b", "after=99999999999999999999", "flow=" + "x" * 300],
)  # fmt: skip
async def test_wrong_parameters_are_refused(api: Api, query: str) -> None:
    reply = await api.get(query=query)
    assert (reply.status, reply.json["code"]) == (400, "http.bad_request")


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"no", {}, {"all": False}, {"ids": []}, {"ids": ["r1"], "all": True},
     {"filter": {}}, {"filter": {"colour": "red"}}, {"all": True, "limit": 0},
     {"all": True, "limit": 1001}, {"all": True, "rate": 5000}, {"all": True, "rate": 0},
     {"ids": [1]}, {"filter": {"since": "soon"}}, {"all": "yes"}, {"ids": ["x"] * 1001}],
    ids=str,
)  # fmt: skip
async def test_wrong_orders_change_nothing(api: Api, body: Any) -> None:
    for verb in ("replay", "discard"):
        reply = await api.post(verb, body)
        assert (reply.status, reply.json["code"]) == (400, "http.bad_request")
    assert (await api.desk.count("acme")).total == 7


async def test_discard_has_no_rate_and_bodies_have_a_limit(api: Api) -> None:
    assert (await api.post("discard", {"all": True, "rate": 5})).status == 400
    assert (await api.post("replay", b" " * (BODY_BYTES_MAX + 1))).status == 413
    assert (await api.client.request("DELETE", "/api/v1/tenants/acme/dead-letters")).status == 405


async def test_second_replay_of_a_tenant_waits_its_turn(api: Api) -> None:
    first = asyncio.create_task(api.post("replay", {"all": True, "rate": 20}))
    await asyncio.sleep(0.1)
    reply = await api.post("discard", {"all": True})
    assert (reply.status, reply.json["code"]) == (409, "store.conflict")
    assert (await api.post("discard", {"all": True}, tenant="other", key="other-key")).status == 200
    assert (await first).json["done"] == 7
    assert (await api.post("discard", {"all": True})).status == 200

"""Processes over the API: who may see them, page by page, and not from an old view."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from starlette.routing import Mount

from actors.testing.clock import VirtualClock
from app.fleet.fleet import STALE_SECONDS, Fleet
from app.http.api import ROOT, build_api
from app.http.api_access import ApiAccess
from app.http.pages import build_admin_app
from app.http.worker_api import WorkerApi
from app.identity.authentication import Authenticator
from app.identity.lock_out import LockOut
from app.stores.api_key import PLATFORM, new_text
from tests.support.bus import DeafObserver
from tests.support.fleets import report, twin_bucket
from tests.support.ingress import Client, Reply
from tests.support.key_rings import a_ring, a_stored_key
from tests.support.kv_twin import TwinServer

WORKERS = "/api/v1/workers"


@dataclass
class Rig:
    """The API over a fleet in memory, and a key of each kind."""

    client: Client
    server: TwinServer
    clock: VirtualClock
    keys: dict[str, str]

    async def get(self, path: str = WORKERS, *, key: str = "platform", query: str = "") -> Reply:
        headers = {"authorization": f"Bearer {self.keys[key]}"} if key else {}
        return await self.client.request("GET", path, headers=headers, query=query.encode())

    async def add(self, name: str, **said: object) -> None:
        data = report(name, **said).as_bytes()
        await twin_bucket(self.server).put(f"WORKER.{name}", data, ttl_seconds=10)


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    owners = {
        "platform": (PLATFORM, ("platform-admin",)),
        "reader": (PLATFORM, ("tenant-read",)),
        "tenant": ("acme", ("tenant-admin",)),
    }
    texts = {kind: new_text() for kind in owners}
    clock = VirtualClock()
    stored = [
        a_stored_key(texts[kind], tenant=tenant, scopes=scopes)
        for kind, (tenant, scopes) in owners.items()
    ]
    keys = Authenticator(a_ring(stored, clock), LockOut(clock.monotonic), DeafObserver())
    access = ApiAccess(keys, DeafObserver())
    server = TwinServer(clock)
    fleet = Fleet(twin_bucket(server), clock)
    await fleet.start(server)
    api = Mount(ROOT, build_api([WorkerApi(fleet, access).resource()], access))
    app = build_admin_app(lambda: (), lambda: (b"", "text/plain"), [api])
    yield Rig(Client(app), server, clock, {kind: str(t) for kind, t in texts.items()})
    await fleet.stop()


async def test_processes_are_listed_page_by_page(rig: Rig) -> None:
    for name in ("c", "a", "b"):
        await rig.add(name, acknowledged=7, failed={"acme": "no secret"}, failures=1, hot=("acme",))
    reply = await rig.get(query="limit=2")
    assert reply.status == 200
    assert [each["id"] for each in reply.json["workers"]] == ["a", "b"]
    assert reply.json["next_after"] == "b"
    reply = await rig.get(query="limit=2&after=b")
    assert reply.json["next_after"] is None
    (last,) = reply.json["workers"]
    assert last == {**report("c").as_mapping(), "acknowledged": 7, "failed": {"acme": "no secret"},
                    "failures": 1, "hot": ["acme"]}  # fmt: skip


async def test_one_process_is_shown_while_it_lives(rig: Rig) -> None:
    await rig.add("one", acknowledged=None)
    reply = await rig.get(f"{WORKERS}/one")
    assert (reply.status, reply.json["acknowledged"]) == (200, None)
    assert (await rig.get(f"{WORKERS}/two")).status == 404
    await rig.clock.advance(11)
    assert (await rig.get(f"{WORKERS}/one")).status == 404
    assert (await rig.get()).json == {"workers": [], "next_after": None}


@pytest.mark.parametrize(("key", "status"), [("", 401), ("reader", 403), ("tenant", 403)])
@pytest.mark.parametrize("path", [WORKERS, f"{WORKERS}/one"])
async def test_nobody_but_the_platforms_admin_may_see_them(
    rig: Rig, path: str, key: str, status: int
) -> None:
    await rig.add("one")
    assert (await rig.get(path, key=key)).status == status


async def test_view_that_is_old_is_no_answer(rig: Rig) -> None:
    await rig.add("one")
    rig.server.is_away = True
    await rig.clock.advance(STALE_SECONDS + 1)
    for path in (WORKERS, f"{WORKERS}/one"):
        reply = await rig.get(path)
        assert reply.status == 503
        assert reply.header("retry-after") == "2"

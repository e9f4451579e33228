"""Deployments over the API on a real server: who may, what comes back, what is refused whole."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from starlette.routing import Mount

from app.bus.server_folder import Endpoint
from app.control.secret_desk import SecretDesk
from app.deployments.handover import Receiver
from app.fleet.fleet import Acknowledgement
from app.http import deployment_api
from app.http.api import ROOT, build_api
from app.http.api_access import ApiAccess
from app.http.deployment_api import DeploymentApi
from app.http.pages import build_admin_app
from app.identity.authentication import Authenticator
from app.identity.lock_out import LockOut
from app.identity.principal import Principal
from tests.support.bus import DeafObserver
from tests.support.deployments import DeploymentRig, a_flow, an_archive, deployment_rig
from tests.support.ingress import Client, Reply

pytestmark = pytest.mark.server

SECRET = "events-webhook.secret_key"
CANARY = "canary-28aa-e1"
PLAIN = {"events-webhook": {"secret_header": "x-sig", "secret_key": CANARY}}

_KEYS = {
    "admin": Principal.of("adminkey", "admin", "acme", ["tenant-admin"]),
    "operator": Principal.of("operator", "operator", "acme", ["tenant-operator"]),
    "reader": Principal.of("readkey0", "reader", "acme", ["tenant-read"]),
    "publisher": Principal.of("publish0", "publisher", "acme", ["tenant-publish"]),
    "other": Principal.of("otherkey", "other", "other", ["tenant-admin"]),
    "platform": Principal.of("platform", "platform", None, ["platform-admin"]),
}


class _Ring:
    def find(self, token: str) -> Principal | None:
        return _KEYS.get(token)


@dataclass
class Rig:
    """The API over a rig of deployments."""

    client: Client
    behind: DeploymentRig

    async def ask(
        self, method: str, path: str = "", body: Any = None, *, key: str = "admin", **more: str
    ) -> Reply:
        """Ask for a path below the tenant's; bytes go as a zip, ``query`` and headers in more."""
        query = more.pop("query", "").encode()
        headers = {"authorization": f"Bearer {key}"}
        headers |= {name.replace("_", "-"): value for name, value in more.items()}
        data = b"" if body is None else body
        if isinstance(body, bytes):
            headers.setdefault("content-type", "application/zip")
        elif body is not None:
            data = json.dumps(body).encode()
        where = f"{ROOT}/tenants/acme/deployments{path}"
        return await self.client.request(method, where, headers=headers, parts=[data], query=query)


@pytest.fixture
async def rig(nats_server: Endpoint, fresh_env: str, tmp_path: Path) -> AsyncIterator[Rig]:
    async with deployment_rig(nats_server, fresh_env, tmp_path) as behind:
        await behind.add("acme")
        lock_out = LockOut(behind.clock.monotonic)
        access = ApiAccess(Authenticator(_Ring(), lock_out, DeafObserver()), DeafObserver())
        receiver = Receiver(behind.desk, SecretDesk(behind.secrets, behind.audit.log))
        api = Mount(ROOT, build_api([DeploymentApi(receiver, access).resource()], access))
        yield Rig(Client(build_admin_app(lambda: (), lambda: (b"", "text/plain"), [api])), behind)


def document(reply: Reply) -> Any:
    return json.loads(reply.body)


def header(reply: Reply, name: str) -> str | None:
    found = [value.decode() for key, value in reply.headers if key.decode().lower() == name]
    return found[0] if found else None


async def test_bundle_is_put_in_force_and_the_answer_says_who_runs_it(rig: Rig) -> None:
    reply = await rig.ask("POST", body=an_archive("1.2").content)
    assert reply.status == 201
    told = document(reply)
    assert (told["outcome"], told["before"], told["secrets"]) == ("changed", None, [])
    assert told["deployment"]["bundle"] == an_archive("1.2").digest
    assert told["deployment"]["actor"] == "key:adminkey"
    assert told["workers"] == {
        "acknowledged": ["w1"], "failed": {}, "missing": [], "seconds": 0.1,
    }  # fmt: skip
    assert header(reply, "etag") == f'"{told["revision"]}"'
    (entry,) = await rig.behind.entries()
    assert (entry.actor, entry.source) == ("key:adminkey", "api")
    again = await rig.ask("POST", body=an_archive("1.2").content, query="wait_seconds=0")
    assert (document(again)["outcome"], document(again)["workers"]) == ("unchanged", None)


async def test_worker_that_failed_is_named_and_nothing_is_taken_back(rig: Rig) -> None:
    failed = {"w2": {"acme": "no room"}}
    rig.behind.fleet.answer = Acknowledgement(("w1", "w2"), failed, ("w3",), 9.0)
    told = document(await rig.ask("POST", body=an_archive().content, query="wait_seconds=9"))
    assert told["outcome"] == "changed"
    assert told["workers"]["failed"] == failed
    assert told["workers"]["missing"] == ["w3"]


async def test_secrets_in_an_upload_are_stored_and_leave_the_bundle(rig: Rig) -> None:
    archive = an_archive(answers=PLAIN)
    reply = await rig.ask("POST", body=archive.content)
    assert reply.status == 201
    told = document(reply)
    assert told["secrets"] == [SECRET]
    assert CANARY not in reply.body.decode()
    kept = await rig.behind.store.read_archive(told["deployment"]["bundle"])
    assert kept.digest != archive.digest
    assert await rig.behind.secrets.get("acme", SECRET) == CANARY


@pytest.mark.parametrize(
    ("body", "code"),
    [
        pytest.param(b"no zip", "bundle.invalid", id="no-zip"),
        pytest.param(b"", "bundle.invalid", id="nothing"),
        pytest.param(
            an_archive(flows={"a": a_flow("a", script="let = 1")}, answers=PLAIN).content,
            "bundle.invalid",
            id="a-broken-flow",
        ),
        pytest.param(
            an_archive(answers={"events-webhook": {"public_base_url": "$HOME"}}).content,
            "bundle.invalid",
            id="a-variable-of-the-server",
        ),
    ],
)
async def test_wrong_bundle_is_refused_whole(rig: Rig, body: bytes, code: str) -> None:
    for path in ("", "/diff"):
        reply = await rig.ask("POST", path, body)
        assert reply.status == 422
        told = document(reply)
        assert told["code"] == code
        assert told["problems"]
        assert CANARY not in reply.body.decode()
    assert await rig.behind.store.read("acme") == (None, 0)
    assert await rig.behind.secrets.list("acme") == ()
    assert await rig.behind.entries() == []


async def test_other_media_are_refused(rig: Rig) -> None:
    reply = await rig.ask("POST", "", an_archive().content, content_type="application/json")
    assert reply.status == 415


async def test_history_is_read_in_pages_and_one_by_one(rig: Rig) -> None:
    assert document(await rig.ask("GET", key="reader")) == {"deployments": [], "next_after": None}
    assert (await rig.ask("GET", "/current", key="reader")).status == 404
    for version in ("1", "2", "3"):
        await rig.ask("POST", body=an_archive(version).content)
    first = document(await rig.ask("GET", key="reader", query="limit=2"))
    assert [one["number"] for one in first["deployments"]] == [3, 2]
    rest = document(await rig.ask("GET", key="reader", query=f"after={first['next_after']}"))
    assert ([one["number"] for one in rest["deployments"]], rest["next_after"]) == ([1], None)
    assert document(await rig.ask("GET", "/2", key="reader"))["version"] == "2"
    assert (await rig.ask("GET", "/9", key="reader")).status == 404
    assert (await rig.ask("GET", "/x", key="reader")).status == 400
    current = await rig.ask("GET", "/current", key="reader")
    assert document(current)["triggers"] == ["take#1"]
    tag = header(current, "etag") or ""
    same = await rig.ask("GET", "/current", key="reader", if_none_match=tag)
    assert (same.status, same.body) == (304, b"")


async def test_revision_that_was_seen_guards_every_change(rig: Rig) -> None:
    assert (await rig.ask("POST", body=an_archive().content, if_match="*")).status == 412
    old = header(await rig.ask("POST", body=an_archive("1").content), "etag") or ""
    new = header(await rig.ask("POST", body=an_archive("2").content, if_match=old), "etag") or ""
    for method, path, body in (
        ("POST", "", an_archive("3").content),
        ("POST", "/rollback", {}),
        ("DELETE", "/current", None),
    ):
        assert (await rig.ask(method, path, body, if_match=old)).status == 412
    assert (await rig.ask("POST", "/rollback", {}, if_match=new)).status == 201


async def test_rollback_and_removal(rig: Rig) -> None:
    for version in ("1", "2"):
        await rig.ask("POST", body=an_archive(version).content)
    back = document(await rig.ask("POST", "/rollback", {"number": 1}))
    assert (back["deployment"]["version"], back["before"]) == ("1", 2)
    assert (await rig.ask("POST", "/rollback", {"number": 77})).status == 404
    assert (await rig.ask("POST", "/rollback", {"to": 1})).status == 400
    gone = await rig.ask("DELETE", "/current")
    assert (gone.status, document(gone)["deployment"]["bundle"]) == (200, None)
    assert (await rig.ask("DELETE", "/current")).status == 404
    forth = await rig.ask("POST", "/rollback")
    assert (forth.status, document(forth)["deployment"]["version"]) == (201, "1")


async def test_difference_tells_names(rig: Rig) -> None:
    await rig.ask("POST", body=an_archive().content)
    flows = {"take": a_flow("take"), "more": a_flow("more")}
    reply = await rig.ask("POST", "/diff", an_archive("1", flows, PLAIN).content)
    told = document(reply)
    assert told["flows"] == {"added": ["more"], "removed": [], "changed": [], "not_shown": 0}
    assert SECRET in told["options"]["added"]
    assert CANARY not in reply.body.decode()
    assert await rig.behind.secrets.list("acme") == ()


@pytest.mark.parametrize("key", ["reader", "operator", "publisher", "other", "nobody"])
async def test_only_an_admin_of_the_tenant_changes_anything(rig: Rig, key: str) -> None:
    wanted = {"nobody": 401}.get(key, 403)
    for method, path, body in (
        ("POST", "", an_archive().content),
        ("POST", "/diff", an_archive().content),
        ("POST", "/rollback", {}),
        ("DELETE", "/current", None),
    ):
        assert (await rig.ask(method, path, body, key=key)).status == wanted
    assert await rig.behind.store.read("acme") == (None, 0)
    if key in ("publisher", "other", "nobody"):
        assert (await rig.ask("GET", key=key)).status == wanted


async def test_platform_reaches_every_tenant(rig: Rig) -> None:
    assert (await rig.ask("POST", body=an_archive().content, key="platform")).status == 201
    (entry,) = await rig.behind.entries()
    assert (entry.actor, entry.source, entry.tenant) == ("key:platform", "platform-api", "acme")


async def test_more_bundles_at_once_than_it_reads_are_told_to_come_again(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deployment_api, "AT_ONCE_MAX", 0)
    reply = await rig.ask("POST", body=an_archive().content)
    assert (reply.status, header(reply, "retry-after")) == (503, "2")

"""Events, timers, secrets, logins and flows over the API on a real server."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from actors.quotas.plan import PlanLimits
from app.bus.server_folder import Endpoint
from app.http import event_api, secret_api
from tests.support.tenant_api import OTHER, TENANT, TenantRig, a_tenant_rig

pytestmark = pytest.mark.server


@pytest.fixture
async def rig(nats_server: Endpoint, fresh_env: str, tmp_path: Path) -> AsyncIterator[TenantRig]:
    async with a_tenant_rig(nats_server, fresh_env, tmp_path) as rig:
        yield rig


EVERYTHING: list[tuple[str, str, Any, str]] = [
    ("POST", "events", {"event_type": "a.b", "payload": 1}, "reader"),
    ("GET", "events", None, "publisher"),
    ("GET", "events/@1", None, "publisher"),
    ("POST", "events/@1/resend", None, "reader"),
    ("GET", "runs", None, "publisher"),
    ("GET", "runs/r1", None, "publisher"),
    ("GET", "runs/r1/result", None, "publisher"),
    ("GET", "runs/r1/journal", None, "publisher"),
    ("POST", "runs/r1/cancel", None, "publisher"),
    ("GET", "timers", None, "publisher"),
    ("POST", "timers/nightly/pause", None, "reader"),
    ("POST", "timers/nightly/resume", None, "reader"),
    ("POST", "timers/nightly/run", None, "reader"),
    ("GET", "secrets", None, "operator"),
    ("PUT", "secrets/token", {"value": "v"}, "operator"),
    ("DELETE", "secrets/token", None, "operator"),
    ("GET", "logins", None, "operator"),
    ("POST", "logins", None, "operator"),
    ("DELETE", "logins/abcdefgh", None, "operator"),
    ("GET", "flows", None, "publisher"),
    ("GET", "flows/nightly", None, "publisher"),
]


@pytest.mark.parametrize(
    ("method", "path", "body", "lacking"), EVERYTHING, ids=lambda value: str(value)[:24]
)
async def test_each_operation_is_its_tenants_and_takes_its_scope(
    rig: TenantRig, method: str, path: str, body: Any, lacking: str
) -> None:
    for tenant in (TENANT, "nobody"):
        key = "other"
        foreign = await rig.ask(method, path, body, key=key, tenant=tenant)
        assert (foreign.status, foreign.json["code"]) == (403, "http.wrong_tenant")
    weak = await rig.ask(method, path, body, key=lacking)
    assert (weak.status, weak.json["code"]) == (403, "http.forbidden")
    assert (await rig.ask(method, path, body, key="nobody")).status == 401
    assert await rig.audited("event") == await rig.audited("secret") == []


# ── Events ───────────────────────────────────────────────────────────────────────────────────


async def test_an_event_is_published_read_listed_and_sent_again(rig: TenantRig) -> None:
    wanted = {"event_type": "order.created", "payload": {"n": 1}, "id": "o/1", "source": "erp"}
    made = await rig.ask("POST", "events", wanted, key="publisher")
    assert (made.status, made.json) == (
        202, {"event_id": "o/1", "sequence": 1, "duplicate": False},
    )  # fmt: skip
    again = await rig.ask("POST", "events", wanted, key="publisher")
    assert (again.status, again.json["duplicate"]) == (202, True)
    for name in ("o%2F1", "@1"):
        read = await rig.ask("GET", f"events/{name}", key="reader")
        assert (read.status, read.json["payload"], read.json["source"]) == (200, {"n": 1}, "erp")
    resent = await rig.ask("POST", "events/o%2F1/resend", key="operator")
    assert (resent.status, resent.json["sequence"]) == (202, 2)
    listed = await rig.ask("GET", "events?event_type=order.*&limit=1", key="reader")
    [event] = listed.json["events"]
    assert (event["id"], event["causation_id"], event["test"]) == (
        resent.json["event_id"], "o/1", True,
    )  # fmt: skip
    assert "payload" not in event
    assert listed.json["next_after"] == 2
    listed = await rig.ask("GET", "events?event_type=order.*&limit=1&after=2", key="reader")
    assert ([each["id"] for each in listed.json["events"]], listed.json["next_after"]) == (
        ["o/1"], None,
    )  # fmt: skip
    assert [entry.actor for entry in await rig.audited("event.resend")] == ["key:operator"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"event_type": "timer.x.1", "payload": 1}, 422),
        ({"event_type": "email.received", "payload": 1}, 422),
        ({"event_type": "order.result", "payload": 1}, 422),
        ({"event_type": "order.created"}, 400),
        ({"event_type": "order.created", "payload": 1, "tenant": OTHER}, 400),
        ({"event_type": "order.created", "payload": 1, "source": "timer"}, 422),
        ({"event_type": "order.created", "payload": 1, "metadata": {"signature": "x"}}, 422),
        (b'{"event_type": "order.created", "payload": NaN}', 400),
        (b"[" * 100_000, 400),
        (b'{"event_type": "a.b", "payload": ' + b"[" * 70 + b"]" * 70 + b"}", 422),
        ({"event_type": "order.created", "payload": "x" * 790_000}, 422),
        ({"event_type": "order.created", "payload": "x" * event_api.BODY_BYTES_MAX}, 413),
    ],
    ids=str,
)
async def test_what_is_no_event_of_the_api_is_refused(
    rig: TenantRig, body: Any, status: int
) -> None:
    reply = await rig.ask("POST", "events", body)
    assert reply.status == status, reply.json
    assert (await rig.ask("GET", "events")).json["events"] == []


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("since=yesterday", 400),
        ("order=odd", 400),
        ("limit=0", 400),
        ("limit=1001", 400),
        ("after=-1", 400),
        ("event_type=order.result", 422),
        ("since=9999-12-31T23:59:59Z", 200),
        ("until=9999-12-31T23:59:59-12:00", 200),
        ("since=9999-12-31T23:59:59-12:00&order=oldest", 200),
    ],
)
async def test_a_listing_takes_what_makes_sense(rig: TenantRig, query: str, status: int) -> None:
    assert (await rig.ask("GET", f"events?{query}")).status == status


async def test_a_platform_key_sees_that_a_tenant_is_not_there(rig: TenantRig) -> None:
    body = {"event_type": "a.b", "payload": 1}
    for method, path in (
        ("GET", "events"),
        ("POST", "events"),
        ("GET", "flows"),
        ("GET", "timers"),
    ):
        given = body if method == "POST" else None
        reply = await rig.ask(method, path, given, key="platform", tenant="nobody")
        assert (reply.status, reply.json["code"]) == (404, "http.unknown_tenant")


async def test_a_tenant_over_its_quota_is_told_when_to_come_back(rig: TenantRig) -> None:
    rig.side.quotas.of(TENANT).adopt(PlanLimits(events_per_second=1))
    statuses = []
    for _ in range(8):
        reply = await rig.ask("POST", "events", {"event_type": "a.b", "payload": 1})
        statuses.append(reply.status)
        if reply.status == 429:
            assert reply.header("retry-after")
    assert 429 in statuses
    assert statuses[0] == 202


# ── Timers ───────────────────────────────────────────────────────────────────────────────────


async def test_timers_are_listed_paused_and_resumed(rig: TenantRig) -> None:
    listed = await rig.ask("GET", "timers?limit=2&firings=2", key="reader")
    assert listed.status == 200, listed.json
    names = [timer["timer"] for timer in listed.json["timers"]]
    assert (names, listed.json["next_after"]) == (["nightly#1", "orders/new#1"], "orders/new#1")
    second = listed.json["timers"][1]
    assert (second["timezone"], second["paused"], second["last"]) == ("Europe/Riga", False, None)
    assert [firing["at"][11:16] for firing in second["next"]] == ["04:00", "04:00"]
    rest = await rig.ask("GET", "timers?after=orders/new%231&firings=0", key="reader")
    assert [timer["timer"] for timer in rest.json["timers"]] == ["orders/new#2"]

    paused = await rig.ask("POST", "timers/orders/new/pause", key="operator")
    assert (paused.status, [one["paused"] for one in paused.json["timers"]]) == (200, [True, True])
    await rig.ask("POST", "timers/orders/new%231/resume", key="operator")
    listed = await rig.ask("GET", "timers", key="reader")
    assert [timer["paused"] for timer in listed.json["timers"]] == [False, False, True]
    entries = await rig.audited("timer")
    assert [(entry.action, entry.target) for entry in entries] == [
        ("timer.resume", "orders/new#1"),
        ("timer.pause", "orders/new#2"),
        ("timer.pause", "orders/new#1"),
    ]


async def test_a_timer_is_fired_by_hand_also_while_it_is_paused(rig: TenantRig) -> None:
    await rig.ask("POST", "timers/nightly/pause", key="operator")
    fired = await rig.ask("POST", "timers/nightly/run", key="operator")
    assert (fired.status, fired.json["timer"]) == (202, "nightly#1")
    event = (await rig.ask("GET", f"events/{fired.json['event_id']}")).json
    assert (event["event_type"], event["source"]) == ("timer.nightly.1", "timer")
    assert event["payload"]["by_hand"] is True
    [timer, *_] = (await rig.ask("GET", "timers")).json["timers"]
    assert timer["last"]["at_ms"] == event["payload"]["scheduled_ms"]
    assert [entry.target for entry in await rig.audited("timer.run")] == ["nightly#1"]
    assert (await rig.ask("POST", f"events/{event['id']}/resend")).status == 422


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("timers/none/pause", 404),
        ("timers/nightly%232/run", 404),
        ("timers/orders/new/run", 409),
        ("timers/NIGHTLY/resume", 422),
        ("timers/..%2Fother/pause", 422),
    ],
)
async def test_a_timer_that_is_not_there_is_refused(rig: TenantRig, path: str, status: int) -> None:
    assert (await rig.ask("POST", path)).status == status
    assert await rig.audited("timer") == []


# ── Secrets ──────────────────────────────────────────────────────────────────────────────────


async def test_a_secret_goes_in_and_never_comes_out(rig: TenantRig) -> None:
    value = "hush-hush-\u00fc"
    assert (await rig.ask("PUT", "secrets/crm.token", {"value": value})).status == 204
    assert (await rig.ask("PUT", "secrets/alpha", {"value": "a"})).status == 204
    assert await rig.secrets.get(TENANT, "crm.token") == value
    assert await rig.secrets.get(OTHER, "crm.token") is None
    listed = await rig.ask("GET", "secrets?limit=1")
    assert listed.json == {"secrets": ["alpha"], "next_after": "alpha"}
    listed = await rig.ask("GET", "secrets?after=alpha")
    assert listed.json == {"secrets": ["crm.token"], "next_after": None}
    assert (await rig.ask("GET", "secrets/crm.token")).status == 405
    assert (await rig.ask("DELETE", "secrets/crm.token")).status == 204
    assert (await rig.ask("DELETE", "secrets/crm.token")).status == 404
    entries = await rig.audited("secret")
    assert [entry.action for entry in entries] == ["secret.remove", "secret.set", "secret.set"]
    assert "hush" not in json.dumps([entry.as_mapping() for entry in entries])


@pytest.mark.parametrize(
    ("name", "body", "status"),
    [
        ("1st", {"value": "canary-x"}, 422),
        ("a b", {"value": "canary-x"}, 422),
        ("ok", {"value": ""}, 400),
        ("ok", {"value": 5}, 400),
        ("ok", {"value": "canary-x", "more": 1}, 400),
        ("ok", {"value": "canary-x" * 10_000}, 400),
        ("ok", {"value": "\u00fc" * 40_000}, 422),
        ("ok", {"value": "x" * secret_api.BODY_BYTES_MAX}, 413),
        ("ok", b'{"value": "canary-x\\ud800"}', 400),
        ("ok", b'"canary-x"', 400),
    ],
    ids=lambda value: str(value)[:24],
)
async def test_a_bad_secret_is_refused_and_not_repeated(
    rig: TenantRig, name: str, body: Any, status: int
) -> None:
    reply = await rig.ask("PUT", f"secrets/{name}", body)
    assert reply.status == status, reply.json
    assert b"canary" not in reply.body
    assert await rig.secrets.list(TENANT) == ()


# ── Logins ───────────────────────────────────────────────────────────────────────────────────


async def test_a_login_is_issued_listed_and_revoked(rig: TenantRig) -> None:
    made = await rig.ask("POST", "logins", {"name": "erp", "expires": "7d"})
    assert made.status == 201, made.json
    assert made.json["seed"].startswith("SU")
    lifetime_ms = made.json["expires_ms"] - made.json["created_ms"]
    assert abs(lifetime_ms - 7 * 86_400_000) < 5000
    forever = await rig.ask("POST", "logins", {"expires": "never"})
    assert (forever.json["expires_ms"], forever.json["name"]) == (None, "client")
    login = dict(made.json)
    seed = login.pop("seed")
    listed = await rig.ask("GET", "logins")
    assert login in listed.json["logins"]
    assert seed.encode() not in listed.body
    first = await rig.ask("GET", "logins?limit=1")
    after = first.json["next_after"]
    second = await rig.ask("GET", f"logins?after={after}")
    assert len(first.json["logins"]) == len(second.json["logins"]) == 1
    assert (await rig.ask("DELETE", f"logins/{made.json['id']}")).status == 204
    assert (await rig.ask("DELETE", f"logins/{made.json['id']}")).status == 204
    assert (await rig.ask("DELETE", "logins/zzzzzzzz")).status == 404
    entries = await rig.audited("login")
    assert [entry.action for entry in entries] == ["login.revoke", "login.issue", "login.issue"]
    assert seed not in json.dumps([entry.as_mapping() for entry in entries])


@pytest.mark.parametrize("body", [{"expires": "soon"}, {"expires": "0s"}, {"name": ""}, {"x": 1}])
async def test_a_login_that_makes_no_sense_is_refused(rig: TenantRig, body: Any) -> None:
    assert (await rig.ask("POST", "logins", body)).status in {400, 422}
    assert (await rig.ask("GET", "logins")).json["logins"] == []


async def test_there_is_an_end_to_logins(rig: TenantRig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.accounts.logins.LOGINS_MAX", 1)
    assert (await rig.ask("POST", "logins")).status == 201
    assert (await rig.ask("POST", "logins")).status == 409


# ── Flows ────────────────────────────────────────────────────────────────────────────────────


async def test_flows_are_listed_by_name(rig: TenantRig) -> None:
    listed = await rig.ask("GET", "flows?limit=1", key="reader")
    assert listed.status == 200, listed.json
    assert [flow["name"] for flow in listed.json["flows"]] == ["nightly"]
    listed = await rig.ask("GET", f"flows?after={listed.json['next_after']}", key="reader")
    [flow] = listed.json["flows"]
    assert (flow["name"], flow["version"], flow["nodes"]) == ("orders/new", "3", 3)
    assert flow["trigger_types"] == ["event", "timer", "timer"]
    assert listed.json["next_after"] is None


async def test_a_flow_is_shown_with_its_graph_and_findings(rig: TenantRig) -> None:
    reply = await rig.ask("GET", "flows/orders/new", key="reader")
    assert reply.status == 200, reply.json
    flow = reply.json
    assert flow["control"]["concurrency"] == {"limit": 2, "key": "payload.customer"}
    assert (flow["timeout_ms"], flow["lane"], flow["description"]) == (
        5000, "orders.new", "Takes orders.",
    )  # fmt: skip
    first, second, _ = flow["triggers"]
    assert (first["event_type"], first["has_filter"], first["since_sequence"]) == (
        "order.*",
        True,
        7,
    )
    assert second["schedule"]["timezone"] == "Europe/Riga"
    edges = {(edge["from"], edge["to"], edge["kind"]) for edge in flow["graph"]["edges"]}
    assert {("trigger:1", "big", "trigger"), ("big", "say", "condition")} <= edges
    assert {node["id"] for node in flow["graph"]["nodes"]} >= {"big", "say", "lost", "trigger:1"}
    assert [found["code"] for found in flow["findings"]] == ["flow.unreachable_node"]
    many = await asyncio.gather(*(rig.ask("GET", "flows/orders/new") for _ in range(5)))
    assert all(each.json == flow for each in many)


async def test_a_flow_that_is_not_in_force_is_not_found(rig: TenantRig) -> None:
    for path in ("flows/none", "flows/orders", "flows/..%2F..%2Fother%2Fflows"):
        assert (await rig.ask("GET", path)).status == 404

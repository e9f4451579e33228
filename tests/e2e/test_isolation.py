"""One tenant tries to reach another through every door of a real program, and nothing crosses.

At each door the attacker uses what it really has: its API key, its flows, its own address. Then the
victim's part of every stream and bucket is compared with what it was, message by message, and all
that the attacker got to see is searched for the victim's mark (`tests.support.two_tenants`). The
bus itself is the door of tests/integration/test_bus_isolation.py.
"""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from dataclasses import fields
from typing import Any
from urllib.parse import urlencode

import pytest
import pytest_asyncio
from prometheus_client.parser import text_string_to_metric_families
from twilio.request_validator import RequestValidator

from actors.ids import run_id
from actors.ports import StateScope
from app.bootstrap.api_side import ApiParts, api_resources
from app.http.api import ROOT
from app.http.api_route import ANY_KEY, ApiRoute
from app.stores.state import bucket_key
from tests.support import twilio
from tests.support.thieving_flows import APPS, MANIFEST
from tests.support.two_tenants import ATTACKER, MARK, VICTIM, TwoTenants, signed, two_tenants

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[TwoTenants]:
    """The program, with something of the victim's at every place."""
    async with two_tenants(tmp_path_factory.mktemp("isolation"), APPS, MANIFEST) as world:
        await world.ask("keep.asked", {"value": MARK}, VICTIM)
        await world.ask("order.failed", {"value": MARK}, VICTIM, "fail")
        await world.post(VICTIM, "sleep.asked", {"for": "1h", "value": MARK})
        await world.ask("private.asked", MARK, VICTIM, "private/keep")
        await asyncio.sleep(1)
        yield world


async def the_letter(world: TwoTenants) -> dict[str, Any]:
    path = f"/api/v1/tenants/{VICTIM}/dead-letters"
    letters = (await world.api("GET", path, VICTIM)).json()["letters"]
    return dict(next(each for each in letters if each["flow"] == "fail"))


async def letters_kept(world: TwoTenants) -> list[Any]:
    return [one.data for one in await world.stored(VICTIM) if one.stream == "DEAD-dev"]


# ── HTTP ─────────────────────────────────────────────────────────────────────────────────────

OTHERS = (
    VICTIM, "ACME-EU", "acme%2Deu", "%61cme-eu", "acme/../acme-eu", "acme%2f..%2facme-eu",
    "acme/%2e%2e/acme-eu", "./acme-eu", "/acme-eu", "acme;acme-eu", "acme-eu;acme", "acme-eu%00",
    "acme-eu%20", "acme-eu.", "acme-eu#acme", "acme\u2010eu", "\uff41cme-eu", "acme-eu%0d%0a",
    "*", "%3E", ">", "_bundle", "acme,acme-eu", "acme.acme-eu", "acme\\..\\acme-eu",
)  # fmt: skip
LINE = b'{"event_type": "twin.asked", "payload": {"for": "0s"}}\n'


async def test_a_key_opens_no_batch_route_but_its_own(world: TwoTenants) -> None:
    headers = {
        "authorization": f"Bearer {world.keys[ATTACKER]}",
        "content-type": "application/x-ndjson",
    }
    async with world.victim_unharmed():
        for other in OTHERS:
            for target in (f"/events/batch/{other}", f"http://{VICTIM}/events/batch/{other}"):
                status, said = await world.raw(target, LINE, headers)
                assert 400 <= status < 500, (target, said)
        for target in (
            f"/events/batch/{ATTACKER}/../{VICTIM}", f"//events/batch/{VICTIM}",
            f"/events//batch/{VICTIM}", f"/events/batch/{ATTACKER}/{VICTIM}",
            f"/events/webhook/../batch/{VICTIM}", f"/events/batch/{VICTIM}/", "/events/batch/",
        ):  # fmt: skip
            status, said = await world.raw(target, LINE, headers)
            assert 400 <= status < 500, (target, said)


async def test_a_key_signs_no_webhook_and_a_signature_no_other_url(world: TwoTenants) -> None:
    own = f"{twilio.BASE}/events/sms/twilio/{ATTACKER}/incoming"
    body = urlencode(twilio.INCOMING).encode()
    signature = RequestValidator(twilio.TOKEN).compute_signature(own, twilio.INCOMING)
    sms = {"content-type": twilio.FORM, "x-twilio-signature": signature}
    key = {
        "authorization": f"Bearer {world.keys[ATTACKER]}",
        "content-type": "application/json",
    }
    async with world.victim_unharmed():
        for other in OTHERS:
            status, said = await world.raw(f"/events/webhook/{other}/twin.asked", b"{}", key)
            assert 400 <= status < 500, (other, said)
            target = f"/events/sms/twilio/{other}/incoming"
            status, said = await world.raw(target, body, sms)
            assert 400 <= status < 500, (other, said)
            status, said = await world.raw(f"/events/email/sendgrid/{other}/inbound", b"{}", key)
            assert 400 <= status < 500, (other, said)
    status, said = await world.raw(f"/events/sms/twilio/{ATTACKER}/incoming", body, sms)
    assert status == 200, said


STEERING = {
    "host": VICTIM,
    "x-forwarded-host": VICTIM,
    "x-forwarded-prefix": f"/events/batch/{VICTIM}",
    "x-original-url": f"/events/batch/{VICTIM}",
    "x-rewrite-url": f"/events/batch/{VICTIM}",
    "x-forwarded-for": "10.0.0.1",
    "x-tenant": VICTIM,
    "x-tenant-id": VICTIM,
    "greentic-tenant": VICTIM,
    "greentic-reply": f"greentic.events.dev.{VICTIM}.twin.asked",
    "greentic-hops": "31",
    "greentic-event-id": "01HZZZZZZZZZZZZZZZZZZZZZZZ",
    "nats-msg-id": "steered",
    "nats-expected-stream": f"EVENTS-dev-T-{VICTIM}",
    "nats-schedule-target": f"greentic.events.dev.{VICTIM}.twin.asked",
    "ce-subject": VICTIM,
    "ce-tenant": VICTIM,
    "traceparent": "00-" + "a" * 32 + "-" + "b" * 16 + "-01",
}


async def test_no_header_and_no_query_steers_an_event(world: TwoTenants) -> None:
    headers = {
        **STEERING,
        "authorization": f"Bearer {world.keys[ATTACKER]}",
        "content-type": "application/x-ndjson",
    }
    event = {
        "specversion": "1.0", "id": "1", "type": "steered.asked", "tenant": VICTIM, "data": MARK[:5],
        "source": f"/tenants/{VICTIM}", "subject": f"greentic.events.dev.{VICTIM}.twin.asked",
    }  # fmt: skip
    body = (
        json.dumps(event).encode()
        + b'\n{"event_type": "steered.asked", "payload": {"tenant": "acme-eu", "tenant_id": "acme-eu"}}\n'
    )
    async with world.victim_unharmed():
        target = f"/events/batch/{ATTACKER}?tenant={VICTIM}&tenant_id={VICTIM}&env=prod"
        status, said = await world.raw(target, body, headers)
        assert status == 202, said
    subject = f"greentic.events.dev.{ATTACKER}.steered.asked"
    stored = [one for one in await world.stored(ATTACKER) if one.subject == subject]
    assert len(stored) == 2
    for one in stored:
        carried = {name.lower(): value for name, value in one.headers.items()}
        assert not {"greentic-reply", "greentic-hops", "nats-schedule-target"} & carried.keys()
        assert carried["nats-msg-id"] != "steered"
        assert carried["greentic-event-id"] != STEERING["greentic-event-id"]


# ── The API ──────────────────────────────────────────────────────────────────────────────────


class Nothing:
    """Stands for every desk: what operations ask is not needed to name them."""

    def __getattr__(self, name: str) -> "Nothing":
        return self


def api_routes() -> list[ApiRoute]:
    """All operations below /api/v1 that do not take just any key."""
    parts: dict[str, Any] = {field.name: Nothing() for field in fields(ApiParts)}
    resources = api_resources(ApiParts(**parts))
    routes = [route for resource in resources for route in resource.routes]
    return [route for route in routes if route.operation.scope != ANY_KEY]


TENANTS_IN_PATHS = (
    VICTIM, "*", "-", "ACME-EU", "acme%2Deu", "%2e%2e", "acme%2facme-eu", "acme%00", "%3E",
    "acme.%2A", "acme-eu%20", "acme%0aacme-eu", "_bundle", "nobody", "%F0%9F%92%A3",
)  # fmt: skip
OWN_PAGES = (
    "audit", "keys", "usage", "dead-letters", "events", "runs", "timers", "secrets", "logins", "flows",
)  # fmt: skip
BODIES: dict[str, dict[str, Any]] = {
    "events": {"event_type": "twin.asked", "payload": 1},
    "cancel": {"reason": "mine"},
    "logins": {"name": "mine"},
    "{name}": {"value": "mine"},
    "replay": {"all": True},
    "discard": {"all": True},
    "rotate": {},
    "keys": {"name": "mine", "scopes": ["tenant-admin"]},
}


async def test_a_key_opens_no_route_of_another_tenant_nor_of_the_platform(
    world: TwoTenants,
) -> None:
    letter = await the_letter(world)
    prefix = world.keys[VICTIM][4:12]
    async with world.victim_unharmed():
        for route in api_routes():
            for tenant in TENANTS_IN_PATHS:
                path = ROOT + route.path.replace("{tenant}", tenant).replace("{prefix}", prefix)
                path = path.replace("{letter}", letter["letter_id"])
                for method in sorted(route.methods or ()):
                    body = BODIES.get(path.rpartition("/")[2])
                    answer = await world.api(method, path, json=body)
                    assert 400 <= answer.status_code < 500, (method, path, answer.text)
                    if tenant == VICTIM or "{tenant}" not in route.path:
                        assert answer.status_code == 403, (method, path, answer.text)
        for query in (f"tenant={VICTIM}", f"tenant={VICTIM}&tenant={ATTACKER}"):
            for path in OWN_PAGES:
                own = f"/api/v1/tenants/{ATTACKER}/{path}?{query}"
                answer = await world.api("GET", own)
                assert answer.status_code in (200, 400), (own, answer.text)
                assert prefix not in answer.text
                assert letter["letter_id"] not in answer.text


async def test_the_others_letters_are_out_of_reach_by_id_place_and_cursor(
    world: TwoTenants,
) -> None:
    letter = await the_letter(world)
    kept = await letters_kept(world)
    (place,) = [one.sequence for one in await world.stored(VICTIM) if one.stream == "DEAD-dev"]
    root = f"/api/v1/tenants/{ATTACKER}/dead-letters"
    names = [
        letter["letter_id"],
        f"@{place}",
        "*",
        ">",
        "@0",
        letter["event_id"],
        f"*.{letter['letter_id']}",
    ]
    async with world.victim_unharmed():
        for name in names:
            assert (await world.api("GET", f"{root}/{name}")).status_code in (400, 404), name
        for query in (
            f"after={place + 1}", f"after={place - 1}&order=oldest", f"event_id={letter['event_id']}",
            "order=oldest", "flow=fail", "since=1h", "event_id=*", "event_id=%3E",
        ):  # fmt: skip
            listed = await world.api("GET", f"{root}?{query}")
            assert (listed.status_code, listed.json()["letters"]) == (200, []), query
        for verb in ("replay", "discard"):
            orders: tuple[dict[str, Any], ...] = (
                {"ids": names}, {"all": True}, {"filter": {"event_id": letter["event_id"]}},
                {"filter": {"flow": "fail"}},
            )  # fmt: skip
            for order in orders:
                report = (await world.api("POST", f"{root}/{verb}", json=order)).json()
                assert report["done"] == 0, (verb, order, report)
        path = f"/api/v1/tenants/{ATTACKER}/keys/{world.keys[VICTIM][4:12]}"
        assert (await world.api("POST", f"{path}/rotate", json={})).status_code == 404
        assert (await world.api("DELETE", path)).status_code == 404
    assert await letters_kept(world) == kept


# ── Identities that both use ─────────────────────────────────────────────────────────────────


async def test_the_same_delivery_is_each_tenants_own(world: TwoTenants) -> None:
    """Nothing is swallowed as the other's repeat, and no repeat redrives the other's letters."""
    named = {"x_github_delivery": "d-1"}
    mine = await world.post(ATTACKER, "order.failed", {"value": "mine"}, **named)
    theirs = await world.post(VICTIM, "order.failed", {"value": MARK}, **named)
    assert mine["event_id"] != theirs["event_id"]
    for tenant, accepted in ((ATTACKER, mine), (VICTIM, theirs)):
        result = await world.result_of(tenant, "order.failed", accepted["event_id"], "fail")
        assert result["status"] == "failed"
    await asyncio.sleep(1)
    async with world.victim_unharmed():
        for _ in range(2):  # a sender's repeat, which redrives the sender's own letters
            again = await world.post(ATTACKER, "order.failed", {"value": "mine"}, **named)
            assert again["event_id"] == mine["event_id"]
            await asyncio.sleep(0.5)
    results = await world.events(ATTACKER, "order.failed.result")
    assert len(results) >= 2


async def test_the_same_event_id_is_two_events_two_runs_two_journals(world: TwoTenants) -> None:
    event = {
        "id": "same-for-both", "event_type": "twin.asked", "source": "api", "timestamp": 1,
        "payload": {"for": "1s"},
    }  # fmt: skip
    jetstream = world.bus.jetstream()
    for tenant in (ATTACKER, VICTIM):
        ack = await jetstream.publish(
            f"greentic.events.dev.{tenant}.twin.asked",
            json.dumps(event).encode(),
            headers={"Nats-Msg-Id": "same-for-both"},
        )
        assert not ack.duplicate
    run = run_id("same-for-both", "twin")
    for tenant in (ATTACKER, VICTIM):
        result = await world.result_of(tenant, "twin.asked", "same-for-both")
        assert (result["status"], result["run_id"]) == ("completed", run)
        told = await world.events(tenant, "twin.told")
        ours = [each for each in told if each["metadata"]["causation_id"] == "same-for-both"]
        assert [each["payload"] for each in ours] == [{"of": tenant}]
        journals = [one for one in await world.stored(tenant) if run in one.subject.split(".")]
        assert any(one.stream.startswith("JOURNAL") for one in journals)


async def test_the_others_run_cannot_be_cancelled(world: TwoTenants) -> None:
    (event,) = await world.events(VICTIM, "sleep.asked")
    run = run_id(event["id"], "sleep")
    places = [one.subject for one in await world.stored(VICTIM)]
    assert f"greentic.work.dev.{VICTIM}.at.{run}" in places
    async with world.victim_unharmed():
        code, said = await world.cli("run", "cancel", run, "--tenant", ATTACKER, "--json")
        assert code == 0, said
        found = json.loads(said)
        assert (found["in_hand"], found["was_asleep"]) == (0, False)
        code, _ = await world.cli("run", "cancel", "*", "--tenant", ATTACKER)
        assert code != 0


async def test_a_lane_is_its_tenants_alone(world: TwoTenants) -> None:
    """The attacker's run holds the only place of a lane that both tenants have."""
    await world.post(ATTACKER, "hold.asked", {"for": "1h"})
    await world.post(ATTACKER, "line.asked", {"for": "1h", "key": "k"})
    await asyncio.sleep(1)
    for name in ("hold.asked", "line.asked"):
        result = await world.ask(name, {"for": "0s", "key": "k"}, VICTIM)
        assert result["status"] == "completed"


async def test_a_timer_is_paused_for_its_tenant_alone(world: TwoTenants) -> None:
    async with world.victim_unharmed():
        code, said = await world.cli("timer", "pause", "clock", "--tenant", ATTACKER)
        assert code == 0, said
        odd = f"{VICTIM}.timer.clock.1"
        code, _ = await world.cli("timer", "pause", odd, "--tenant", ATTACKER)
        assert code != 0
    words = [one.subject for one in await world.stored() if one.stream == "KV_timers-dev"]
    assert words == [f"$KV.timers-dev.{ATTACKER}.timer.clock.1"]


# ── Flows ────────────────────────────────────────────────────────────────────────────────────

TYPES = (
    f"{VICTIM}.keep.asked", "keep.asked", "keep.asked.result", "timer.clock.1", "email.received",
    f"..{VICTIM}.keep.asked", f"x.{VICTIM}.keep.asked", ">", "*", "acme-eu keep", "a\r\nb", "",
)  # fmt: skip


async def test_triggers_of_every_width_see_their_own_tenant_only(world: TwoTenants) -> None:
    accepted = await world.post(VICTIM, "acme-eu.said", {"value": MARK})
    await world.post(ATTACKER, "said.something", {"value": 1})
    spied: list[dict[str, Any]] = []
    async with asyncio.timeout(10):  # until they have taken what is their own
        while not {"all", "stars"} <= {each["flow"] for each in spied}:
            await asyncio.sleep(0.2)
            spied = [
                json.loads(one.data)
                for one in await world.stored(ATTACKER)
                if one.subject.endswith(".result")
            ]
    await asyncio.sleep(1)
    assert accepted["event_id"] not in {each["event_id"] for each in spied}
    await world.check_no_leak()


async def test_a_flow_emits_into_its_own_tenant_only(world: TwoTenants) -> None:
    async with world.victim_unharmed():
        results = await asyncio.gather(*(world.ask("emit.asked", {"type": kind}) for kind in TYPES))
    emitted = [each for each in results if each["output"] and "event_id" in each["output"]]
    assert len(emitted) >= 2
    subjects = {one.subject for one in await world.stored(ATTACKER)}
    assert f"greentic.events.dev.{ATTACKER}.{VICTIM}.keep.asked" in subjects


def odd_keys() -> list[str]:
    """Keys that look like the victim's, or like a way out."""
    place = bucket_key(StateScope(VICTIM), "pin")
    token = base64.urlsafe_b64encode(b"pin").decode().rstrip("=")
    return [
        "pin", place, f"$KV.state-dev.{place}", f"../{place}", f"..{VICTIM}.-.-.x{token}", f"x{token}",
        token, f"{VICTIM}/pin", f"{VICTIM}.pin", "*", ">", "..", ".", "a\x00b", f"\n{place}",
        "pin\u200b", "\u202epin",
    ]  # fmt: skip


async def test_no_key_of_state_is_another_tenants(world: TwoTenants) -> None:
    keys = odd_keys()
    scopes: list[dict[str, Any]] = [
        {}, {"team_id": VICTIM}, {"team_id": f"-.-.{VICTIM}", "session_id": "../../acme-eu"},
        {"tenant_id": VICTIM, "tenant": VICTIM, "session_id": ">"},
    ]  # fmt: skip
    async with world.victim_unharmed():
        asked = [{"key": key, **scope} for key in keys for scope in scopes]
        for kind in ("read", "write", "script", "remove"):
            ids = await asyncio.gather(
                *(world.post(ATTACKER, f"{kind}.asked", payload) for payload in asked)
            )
            await asyncio.gather(
                *(world.result_of(ATTACKER, f"{kind}.asked", each["event_id"]) for each in ids[-1:])
            )
        await asyncio.sleep(1)
    for one in await world.stored():
        if one.stream == "KV_state-dev" and not one.is_of(VICTIM):
            assert one.subject.startswith(f"$KV.state-dev.{ATTACKER}."), one.subject


async def test_no_flow_of_another_tenant_is_called_or_started(world: TwoTenants) -> None:
    names = ("private/keep", "keep", f"{VICTIM}/private/keep", "../private/keep", f"{VICTIM}.keep")
    async with world.victim_unharmed():
        called, started = [
            await asyncio.gather(*(world.ask(kind, {"flow": name}) for name in names))
            for kind in ("call.asked", "start.asked")
        ]
        await asyncio.sleep(1)
    for result in called:
        assert "no flow" in str(result["output"]), result
    assert {result["output"]["flow"] for result in started} == set(names)
    ended = await world.events(ATTACKER, "start.asked.result")
    assert not [each for each in ended if each["flow"] in names and each["output"]]


async def test_functions_of_an_app_are_its_own(world: TwoTenants) -> None:
    theirs = await world.ask("formula.asked", {}, VICTIM)
    assert theirs["output"] == MARK
    async with world.victim_unharmed():
        mine = await world.ask("formula.asked", {})
        assert "formula" in str(mine["output"]), "it says that there is no such function"


async def test_names_of_the_run_say_whose_it_is_whatever_comes_in(world: TwoTenants) -> None:
    claim = {"tenant_id": VICTIM, "env": "prod", "tenant": VICTIM, "secrets": {"PIN": 1}}
    async with world.victim_unharmed():
        result = await world.ask("who.asked", claim)
    assert result["output"].strip() == f"{ATTACKER} dev", result


async def test_secrets_of_one_name_are_two(world: TwoTenants) -> None:
    heard = len(world.echo.heard)
    async with world.victim_unharmed():
        await world.ask("pin.asked", {})
        only = await world.ask("only.asked", {})
        assert "secret.missing" in str(only["output"]), only
        for name in ("ONLY", f"{VICTIM}.ONLY", f"../{VICTIM}/ONLY", "HOOK", "_bundle.HOOK"):
            other = await world.ask("other.asked", {"name": name})
            assert MARK not in str(other)
    assert b"attackers-own-pin-4711" in b"\n".join(world.echo.heard[heard:])


# ── What the operator reads ──────────────────────────────────────────────────────────────────


async def test_log_lines_cannot_be_forged(world: TwoTenants) -> None:
    forged = f'x"\n{{"tenant":"{VICTIM}","event":"forged-line","level":"info"}}\r\n\x1b[2J\u2028'
    async with world.victim_unharmed():
        await world.ask("log.asked", {"text": forged})
    lines = [
        json.loads(line)
        for line in world.program.log.read_bytes().split(b"\n")
        if b"forged-line" in line
    ]
    assert lines
    assert {line["tenant"] for line in lines} == {ATTACKER}


async def test_metrics_cannot_be_forged(world: TwoTenants) -> None:
    async def of_victim() -> set[tuple[str, str]]:
        page = (await world.client.get(f"{world.admin}/metrics")).text
        return {
            (sample.name, str(sorted(sample.labels.items())))
            for family in text_string_to_metric_families(page)
            for sample in family.samples
            if sample.labels.get("tenant") == VICTIM
        }

    before = await of_victim()
    source = f'x"}} 1 greentic_events_accepted_total{{tenant="{VICTIM}",forged="1"}}'
    event = {"specversion": "1.0", "id": "m", "type": "metric.asked", "source": source, "data": 1}
    body = json.dumps(event).encode()
    headers = {"content-type": "application/cloudevents+json", "x-sig": signed(body)}
    status, said = await world.raw(f"/events/webhook/{ATTACKER}/metric.asked", body, headers)
    assert status == 202, said
    await asyncio.sleep(0.3)
    assert await of_victim() == before

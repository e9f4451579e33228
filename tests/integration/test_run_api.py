"""Runs over the API on a real server: listed, found with journal and result, cancelled."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from actors.events import Event
from actors.outcomes import RunError, RunResult
from actors.ports import (
    Continuation,
    JournalEntry,
    PublishedResult,
    RunRecord,
    RunStep,
    RunUsage,
)
from app.bootstrap.bus_side import open_sinks
from app.bus import cancelling
from app.bus.server_folder import Endpoint
from app.control import kept_runs, run_desk
from app.system import SystemClock
from tests.support.bus import DeafObserver
from tests.support.tenant_api import OTHER, TENANT, TenantRig, a_tenant_rig

pytestmark = pytest.mark.server

ERROR = RunError("http.timeout", "call", "no answer")
TTL = 3600


@pytest.fixture
async def rig(
    nats_server: Endpoint, fresh_env: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[TenantRig]:
    monkeypatch.setattr(cancelling, "ANSWER_SECONDS", 0.05)
    async with a_tenant_rig(nats_server, fresh_env, tmp_path) as rig:
        yield rig


def a_record(number: int, tenant: str = TENANT, **fields: Any) -> RunRecord:
    """Every third run fails; flows go round by number."""
    now_ms = SystemClock().now_ms()
    failed = number % 3 == 0
    given: dict[str, Any] = {
        "event_id": f"e{number}", "run_id": f"run{number}",
        "flow": ("orders/new", "nightly")[number % 2],
        "flow_version": "v1", "status": "failed" if failed else "completed",
        "output": None if failed else {"n": number}, "error": ERROR if failed else None,
        "started_ms": now_ms - 5, "finished_ms": now_ms, "attempt": 1,
    }  # fmt: skip
    result = RunResult(**{**given, **fields})
    return RunRecord(tenant, "order.created", "event:1", result, ("a", "b"))


def a_record_with(number: int, event_type: str = "order.created", **fields: Any) -> RunRecord:
    """Give a record with more than its result."""
    return RunRecord(TENANT, event_type, "event:1", a_record(number).result, ("a", "b"), **fields)


async def write(rig: TenantRig, *records: RunRecord) -> None:
    """As a worker does at the end of runs: their results, then their records."""
    sinks = open_sinks(rig.side.patient, rig.env, DeafObserver())
    published = [PublishedResult(each.tenant, each.event_type, each.result) for each in records]
    await sinks.results.publish_all(published)
    await sinks.records.write_all(records)


async def note(rig: TenantRig, run_id: str, step: str, value: Any) -> None:
    await rig.side.world.journal.write(TENANT, run_id, JournalEntry(step, value), ttl_seconds=TTL)


def an_outcome(value: Any, **more: Any) -> dict[str, Any]:
    return {"kind": "advance", "value": value, "until_ms": 1, "delivered": 1, **more}


async def listed(rig: TenantRig, query: str = "") -> list[str]:
    reply = await rig.ask("GET", f"runs?{query}", key="reader")
    assert reply.status == 200, reply.json
    return [run["run_id"] for run in reply.json["runs"]]


async def test_the_latest_runs_come_first_page_by_page(rig: TenantRig) -> None:
    await write(rig, *(a_record(number) for number in range(6)))
    await write(rig, *(a_record(number) for number in range(6, 9)))
    await write(rig, a_record(1, OTHER, run_id="theirs"))
    whole = await listed(rig)
    assert sorted(whole) == [f"run{number}" for number in range(9)]
    assert set(whole[:3]) == {"run6", "run7", "run8"}
    seen, after = [], ""
    while True:
        reply = await rig.ask("GET", f"runs?limit=2&after={after}", key="reader")
        seen += [run["run_id"] for run in reply.json["runs"]]
        after = reply.json["next_after"]
        if after is None:
            break
        assert len(reply.json["runs"]) == 2
    assert seen == whole


async def test_filters_narrow_a_listing(rig: TenantRig) -> None:
    await write(rig, *(a_record(number) for number in range(6)))
    assert set(await listed(rig, "flow=nightly")) == {"run1", "run3", "run5"}
    assert set(await listed(rig, "status=failed")) == {"run0", "run3"}
    assert await listed(rig, "event_id=e4&flow=orders/new") == ["run4"]
    assert await listed(rig, "since=1h") != []
    assert await listed(rig, "until=1h") == []
    assert await listed(rig, "flow=none") == []
    for query, status in (
        ("status=odd", 400),
        ("after=x", 400),
        ("flow=a.*", 422),
        ("flow=>", 422),
    ):
        assert (await rig.ask("GET", f"runs?{query}")).status == status, query


async def test_a_listing_ends_early_and_goes_on(
    rig: TenantRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_desk, "LOOKED_AT_MAX", 1)
    for number in range(3):
        await write(rig, a_record(number))
    reply = await rig.ask("GET", "runs")
    assert [run["run_id"] for run in reply.json["runs"]] == ["run2"]
    assert await listed(rig, f"after={reply.json['next_after']}") == ["run1"]


async def test_a_run_is_shown_with_its_record_and_its_whole_result(rig: TenantRig) -> None:
    large = "x" * 100_000
    await write(rig, a_record(1, output=large), a_record(2))
    shown = await rig.ask("GET", "runs/run1", key="reader")
    assert shown.status == 200, shown.json
    assert (shown.json["state"], shown.json["journal_entries"]) == ("ended", 0)
    record = shown.json["record"]
    assert record["output"]["truncated"] is True
    assert (record["path"], record["event_type"], record["flow"]) == (
        ["a", "b"], "order.created", "nightly",
    )  # fmt: skip
    assert (await rig.ask("GET", "runs/run1?flow=nightly")).json == shown.json
    assert (await rig.ask("GET", "runs/run1?flow=orders/new")).status == 404
    result = await rig.ask("GET", "runs/run1/result", key="reader")
    assert (result.status, result.json["output"], result.json["run_id"]) == (200, large, "run1")
    failed = await rig.ask("GET", "runs?status=failed")
    assert failed.json["runs"] == []


async def test_a_run_with_a_journal_is_found_from_its_beginning_on(
    rig: TenantRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    began_ms = SystemClock().now_ms()
    head = {"now_ms": began_ms, "version": "v1", "trigger": 1}
    await note(rig, "run1", "!first", an_outcome({"id": 7}, head=head, step="call:1"))
    await note(rig, "run1", "big:1", an_outcome("y" * 40_000, writes=[{}, {}]))
    await note(rig, "run1", "call:1@1", an_outcome({"id": 7}))
    await note(rig, "run1", "!end", {"code": "http.timeout", "node": "call", "message": "late"})
    begun = await rig.ask("GET", "runs/run1")
    assert (begun.json["state"], begun.json["began_ms"]) == ("begun", began_ms)
    assert (await rig.ask("GET", "runs/run1/result")).status == 404
    steps = (await rig.ask("GET", "runs/run1/journal", key="reader")).json["steps"]
    assert [(step["step"], step["kind"]) for step in steps] == [
        ("call:1", "advance"), ("big:1", "advance"), ("call", "end"),
    ]  # fmt: skip
    assert (steps[0]["value"], steps[0]["head"]) == ({"id": 7}, head)
    assert (steps[1]["truncated"], steps[1]["writes"]) == (True, 2)
    assert len(steps[1]["value"]["preview"]) == kept_runs.PREVIEW_CHARS
    page = await rig.ask("GET", "runs/run1/journal?limit=1&after=1")
    assert ([step["step"] for step in page.json["steps"]], page.json["next_after"]) == (
        ["big:1"],
        2,
    )
    await write(rig, a_record(1))
    for number in range(10, 14):
        await write(rig, a_record(number))
    monkeypatch.setattr(run_desk, "LOOKED_AT_MAX", 2)
    assert (await rig.ask("GET", "runs/run1")).json["state"] == "ended"


async def test_a_run_that_sleeps_says_until_when_and_is_woken_to_end(rig: TenantRig) -> None:
    due_ms = SystemClock().now_ms() + 3_600_000
    event = Event("e1", "order.created", "webhook", 5, {"secret": "payload"})
    waiting = Continuation("run1", "nightly", event, due_ms=due_ms, leg=1)
    await rig.side.world.continuations.schedule(TENANT, waiting)
    shown = await rig.ask("GET", "runs/run1", key="reader")
    assert shown.json["state"] == "waiting"
    assert (shown.json["waiting"]["due_ms"], shown.json["waiting"]["event_id"]) == (due_ms, "e1")
    assert b"payload" not in shown.body
    cancelled = await rig.ask("POST", "runs/run1/cancel", {"reason": "enough"}, key="operator")
    assert (cancelled.status, cancelled.json) == (
        200, {"run_id": "run1", "in_hand": 0, "was_asleep": True},
    )  # fmt: skip
    [entry] = await rig.audited("run.cancel")
    assert (entry.actor, entry.target, entry.after) == (
        "key:operator", "run1", {"reason": "enough"},
    )  # fmt: skip
    steps = (await rig.ask("GET", "runs/run1/journal")).json["steps"]
    assert (steps[0]["kind"], steps[0]["message"]) == ("cancel", "enough")


async def test_nothing_of_another_tenants_run_is_to_be_seen(rig: TenantRig) -> None:
    await write(rig, a_record(1, OTHER))
    await note(rig, "mine", "!first", an_outcome(1, head={"now_ms": 1}, step="a:1"))
    for path in ("runs/run1", "runs/run1/result"):
        assert (await rig.ask("GET", path)).status == 404
        assert (await rig.ask("GET", path, key="other", tenant=OTHER)).status == 200
    theirs = await rig.ask("GET", "runs/mine/journal", key="other", tenant=OTHER)
    assert theirs.json["steps"] == []


async def test_a_record_that_names_another_tenant_than_its_subject_is_nobodys(
    rig: TenantRig,
) -> None:
    subject = f"greentic.runs.{rig.env}.{TENANT}.nightly"
    document = {
        "tenant": OTHER, "run_id": "run1", "flow": "nightly", "flow_version": "1",
        "status": "completed", "event_id": "e", "event_type": "a.b", "started_ms": 1,
        "finished_ms": 2, "attempt": 1,
    }  # fmt: skip
    for body in (
        json.dumps([document]).encode(),
        b"no json",
        b"{}",
        b"[1]",
        b'[{"tenant":"acme"}]',
    ):
        await rig.side.patient.publish(subject, body, b"")
    assert await listed(rig) == []
    assert (await rig.ask("GET", "runs/run1")).status == 404


@pytest.mark.parametrize("run_id", ["a.b", "*", "%3E", "a%20b", "x" * 129])
async def test_what_is_no_runs_id_is_refused_everywhere(rig: TenantRig, run_id: str) -> None:
    for path in ("", "/result", "/journal"):
        assert (await rig.ask("GET", f"runs/{run_id}{path}")).status == 422
    assert (await rig.ask("POST", f"runs/{run_id}/cancel")).status == 422
    assert await rig.audited("run.cancel") == []


# ── What is searched by, and what a record tells ─────────────────────────────────────────────


async def test_runs_are_searched_by_what_they_have_in_common_and_by_their_error(
    rig: TenantRig,
) -> None:
    mail = RunError("email.timeout", "send", "The Mail Server did not answer")
    await write(
        rig,
        a_record_with(1, "order.paid", correlation_id="c-1"),
        a_record_with(2, correlation_id="c-1", parent_run_id="run1"),
        a_record(3),
        a_record(6, error=mail),
    )
    for query, runs in (
        ("correlation_id=c-1", ["run2", "run1"]),
        ("correlation_id=c-1&event_type=order.paid", ["run1"]),
        ("parent_run_id=run1", ["run2"]),
        ("error_code=http.timeout", ["run3"]),
        ("error_text=MAIL%20server", ["run6"]),
        ("error_text=timeout", ["run6", "run3"]),
        ("error_text=nothing%20like%20it", []),
        ("correlation_id=c-2", []),
    ):
        assert sorted(await listed(rig, query)) == sorted(runs), query
    assert (await rig.ask("GET", "runs?error_text=no")).status == 400


async def test_a_record_tells_of_its_steps_and_what_it_used(rig: TenantRig) -> None:
    steps = (
        RunStep("a", "http", 1, 2500, "failed", 2, is_journalled=True, code="http.timeout"),
        RunStep("b", "script", 4, 30, "done", output={"n": 1}),
    )
    usage = RunUsage(events=1, operations=7, effects=2, payloads=({"id": 1},))
    await write(rig, a_record_with(1, steps=steps, usage=usage, correlation_id="c-1"))
    record = (await rig.ask("GET", "runs/run1")).json["record"]
    assert record["usage"] == {"events": 1, "operations": 7, "effects": 2, "bytes": 8}
    assert record["correlation_id"] == "c-1"
    told = [(each["step"], each["outcome"], each["attempt"]) for each in record["steps"]]
    assert told == [("a", "failed", 2), ("b", "done", 1)]
    assert [each["output"] for each in record["steps"]] == [None, {"n": 1}]

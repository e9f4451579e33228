"""Listening on a real nats-server: what is shown, what is let go, and what is said of it."""

import asyncio
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from rich.text import Text

from actors.subjects import run_record_subject
from app.bus.connection import Bus, BusSettings
from app.bus.server_folder import Endpoint
from app.bus.wire import Received
from app.cli import listening
from app.cli.connecting import connected
from app.cli.event_filter import EventFilter, Where
from app.cli.listening import Enough, Pending, listen
from app.cli.run_tailing import RunLines, RunTail
from app.cli.tailing import TailRequest, tail_events
from app.control.kept_runs import RunFilter
from tests.support.nats_server import KillableServer

pytestmark = pytest.mark.server

PATIENCE_SECONDS = 20.0


def settings_of(server: Endpoint) -> BusSettings:
    return BusSettings(server.url, server.user, server.password)


async def fed(bus: Bus, tail: "asyncio.Task[int]", messages: list[tuple[str, bytes]]) -> int:
    """Publish again and again until the tail has seen enough: no timing assumed."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not tail.done():
            for subject, data in messages:
                bus.send(subject, data)
            await bus.flush(2)
            await asyncio.wait([tail], timeout=0.02)
    return tail.result()


# ── Runs ─────────────────────────────────────────────────────────────────────────────────────


def a_record(run_id: str, **fields: Any) -> dict[str, Any]:
    return {
        "tenant": "demo", "run_id": run_id, "flow": "orders/take", "flow_version": "v1",
        "status": "completed", "event_id": "e1", "event_type": "order.created", "started_ms": 1,
        "finished_ms": 3, "attempt": 1, "error": None, "output": 1, "path": ["a"], **fields,
    }  # fmt: skip


async def test_each_run_is_shown_once_and_only_those_asked_for(
    nats_server: Endpoint, fresh_env: str, capsys: pytest.CaptureFixture[str]
) -> None:
    which = RunFilter(event_type="order.created")
    tail = RunTail(fresh_env, "demo", which, only_failed=True)
    records = [
        a_record("good"),
        a_record("bad", status="failed", error={"code": "c", "message": "\x1b[2Jm"}),
        a_record("odd", status="rejected", event_type="other"),
        a_record("gone", status="cancelled"),
        a_record("theirs", status="failed", tenant="other"),
    ]
    subject = run_record_subject(fresh_env, "demo", "orders/take")
    messages = [
        (subject, json.dumps(records).encode()),
        (subject, b"no json"),
        (subject, json.dumps([5, {"run_id": 1}]).encode()),
        (run_record_subject(fresh_env, "other", "orders/take"), json.dumps(records).encode()),
    ]
    settings = settings_of(nats_server)
    for as_json in (True, False):
        lines = RunLines(tail, as_json=as_json)
        listening_to = listen(settings, [tail.subject()], lines.of, Enough(count=2))
        async with connected(settings) as bus:
            assert await fed(bus, asyncio.create_task(listening_to), messages) == 2
        out = capsys.readouterr().out
        assert "\x1b" not in out
        assert len(out.splitlines()) == 2
        if as_json:
            shown = [json.loads(line) for line in out.splitlines()]
            assert [record["run_id"] for record in shown] == ["bad", "gone"]
            assert shown[0]["steps"] == []


# ── Events ───────────────────────────────────────────────────────────────────────────────────


async def test_results_follow_the_events_that_were_chosen(
    nats_server: Endpoint, fresh_env: str, capsys: pytest.CaptureFixture[str]
) -> None:
    root = f"greentic.events.{fresh_env}.demo.order.created"
    messages = []
    for number, total in ((1, 50), (2, 150), (3, None)):
        event = {
            "id": f"e{number}", "event_type": "order.created", "source": "api", "timestamp": 1,
            "payload": {"total": total} if total else "text",
        }  # fmt: skip
        result = {"event_id": f"e{number}", "flow": "f", "status": "completed", "output": number}
        messages += [(root, json.dumps(event).encode())]
        messages += [(f"{root}.result", json.dumps(result).encode())]
    wanted = EventFilter(Where(fresh_env, "demo"), condition="payload.total > 100")
    request = TailRequest(fresh_env, "demo", ">", with_results=True, count_max=4)
    settings = settings_of(nats_server)
    async with connected(settings) as bus:
        tail = asyncio.create_task(tail_events(settings, request, wanted, as_json=True))
        assert await fed(bus, tail, messages) == 4
    captured = capsys.readouterr()
    shown = [json.loads(line) for line in captured.out.splitlines()]
    ids = [each["event"]["id"] if "event" in each else each["result"]["event_id"] for each in shown]
    assert ids == ["e2"] * 4
    assert captured.err.count("--where has no answer for an event") == 1


# ── What is not shown ────────────────────────────────────────────────────────────────────────


async def test_what_comes_too_fast_is_let_go_and_said(
    nats_server: Endpoint,
    fresh_env: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pending = Pending(messages_max=5)
    monkeypatch.setattr(listening, "Pending", lambda: pending)
    root = f"greentic.events.{fresh_env}.demo"
    is_shown, may_go_on = threading.Event(), threading.Event()

    def slowly(message: Received) -> Iterator[Text]:
        """Be a terminal that does not take a line for a while."""
        is_shown.set()
        assert may_go_on.wait(PATIENCE_SECONDS)
        yield Text(message.subject)

    settings = settings_of(nats_server)
    async with connected(settings) as bus:
        listening_to = listen(settings, [f"{root}.>"], slowly, Enough(count=6))
        tail = asyncio.create_task(listening_to)
        while not is_shown.is_set():
            bus.send(f"{root}.first", b"{}")
            await bus.flush(2)
            await asyncio.sleep(0.01)
        for _ in range(100):
            bus.send(f"{root}.more", b"{}")
        await bus.flush(2)
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not pending.lost:  # it hears, though it cannot show
                await asyncio.sleep(0.01)
            may_go_on.set()
            assert await tail == 6
    captured = capsys.readouterr()
    assert len(captured.out.splitlines()) == 6
    assert "came faster than they could be shown, and were let go" in captured.err


async def test_a_lost_connection_is_said_and_listening_goes_on(
    killable_server: KillableServer, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = settings_of(killable_server.endpoint)

    def shown(message: Received) -> Iterator[Text]:
        yield Text(message.subject)

    async with connected(settings) as bus:
        tail = asyncio.create_task(listen(settings, ["a.>"], shown, Enough(1)))
        async with asyncio.timeout(PATIENCE_SECONDS):
            while "listening" not in capsys.readouterr().err:
                await asyncio.sleep(0.01)
        await killable_server.restart()
        assert await fed(bus, tail, [("a.two", b"")]) == 1
    assert "the connection was lost" in capsys.readouterr().err

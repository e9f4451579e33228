"""`event send` and `event tail` on a real nats-server."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from actors.errors import InvalidSubjectError, UnavailableError
from app.bus.connection import Bus, BusSettings
from app.bus.server_folder import Endpoint
from app.cli.connecting import SilentObserver, connected
from app.cli.sending import SendRequest, send_over_nats
from app.cli.tailing import TailRequest, tail_events


@pytest.fixture
def settings(nats_server: Endpoint) -> BusSettings:
    return BusSettings(nats_server.url, nats_server.user, nats_server.password)


@pytest.fixture
async def bus(settings: BusSettings) -> AsyncIterator[Bus]:
    bus = await Bus.connect(settings, SilentObserver(), deadline_seconds=5)
    yield bus
    await bus.drain_and_close(1)


def request_for(tenant: str = "demo", event_type: str = "order.created") -> SendRequest:
    return SendRequest(tenant, event_type, b'{"n":1}', {"n": 1})


async def tailing(
    bus: Bus, settings: BusSettings, request: TailRequest, messages: list[tuple[str, bytes]]
) -> int:
    """Tail while messages are published until the tail has seen enough: no timing assumed."""
    tail = asyncio.create_task(tail_events(settings, request, as_json=True))
    while not tail.done():
        for subject, data in messages:
            bus.send(subject, data)
        await bus.flush(2)
        await asyncio.wait([tail], timeout=0.02)
    return tail.result()


async def test_an_event_is_stored_before_send_returns(
    bus: Bus, settings: BusSettings, fresh_env: str
) -> None:
    stream = f"EVENTS-{fresh_env}-T-demo"
    subjects = [f"greentic.events.{fresh_env}.demo.>"]
    await bus.client.jetstream().add_stream(name=stream, subjects=subjects)
    sent = await send_over_nats(settings, fresh_env, request_for())
    stored = await bus.client.jetstream().get_last_msg(
        stream, f"greentic.events.{fresh_env}.demo.order.created"
    )
    event = json.loads(stored.data or b"")
    assert (event["id"], event["source"], event["payload"]) == (sent.event_id, "api", {"n": 1})
    assert sent.as_document()["accepted"] is True


async def test_a_tenant_without_a_stream_is_unavailable(
    settings: BusSettings, fresh_env: str
) -> None:
    with pytest.raises(UnavailableError):
        await send_over_nats(settings, fresh_env, request_for())


async def test_a_server_that_is_not_there_is_unavailable() -> None:
    with pytest.raises(UnavailableError):
        async with connected(BusSettings("nats://127.0.0.1:1")):
            pass


async def test_tail_shows_events_and_only_on_demand_results(
    bus: Bus, settings: BusSettings, fresh_env: str, capsys: pytest.CaptureFixture[str]
) -> None:
    root = f"greentic.events.{fresh_env}.demo"
    event = {"id": "E1", "event_type": "order.created", "payload": {"n": 1}}
    result = {"event_id": "E1", "flow": "f", "status": "completed", "output": 5}
    messages = [
        (f"{root}.order.created", json.dumps(event).encode()),
        (f"{root}.order.created.result", json.dumps(result).encode()),
        (f"{root}.user.created", b"no json"),
    ]
    request = TailRequest(fresh_env, "demo", ">", with_results=False, count_max=2)
    assert await tailing(bus, settings, request, messages) == 2
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines == [{"kind": "event", "event_type": "order.created", "event": event}] * 2
    for pattern in (">", "order.*", "order.created"):
        request = TailRequest(fresh_env, "demo", pattern, with_results=True, count_max=4)
        assert await tailing(bus, settings, request, messages) == 4
        kinds = {json.loads(line)["kind"] for line in capsys.readouterr().out.splitlines()}
        assert kinds == {"event", "result"}


async def test_tail_ends_when_the_time_is_over(settings: BusSettings, fresh_env: str) -> None:
    request = TailRequest(fresh_env, "demo", ">", with_results=False, timeout_seconds=0.05)
    assert await tail_events(settings, request, as_json=True) == 0


async def test_tail_refuses_wrong_patterns_before_it_connects() -> None:
    nowhere = BusSettings("nats://127.0.0.1:1")
    for tenant, pattern in (("De.mo", ">"), ("demo", "a.>.b"), ("demo", "a.result")):
        request = TailRequest("dev", tenant, pattern, with_results=True)
        with pytest.raises(InvalidSubjectError):
            await tail_events(nowhere, request, as_json=True)


async def test_text_is_for_people_and_carries_no_control_characters(
    bus: Bus, settings: BusSettings, fresh_env: str, capsys: pytest.CaptureFixture[str]
) -> None:
    root = f"greentic.events.{fresh_env}.demo.a"
    event = {"id": "E1", "payload": "\x1b[31m" + "x" * 3000}
    failed = {"event_id": "E1", "flow": "f", "status": "failed", "error": {"code": "c"}}
    messages = [(root, json.dumps(event).encode()), (f"{root}.result", json.dumps(failed).encode())]
    request = TailRequest(fresh_env, "demo", ">", with_results=True, count_max=2)
    tail = asyncio.create_task(tail_events(settings, request, as_json=False))
    while not tail.done():
        for subject, data in messages:
            bus.send(subject, data)
        await bus.flush(2)
        await asyncio.wait([tail], timeout=0.02)
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "event  a E1" in out
    assert "failed" in out

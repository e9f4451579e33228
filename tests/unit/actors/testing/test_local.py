"""Runs here and now: what a run waits for is there at once, and nothing is done twice for it."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest

from actors.errors import TransientError
from actors.events import Event
from actors.flows.compiled import CompiledFlow
from actors.flows.compiler import compile_flow
from actors.nodes.resources import FlowResources
from actors.outcomes import Completed, Failed
from actors.ports import Clock, HttpRequest, HttpResponse
from actors.testing.clock import VirtualClock
from actors.testing.http import MemoryHttp
from actors.testing.ids import CountingIds
from actors.testing.instant_clock import InstantClock
from actors.testing.local import LocalRun, LocalWorld, run_locally
from app.system import SystemClock

Node = dict[str, Any]
URL = "https://api.test/"
FIVE = {"max_retries": 5, "backoff": "fixed", "initial_ms": 3_600_000}


def a_node(node_id: str, node_type: str, config: Any, **more: Any) -> Node:
    return {"id": node_id, "type": node_type, "config": config, **more}


def nap(node_id: str = "nap", **more: Any) -> Node:
    return a_node(node_id, "wait", {"for": "30d"}, **more)


def tell(node_id: str, text: str, **more: Any) -> Node:
    return a_node(node_id, "log", {"message": text}, **more)


def compiled(*nodes: Node, name: str = "orders", **config: Any) -> CompiledFlow:
    document = {
        "name": name,
        "version": "1",
        "triggers": [{"type": "event", "event_type": "a.b", "target": nodes[0]["id"]}],
        "nodes": list(nodes),
        "config": config,
    }
    return compile_flow(document, FlowResources())


class Service:
    """Says each status in turn, then 200; None: no answer."""

    def __init__(self, *statuses: int | None) -> None:
        self._statuses = list(statuses)
        self.http = MemoryHttp(self.answer)

    def answer(self, _request: HttpRequest) -> HttpResponse:
        status = self._statuses.pop(0) if self._statuses else 200
        if status is None:
            raise TransientError("nobody there", reason="http.connect")
        return HttpResponse(status, {"content-type": "application/json"}, b'{"n": 7}')

    @property
    def calls(self) -> int:
        return len(self.http.calls)


async def run(
    *flows: CompiledFlow, service: Service | None = None, clock: Clock | None = None
) -> LocalRun:
    http = (service or Service()).http
    place = LocalWorld("test", "demo", http, clock or VirtualClock(), CountingIds())
    event = Event("evt-1", "a.b", "webhook", 0, {"n": 1})
    by_name = {flow.name: flow for flow in flows}
    return await asyncio.wait_for(run_locally(flows[0], by_name, event, place), 20)


def output_of(found: LocalRun) -> Any:
    assert isinstance(found.outcome, Completed), found.outcome
    return found.outcome.output


# ── Sleep ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "make_clock", [VirtualClock, lambda: InstantClock(0), SystemClock], ids=["virtual", "instant",
    "system"]
)  # fmt: skip
async def test_a_run_that_waits_for_a_month_ends_now(make_clock: Callable[[], Clock]) -> None:
    began = time.monotonic()
    flow = compiled(nap(next="say"), a_node("say", "template", {"template": "up"}))
    found = await run(flow, clock=make_clock())
    assert output_of(found) == "up"
    assert found.path == ("nap", "say")
    assert time.monotonic() - began < 5
    assert found.started == (), "its own continuations are nobody else's run"


async def test_what_came_before_a_wait_is_not_done_again() -> None:
    service = Service()
    flow = compiled(
        tell("first", "before", next="count"),
        a_node("count", "script", {"script": 'state.set("n", state.get("n", 0) + 1); state.get("n")'},
               next="call"),
        a_node("call", "http", {"url": URL}, next="answer"),
        a_node("answer", "http_response", {"body": "seen"}, next="emit"),
        a_node("emit", "event", {"event_type": "c.d", "payload": {}}, next="nap"),
        nap(next="again"),
        nap("again", next="last"),
        tell("last", "after {{count}} {{call.n}}"),
    )  # fmt: skip
    found = await run(flow, service=service)
    assert isinstance(found.outcome, Completed)
    assert service.calls == 1
    assert [line.message for line in found.logged] == ["before", "after 1 7"]
    assert [answer.body for answer in found.answers] == ["seen"]
    assert len(found.emitted) == 1
    assert found.path == ("first", "count", "call", "answer", "emit", "nap", "again", "last")


async def test_a_sub_flow_may_wait() -> None:
    call = a_node("call", "flow2flow", {"target_flow": "inner", "input": {"n": 2}}, next="say")
    outer = compiled(call, a_node("say", "template", {"template": "{{call}}!"}))
    inner = compiled(
        nap(next="twice"),
        a_node("twice", "script", {"script": "payload.n * 2"}),
        name="inner",
    )
    found = await run(outer, inner)
    assert output_of(found) == "4!"
    assert found.path == ("call", "call/nap", "call/twice", "say")


async def test_each_round_of_a_loop_waits() -> None:
    count = a_node("count", "script",
                   {"script": 'let n = state.get("n", 0) + 1; state.set("n", n); n'}, next="nap")  # fmt: skip
    look = a_node("look", "branch", {"conditions": [{"expression": "count < 3", "next": "count"}]})
    found = await run(compiled(count, nap(next="look"), look))
    assert found.path == ("count", "nap", "look") * 3


async def test_a_wait_that_cannot_be_read_fails_the_run() -> None:
    found = await run(compiled(a_node("nap", "wait", {"for": "{{payload.n}} weeks"})))
    assert isinstance(found.outcome, Failed)
    assert (found.outcome.error.code, found.outcome.error.node) == ("wait.bad_time", "nap")


# ── Retries ──────────────────────────────────────────────────────────────────────────────────


async def test_a_node_is_tried_again_without_a_pause() -> None:
    service = Service(None, 503, None)
    found = await run(
        compiled(a_node("call", "http", {"url": URL, "retry": FIVE})), service=service
    )
    assert output_of(found)["n"] == 7
    assert service.calls == 4
    assert found.path == ("call",)
    keys = {dict(call.headers)["Idempotency-Key"] for _, call in service.http.calls}
    assert len(keys) == 1


async def test_retries_come_to_an_end() -> None:
    service = Service(*[None] * 20)
    found = await run(
        compiled(a_node("call", "http", {"url": URL, "retry": FIVE})), service=service
    )
    assert isinstance(found.outcome, Failed)
    assert found.outcome.error.code == "http.connect"
    assert service.calls == 6


async def test_without_retry_any_status_is_an_answer() -> None:
    service = Service(503)
    found = await run(compiled(a_node("call", "http", {"url": URL}), retry_policy=FIVE),
                      service=service)  # fmt: skip
    assert output_of(found)["status"] == 503
    assert service.calls == 1


@pytest.mark.parametrize(
    ("on_error", "calls"), [("mend", 3), (None, 4)], ids=["on_error", "the flow's policy"]
)
async def test_the_nodes_own_then_on_error_then_the_flows(on_error: str | None, calls: int) -> None:
    twice = FIVE | {"max_retries": 2}
    once = FIVE | {"max_retries": 1}
    node = a_node("call", "http", {"url": URL, "retry": twice}, next="done")
    mend = a_node("mend", "template", {"template": "{{error.code}}"})
    service = Service(*[None] * 20)
    found = await run(
        compiled(node | ({"on_error": on_error} if on_error else {}), mend, retry_policy=once),
        service=service,
    )
    assert service.calls == calls
    if on_error:
        assert output_of(found) == "http.connect"
    else:
        assert isinstance(found.outcome, Failed)


async def test_steps_before_a_retry_are_recalled_once_they_are_on_record() -> None:
    service = Service(200, None, None)
    first = a_node("first", "http", {"url": URL}, next="note")
    flow = compiled(
        first,
        tell("note", "noted", next="second"),
        a_node("second", "http", {"url": URL, "retry": FIVE}),
    )
    found = await run(flow, service=service)
    assert isinstance(found.outcome, Completed)
    assert service.calls == 4

"""A webhook over a real socket, through the tenant's own ingress actor, onto a real JetStream."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from nats.aio.msg import Msg

from actors.kernel.ports import KernelPorts
from actors.kernel.specs import ChildSpec, SupervisorSpec
from actors.kernel.supervisor import Supervisor
from actors.outcomes import Answer, Ended
from actors.ports import NormalizedEvent, PublishAck
from actors.subjects import tenant_events
from actors.tenants.deployment import Deployment
from actors.tenants.ingress import IngressActor, IngressDoor
from actors.tenants.ingress import IngressPorts as ActorPorts
from actors.tenants.routes import Routes, RoutesInForce
from actors.tenants.routing import RoutingTable
from actors.testing.http import MemoryHttp
from app.bus.acked_publisher import AckedPublisher
from app.bus.answers import AnswerInbox, NatsAnswers
from app.bus.connection import Bus
from app.bus.publisher import JetStreamEventPublisher
from app.bus.server_folder import Endpoint
from app.control.control import Control, TenantSubscriptions
from app.control.names import blobs_bucket, events_stream
from app.http.doors import IngressPorts, always_ready
from app.http.ingress import EventIngress
from app.http.pages import build_public_pages
from app.http.public import PublicApp
from app.http.routes import RouteTable
from app.http.server import HttpServer
from app.observability.metrics import Metrics
from app.observability.observer import ReportingObserver
from app.providers.catalog import build_provider, provider_specs
from app.providers.provider import ProviderContext
from app.stores.blobs import ObjectBlobs
from app.system import SystemClock, UlidIds
from tests.support.bus import connected

TENANT = "demo"
PATH = "/events/webhook/demo/order.created"


@dataclass
class AnsweringDoor:
    """The tenant's door, with as many answering flows as the test says: no flows run here."""

    door: IngressDoor
    flows: int = 0

    def answering_flows(self, event_type: str) -> int:
        return self.flows or self.door.answering_flows(event_type)

    async def accept(
        self, provider: str, normalized: NormalizedEvent, *, event_id: str, reply_to: str | None
    ) -> PublishAck:
        return await self.door.accept(provider, normalized, event_id=event_id, reply_to=reply_to)


@dataclass
class Rig:
    """One ingress process, and what a test looks at."""

    env: str
    bus: Bus
    server: HttpServer
    door: AnsweringDoor
    metrics: Metrics

    async def post(self, content: bytes = b'{"id": 1}', **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with httpx.AsyncClient(base_url=self.server.url, trust_env=False) as client:
            return await client.post(
                PATH, content=content, headers={"content-type": "application/json"} | named
            )

    async def stored(self) -> list[dict[str, Any]]:
        """Give the events in the tenant's stream."""
        stream = self.bus.client.jetstream()
        info = await stream.stream_info(events_stream(self.env, TENANT))
        messages = [
            await stream.get_msg(events_stream(self.env, TENANT), number)
            for number in range(1, info.state.last_seq + 1)
        ]
        return [json.loads(message.data or b"") for message in messages]


@pytest.fixture
async def rig(nats_server: Endpoint, fresh_env: str) -> AsyncIterator[Rig]:
    async with connected(nats_server) as bus:
        await Control(bus, fresh_env).ensure([TenantSubscriptions(TENANT, {"f#1": "order.*"})])
        publisher = await AckedPublisher.start(bus)
        inbox = await AnswerInbox.start(bus, uuid.uuid4().hex)
        metrics, clock = Metrics(), SystemClock()
        observer = ReportingObserver(metrics)
        context = ProviderContext(env=fresh_env, http=MemoryHttp(), clock=clock)
        provider = build_provider("events-webhook", {"sync_timeout_ms": 20_000}, context)
        providers = {provider.name: provider}
        ports = ActorPorts(JetStreamEventPublisher(publisher, env=fresh_env), observer, clock)
        root = Supervisor(SupervisorSpec(name="root"), KernelPorts(clock, lambda: 0.5))
        await root.start()
        ref = await root.spawn(ChildSpec("ingress", lambda _: IngressActor(TENANT, ports)))
        routes = RoutesInForce(Routes(RoutingTable(Deployment(TENANT, "1", {})), {}))
        door = AnsweringDoor(IngressDoor(ref, routes))
        blobs = ObjectBlobs(bus.client, blobs_bucket(fresh_env))
        app = PublicApp(
            EventIngress(
                RouteTable(provider_specs()),
                IngressPorts(
                    {TENANT: door}.get, lambda _, name: providers.get(name), inbox, blobs, UlidIds()
                ),
                clock,
            ),
            build_public_pages(always_ready),
            metrics.requests,
        )
        server = HttpServer(app, "127.0.0.1", 0)
        await server.start()
        yield Rig(fresh_env, bus, server, door, metrics)
        await server.stop(5)
        await root.stop()
        await inbox.close()
        publisher.close()


async def answer_with(rig: Rig, *messages: Answer | Ended) -> None:
    """Stand in for a worker: answer every event on the reply subject it carries."""
    answers = NatsAnswers(rig.bus)

    async def on_event(message: Msg) -> None:
        for reply in messages:
            answers.send((message.headers or {})["Greentic-Reply"], reply)

    await rig.bus.client.subscribe(tenant_events(rig.env, TENANT), cb=on_event)
    await rig.bus.client.flush()


async def test_answered_event_is_in_the_stream(rig: Rig) -> None:
    reply = await rig.post(b'{"id": 9007199254740993}', x_github_event="push", cookie="a=b")
    assert reply.status_code == 202
    [event] = await rig.stored()
    assert event["id"] == reply.json()["event_id"]
    assert event["payload"] == {"id": 9007199254740993}
    assert (event["event_type"], event["source"]) == ("order.created", "webhook")
    assert event["metadata"]["headers"]["x-github-event"] == "push"
    assert "cookie" not in event["metadata"]["headers"]
    assert event.keys() == {"id", "event_type", "source", "timestamp", "payload", "metadata"}
    page = rig.metrics.render()[0].decode()
    assert (
        'greentic_http_requests_total{route="/events/webhook/{tenant}/{event_type}",status="202"} 1.0'
        in page
    )
    assert "greentic_events_accepted_total{" in page


async def test_repeated_delivery_gets_the_first_events_id_and_is_stored_once(rig: Rig) -> None:
    replies = [await rig.post(webhook_id="d-1") for _ in range(3)]
    assert {reply.status_code for reply in replies} == {202}
    [event] = await rig.stored()
    assert {reply.json()["event_id"] for reply in replies} == {event["id"]}


async def test_concurrent_events_are_each_stored_once(rig: Rig) -> None:
    replies = await asyncio.gather(*(rig.post(b'{"n": %d}' % number) for number in range(50)))
    ids = {reply.json()["event_id"] for reply in replies}
    assert {event["id"] for event in await rig.stored()} == ids
    assert len(ids) == 50


async def test_flows_answer_reaches_the_sender(rig: Rig) -> None:
    rig.door.flows = 2
    await answer_with(rig, Ended("r1", "completed"), Answer(201, {"x-order": "7"}, {"ok": True}))
    reply = await rig.post()
    assert (reply.status_code, reply.json(), reply.headers["x-order"]) == (201, {"ok": True}, "7")
    assert len(await rig.stored()) == 1


async def test_failed_flow_is_told_with_its_run(rig: Rig) -> None:
    rig.door.flows = 1
    await answer_with(rig, Ended("r1", "failed"))
    reply = await rig.post()
    assert (reply.status_code, reply.json()["run_id"]) == (502, "r1")
    assert [event["id"] for event in await rig.stored()] == [reply.json()["event_id"]]


async def test_refused_event_is_not_stored(rig: Rig) -> None:
    reply = await rig.post(b"not json")
    assert reply.status_code == 422
    assert await rig.stored() == []


async def test_event_that_grows_over_the_limit_is_refused_and_not_stored(rig: Rig) -> None:
    numbers = b"[" + b",".join([b"1e9"] * 180_000) + b"]"  # 1e9 is stored as 1000000000.0
    reply = await rig.post(numbers)
    assert reply.status_code == 422
    assert await rig.stored() == []

"""Taking events in: no acknowledgement before the bus has one, and no request stops another."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import pytest_asyncio

from actors.errors import (
    ActorStoppedError,
    InvalidEventError,
    MailboxFullError,
    UnavailableError,
)
from actors.ids import delivery_message_id
from actors.kernel.ports import KernelPorts
from actors.kernel.specs import ChildSpec, SupervisorSpec
from actors.kernel.supervisor import Supervisor
from actors.observations import EventAccepted, EventRedriven, RedriveSkipped
from actors.outcomes import RunError
from actors.ports import DeadLetter, Envelope, NormalizedEvent, PublishAck
from actors.tenants import ingress
from actors.tenants.deployment import Deployment
from actors.tenants.ingress import IngressActor, IngressDoor, IngressPorts
from actors.tenants.routes import Routes, RoutesInForce
from actors.tenants.routing import RoutingTable
from actors.testing.continuations import MemoryContinuations
from actors.testing.dead_letters import MemoryRedriver
from actors.testing.publisher import MemoryPublisher
from tests.support.builders import REPLY_TO, Yard, a_flow, by_name

NORMALIZED = NormalizedEvent("order.created", "webhook", {"total": 7}, {"a": 1})


@dataclass
class SlowPublisher:
    """Acknowledges when the test does."""

    sent: list[Envelope] = field(default_factory=list)
    acks: list["asyncio.Future[PublishAck]"] = field(default_factory=list)

    def publish(self, envelope: Envelope) -> "asyncio.Future[PublishAck]":
        self.sent.append(envelope)
        self.acks.append(asyncio.get_running_loop().create_future())
        return self.acks[-1]


class Gatehouse:
    """One tenant's ingress under supervision, and its door."""

    def __init__(self, yard: Yard) -> None:
        self.yard = yard
        self.normalized = NORMALIZED
        kernel = KernelPorts(yard.clock, lambda: 0.0, yard.observer.observe)
        self.root = Supervisor(SupervisorSpec("root"), kernel)

    async def open(self, publisher: Any = None, *, capacity: int = 64) -> IngressDoor:
        yard = self.yard
        self.redriver = MemoryRedriver(yard.letters, MemoryContinuations())
        ports = IngressPorts(
            publisher or yard.stage.publisher, yard.observer, yard.clock, self.redriver
        )
        await self.root.start()
        ref = await self.root.spawn(
            ChildSpec("ingress", lambda _: IngressActor("demo", ports), mailbox_capacity=capacity)
        )
        flows = by_name(a_flow(can_answer=True))
        table = RoutingTable(Deployment("demo", "r1", flows))
        self.door = IngressDoor(ref, RoutesInForce(Routes(table, {})))
        return self.door

    def accept(self, event_id: str = "evt-1", **fields: Any) -> "asyncio.Task[PublishAck]":
        reply_to = fields.get("reply_to")
        return asyncio.ensure_future(
            self.door.accept(
                "events-webhook", self.normalized, event_id=event_id, reply_to=reply_to
            )
        )


@pytest_asyncio.fixture
async def gatehouse(yard: Yard) -> AsyncIterator[Gatehouse]:
    gatehouse = Gatehouse(yard)
    yield gatehouse
    stopping = asyncio.ensure_future(gatehouse.root.stop())
    await yard.clock.advance(60)
    await stopping


async def test_an_accepted_request_is_stored_as_an_event(gatehouse: Gatehouse, yard: Yard) -> None:
    await gatehouse.open()
    ack = await gatehouse.accept(reply_to=REPLY_TO)
    assert ack == PublishAck("evt-1", 1)
    (envelope,) = yard.stage.publisher.stored
    event = envelope.event
    assert (envelope.tenant, envelope.message_id, envelope.reply_to) == ("demo", "evt-1", REPLY_TO)
    assert (event.id, event.event_type, event.source) == ("evt-1", "order.created", "webhook")
    assert (event.payload, event.metadata) == ({"total": 7}, {"a": 1})
    assert event.timestamp == yard.clock.now_ms()
    assert yard.observer.of(EventAccepted) == [
        EventAccepted("demo", "order.created", "evt-1", "webhook", is_duplicate=False)
    ]


async def test_nothing_is_acknowledged_before_the_bus_has_it(
    gatehouse: Gatehouse, yard: Yard
) -> None:
    publisher = SlowPublisher()
    await gatehouse.open(publisher)
    first, second = gatehouse.accept("evt-1"), gatehouse.accept("evt-2")
    await yard.clock.settle()
    assert len(publisher.sent) == 2  # the second did not wait for the first
    assert not first.done()
    publisher.acks[1].set_result(PublishAck("evt-2", 9))
    assert (await second).sequence == 9
    publisher.acks[0].set_result(PublishAck("evt-1", 8))
    assert (await first).sequence == 8


async def test_a_repeated_delivery_is_answered_with_the_first_ones_id(
    gatehouse: Gatehouse, yard: Yard
) -> None:
    await gatehouse.open()
    gatehouse.normalized = replace(NORMALIZED, delivery_id="d-1")
    await gatehouse.accept("evt-1")
    again = await gatehouse.accept("evt-2")
    assert (again.event_id, again.is_duplicate) == ("evt-1", True)
    (envelope,) = yard.stage.publisher.stored
    assert envelope.message_id == delivery_message_id("events-webhook", "order.created", "d-1")
    assert [seen.is_duplicate for seen in yard.observer.of(EventAccepted)] == [False, True]


@pytest.mark.parametrize("event_type", ["Not.A.Type", "order.created.result", ""])
async def test_what_is_no_event_fails_alone(
    gatehouse: Gatehouse, yard: Yard, event_type: str
) -> None:
    await gatehouse.open()
    gatehouse.normalized = replace(NORMALIZED, event_type=event_type)
    refused = gatehouse.accept()
    with pytest.raises(InvalidEventError):
        await refused
    gatehouse.normalized = NORMALIZED
    assert await gatehouse.accept("evt-2") == PublishAck("evt-2", 1)
    assert gatehouse.root.children()[0].restarts == 0


async def test_a_bus_that_is_away_means_not_stored(gatehouse: Gatehouse, yard: Yard) -> None:
    await gatehouse.open()
    yard.stage.publisher.is_available = False
    with pytest.raises(UnavailableError):
        await gatehouse.accept()
    assert yard.observer.of(EventAccepted) == []


class RefusingPublisher(MemoryPublisher):
    """Refuses at once, as a publisher does with an event that is too large."""

    def publish(self, envelope: Envelope) -> "asyncio.Future[PublishAck]":
        raise InvalidEventError("payload", "is too large")


async def test_an_event_that_the_publisher_refuses_is_invalid(gatehouse: Gatehouse) -> None:
    await gatehouse.open(RefusingPublisher())
    with pytest.raises(InvalidEventError, match="too large"):
        await gatehouse.accept()


@pytest.mark.parametrize("ending", ["cancelled", "lost"])
async def test_a_publish_that_is_given_up_means_not_stored(
    gatehouse: Gatehouse, yard: Yard, ending: str
) -> None:
    publisher = SlowPublisher()
    await gatehouse.open(publisher)
    waiting = gatehouse.accept()
    await yard.clock.settle()
    if ending == "cancelled":
        publisher.acks[0].cancel()
    else:
        publisher.acks[0].set_exception(_Gone())
    with pytest.raises(UnavailableError):
        await waiting


class _Gone(BaseException):
    """No Exception, as little as a cancellation is one."""


async def test_whoever_waits_too_long_is_told_to_come_back(
    gatehouse: Gatehouse, yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingress, "ACCEPT_SECONDS_MAX", 0.001)
    publisher = SlowPublisher()
    await gatehouse.open(publisher)
    with pytest.raises(UnavailableError, match="did not acknowledge in time"):
        await gatehouse.accept()
    publisher.acks[0].set_result(PublishAck("evt-1", 1))  # too late: nobody listens, nobody cares
    await yard.clock.settle()
    assert len(yard.observer.of(EventAccepted)) == 1


async def test_a_full_mailbox_refuses_at_once(gatehouse: Gatehouse) -> None:
    await gatehouse.open(SlowPublisher(), capacity=2)
    waiting = [gatehouse.accept(f"evt-{n}") for n in range(3)]
    await asyncio.wait({waiting[2]})
    assert isinstance(waiting[2].exception(), MailboxFullError)
    for one in waiting[:2]:
        one.cancel()
    await asyncio.wait(waiting)


async def test_a_stopped_tenant_takes_nothing(gatehouse: Gatehouse) -> None:
    await gatehouse.open()
    await gatehouse.root.stop()
    with pytest.raises(ActorStoppedError):
        await gatehouse.accept()


async def test_the_door_knows_how_many_flows_may_answer(gatehouse: Gatehouse) -> None:
    door = await gatehouse.open()
    assert door.answering_flows("order.created") == 1
    assert door.answering_flows("user.created") == 0


# ── Repeated deliveries ──────────────────────────────────────────────────────────────────────


async def accept_twice(gatehouse: Gatehouse, yard: Yard, *, with_letter: bool) -> PublishAck:
    await gatehouse.open()
    gatehouse.normalized = replace(NORMALIZED, delivery_id="d-1")
    await gatehouse.accept("evt-1")
    assert gatehouse.redriver.asked == []
    if with_letter:
        event = yard.stage.publisher.stored[0].event
        error = RunError("script", "first", "no")
        await yard.letters.park(
            DeadLetter("demo", "script", error, 1, "r1", event=event, flow="orders")
        )
    return await gatehouse.accept("evt-2")


async def test_first_delivery_looks_for_no_dead_letters(gatehouse: Gatehouse, yard: Yard) -> None:
    await gatehouse.open()
    for number in range(3):
        await gatehouse.accept(f"evt-{number}")
    assert gatehouse.redriver.asked == []


async def test_repeated_delivery_redrives_its_dead_letters(
    gatehouse: Gatehouse, yard: Yard
) -> None:
    ack = await accept_twice(gatehouse, yard, with_letter=True)
    assert (ack.event_id, ack.is_duplicate) == ("evt-1", True)
    assert gatehouse.redriver.asked == [("demo", "evt-1")]
    assert yard.letters.parked == []
    assert yard.observer.of(EventRedriven) == [EventRedriven("demo", "evt-1", 1)]


async def test_repeated_delivery_without_dead_letters_says_nothing(
    gatehouse: Gatehouse, yard: Yard
) -> None:
    assert (await accept_twice(gatehouse, yard, with_letter=False)).is_duplicate
    assert yard.observer.of(EventRedriven) == []
    assert yard.observer.of(RedriveSkipped) == []


async def test_repeated_delivery_is_acknowledged_when_letters_cannot_be_asked_for(
    gatehouse: Gatehouse, yard: Yard
) -> None:
    yard.letters.is_available = False
    assert (await accept_twice(gatehouse, yard, with_letter=False)).is_duplicate
    assert yard.observer.of(RedriveSkipped) == [RedriveSkipped("demo", "evt-1", "the bus is away")]


class SilentRedriver:
    """Never answers."""

    async def redrive_event(self, _tenant: str, _event_id: str) -> int:
        await asyncio.Event().wait()
        raise AssertionError


@pytest.mark.parametrize("end", ["time is over", "actor stops", "too many"])
async def test_repeated_delivery_never_waits_for_ever(
    gatehouse: Gatehouse, yard: Yard, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    monkeypatch.setattr(ingress, "REDRIVE_SECONDS_MAX", 0.05 if end == "time is over" else 60)
    monkeypatch.setattr(ingress, "REDRIVES_MAX", 0 if end == "too many" else 5)
    await gatehouse.open()
    monkeypatch.setattr(MemoryRedriver, "redrive_event", SilentRedriver.redrive_event)
    gatehouse.normalized = replace(NORMALIZED, delivery_id="d-1")
    await gatehouse.accept("evt-1")
    again = gatehouse.accept("evt-2")
    if end == "actor stops":
        await yard.clock.settle()
        assert not again.done()
        stopping = asyncio.ensure_future(gatehouse.root.stop())
        await yard.clock.advance(60)
        await stopping
    assert (await again).event_id == "evt-1"
    skipped = {"time is over": ["no answer in time"], "too many": ["too many at once"]}
    assert [each.reason for each in yard.observer.of(RedriveSkipped)] == skipped.get(end, [])

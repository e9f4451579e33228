"""The router: deliveries become run requests, and whatever cannot is settled here."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest
import pytest_asyncio

from actors.errors import UnavailableError
from actors.flows.compiled import CompiledFlow
from actors.ids import run_id
from actors.kernel.mailbox import Mailbox
from actors.kernel.ports import KernelPorts
from actors.kernel.ref import ActorRef
from actors.kernel.specs import ChildSpec, SupervisorSpec
from actors.kernel.supervisor import Supervisor
from actors.kernel.unit import DrainReport
from actors.observations import DeliveryUnwanted
from actors.outcomes import Settlement
from actors.ports import Deliveries
from actors.runs.request import RunRequest
from actors.tenants.deployment import Deployment
from actors.tenants.router import (
    KEEP_ALIVE_EVERY_SECONDS,
    PULL_RETRY_SECONDS,
    Confirm,
    DeliveryRouter,
    RouterPorts,
    is_the_last,
)
from actors.tenants.routes import Routes, RoutesInForce
from actors.tenants.routing import RoutingTable
from actors.testing.deliveries import MemoryDelivery
from tests.support.builders import (
    REPLY_TO,
    Yard,
    a_continuation,
    a_flow,
    a_trigger,
    an_event,
    by_name,
)

ACK, NAK = Settlement.ACK, Settlement.NAK
ORDERS = a_flow(name="orders")
AUDIT = a_flow(name="audit", triggers=(a_trigger("order.*"),))


class Post:
    """A router whose executors are mailboxes that a test reads."""

    def __init__(self, yard: Yard) -> None:
        self.yard = yard
        kernel = KernelPorts(yard.clock, lambda: 0.0, yard.observer.observe)
        self.root = Supervisor(SupervisorSpec("root"), kernel)
        self.boxes: dict[str, Mailbox[RunRequest]] = {}
        self.in_force = RoutesInForce(self.routes())

    def routes(self, *flows: CompiledFlow, capacity: int = 64, **activated: int) -> Routes:
        keys = {f"{flow}#1": since for flow, since in activated.items()}
        table = RoutingTable(Deployment("demo", "r1", by_name(*flows), keys))
        executors: dict[str, ActorRef[RunRequest]] = {}
        for flow in flows:
            box: Mailbox[RunRequest] = Mailbox(capacity)
            self.boxes[flow.name] = box
            executors[flow.name] = ActorRef(flow.name, mailbox=box, clock=self.yard.clock)
        return Routes(table, executors)

    async def start(
        self,
        *flows: CompiledFlow,
        capacity: int = 64,
        deliveries: Deliveries | None = None,
        confirm: Confirm = is_the_last,
        **activated: int,
    ) -> None:
        self.in_force.current = self.routes(*flows, capacity=capacity, **activated)
        yard = self.yard

        def build(_: object) -> DeliveryRouter:
            pull = deliveries or yard.stream.open()
            ports = RouterPorts(pull, yard.letters, yard.observer, yard.clock, confirm=confirm)
            return DeliveryRouter("demo", self.in_force, ports)

        await self.root.start()
        await self.root.spawn(ChildSpec("router", build))
        await yard.clock.settle()

    def requests(self, flow: str = "orders") -> list[RunRequest]:
        return self.boxes[flow].take_nowait(64)

    def settle_all(self, settlement: Settlement = ACK) -> None:
        for flow in self.boxes:
            for request in self.requests(flow):
                request.share.settle_one(settlement)

    def remove(self) -> "asyncio.Future[DrainReport]":
        return asyncio.ensure_future(self.root.remove("router"))

    async def stop(self) -> None:
        stopping = asyncio.ensure_future(self.root.stop())
        await self.yard.clock.advance(60)
        await stopping


@pytest_asyncio.fixture
async def post(yard: Yard) -> AsyncIterator[Post]:
    post = Post(yard)
    yield post
    await post.stop()
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def arrives(yard: Yard, *event_ids: str) -> Sequence[MemoryDelivery]:
    for event_id in event_ids or ("evt-1",):
        yard.stream.add(an_event(event_id))
    await yard.clock.settle()
    return yard.stream.handed_out


# ── Dispatch ─────────────────────────────────────────────────────────────────────────────────


async def test_an_event_becomes_a_request_in_each_matching_flow(post: Post, yard: Yard) -> None:
    await post.start(ORDERS, AUDIT)
    yard.stream.add(an_event(), reply_to=REPLY_TO, hops=2)
    await yard.clock.settle()
    (request,), (other,) = post.requests("orders"), post.requests("audit")
    assert request.run_id == run_id("evt-1", "orders")
    assert (request.triggers, request.hops, request.reply_to) == (ORDERS.triggers, 2, REPLY_TO)
    assert (request.attempt, request.parent_run_id) == (1, None)
    assert request.share is other.share
    request.share.settle_one(ACK)
    assert yard.settlements() == {"evt-1": [None]}
    other.share.settle_one(ACK)
    assert yard.settlements() == {"evt-1": [ACK]}


async def test_an_event_that_no_flow_wants_is_acked_and_counted(post: Post, yard: Yard) -> None:
    await post.start(ORDERS)
    yard.stream.add(an_event(event_type="user.created"))
    await yard.clock.settle()
    assert yard.settlements() == {"evt-1": [ACK]}
    assert yard.observer.of(DeliveryUnwanted) == [DeliveryUnwanted("demo", "user.created")]


async def test_events_older_than_a_trigger_are_not_its(post: Post, yard: Yard) -> None:
    await post.start(ORDERS, orders=1)
    await arrives(yard, "old", "new")
    assert [request.event.id for request in post.requests()] == ["new"]
    assert yard.settlements()["old"] == [ACK]


async def test_default_trigger_has_what_came_before_another_flow_named_its_type(
    post: Post, yard: Yard
) -> None:
    await post.start(ORDERS, a_flow(name="rest", triggers=(a_trigger(None),)), orders=1)
    await arrives(yard, "old", "new")
    assert [request.event.id for request in post.requests("rest")] == ["old"]
    assert [request.event.id for request in post.requests()] == ["new"]


async def test_a_default_trigger_takes_the_rest(post: Post, yard: Yard) -> None:
    await post.start(ORDERS, a_flow(name="rest", triggers=(a_trigger(None),)))
    yard.stream.add(an_event(event_type="user.created"))
    await yard.clock.settle()
    assert len(post.requests("rest")) == 1
    assert post.requests("orders") == []


async def test_a_continuation_goes_to_its_flow_whatever_its_event(post: Post, yard: Yard) -> None:
    await post.start(ORDERS, AUDIT)
    waiting = a_continuation("orders", attempt=2, hops=4)
    yard.stream.add(waiting.event, continuation=waiting)
    await yard.clock.settle()
    (request,) = post.requests("orders")
    assert post.requests("audit") == []
    assert (request.run_id, request.triggers) == ("run-c", ())
    assert (request.attempt, request.hops, request.parent_run_id) == (2, 4, "run-p")
    request.share.settle_one(ACK)
    assert yard.stream.unsettled == 0


async def test_a_continuation_of_a_flow_that_is_gone_is_parked(post: Post, yard: Yard) -> None:
    await post.start(ORDERS)
    waiting = a_continuation("gone", attempt=3)
    yard.stream.add(waiting.event, continuation=waiting)
    await yard.clock.settle()
    (letter,) = yard.letters.parked
    assert (letter.reason, letter.letter_id, letter.attempts) == ("unknown_flow", "run-c", 3)
    assert (letter.flow, letter.event) == ("gone", waiting.event)
    assert yard.stream.unsettled == 0


async def test_a_continuation_that_cannot_be_parked_comes_back(post: Post, yard: Yard) -> None:
    await post.start(ORDERS)
    yard.letters.is_available = False
    waiting = a_continuation("gone")
    yard.stream.add(waiting.event, continuation=waiting)
    await asyncio.sleep(0)
    yard.letters.is_available = True
    await yard.clock.settle()
    assert yard.settlements()["evt-1"][-1] is ACK
    assert len(yard.letters.parked) == 1


async def test_a_failed_parking_naks(yard: Yard) -> None:
    yard.letters.is_available = False
    in_force = RoutesInForce(Routes(RoutingTable(Deployment("demo", "r1", {})), {}))
    ports = RouterPorts(yard.stream.open(), yard.letters, yard.observer, yard.clock)
    delivery = yard.delivered(continuation=a_continuation("gone"))
    await DeliveryRouter("demo", in_force, ports)._dispatch(delivery)
    assert delivery.settlement is NAK


async def test_a_stopped_executor_gives_the_delivery_back(post: Post, yard: Yard) -> None:
    await post.start(ORDERS)
    stopped = post.boxes["orders"]
    stopped.close()
    yard.stream.add(an_event())
    while not yard.stream.handed_out:
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert yard.stream.handed_out[0].settlement is NAK
    post.in_force.current = post.routes(ORDERS)
    await yard.clock.settle()
    assert [request.event.id for request in post.requests()] == ["evt-1"]


async def test_one_event_never_sees_a_mixture_of_routes(post: Post, yard: Yard) -> None:
    await post.start(ORDERS, AUDIT, capacity=1)
    old = dict(post.boxes)
    await arrives(yard, "evt-1", "evt-2")
    assert old["orders"].depth == 1  # evt-2 waits for room
    post.in_force.current = post.routes(ORDERS, AUDIT)
    for box in (old["orders"], old["audit"]):
        for request in box.take_nowait(1):
            request.share.settle_one(ACK)
    await yard.clock.settle()
    assert [request.event.id for request in old["audit"].take_nowait(2)] == ["evt-2"]
    assert post.requests("audit") == []
    old["orders"].take_nowait(1)


# ── Pulling ──────────────────────────────────────────────────────────────────────────────────


async def test_a_full_mailbox_stops_pulling(post: Post, yard: Yard) -> None:
    await post.start(ORDERS, capacity=1)
    await arrives(yard, "evt-1", "evt-2")
    yard.stream.add(an_event("evt-3"))
    await yard.clock.settle()
    assert [delivery.event.id for delivery in yard.stream.handed_out] == ["evt-1", "evt-2"]
    for _ in range(3):
        post.settle_all()
        await yard.clock.settle()
    assert yard.stream.unsettled == 0


async def test_a_bus_that_is_away_is_tried_again(post: Post, yard: Yard) -> None:
    yard.stream.is_available = False
    await post.start(ORDERS)
    yard.stream.add(an_event())
    await yard.clock.advance(3 * PULL_RETRY_SECONDS)
    assert yard.stream.handed_out == []
    yard.stream.is_available = True
    await yard.clock.advance(PULL_RETRY_SECONDS)
    assert len(post.requests()) == 1


# ── A deployment that is newer than what is known here ───────────────────────────────────────


async def test_an_event_that_only_a_newer_deployment_wants_is_not_lost(
    post: Post, yard: Yard
) -> None:
    async def confirm() -> None:
        post.in_force.current = post.routes(ORDERS)

    await post.start(confirm=confirm)
    await arrives(yard)
    assert len(post.requests()) == 1
    assert yard.settlements() == {"evt-1": [None]}


async def test_unwanted_events_of_one_pull_are_made_sure_of_once(post: Post, yard: Yard) -> None:
    asked: list[float] = []

    async def confirm() -> None:
        asked.append(yard.clock.monotonic())

    await post.start(confirm=confirm)
    await arrives(yard, *(f"evt-{number}" for number in range(20)))
    first = len(asked)
    assert 1 <= first < 20
    await yard.clock.advance(1)
    await arrives(yard, "evt-later")
    assert len(asked) == first + 1
    assert set(yard.settlements()["evt-later"]) == {ACK}


async def test_an_unwanted_event_stays_while_nobody_can_tell(post: Post, yard: Yard) -> None:
    async def confirm() -> None:
        raise UnavailableError("the bucket is away")

    await post.start(confirm=confirm)
    await arrives(yard)
    assert yard.settlements() == {"evt-1": [Settlement.LEAVE]}


async def test_what_is_in_flight_is_kept_alive_until_it_is_settled(post: Post, yard: Yard) -> None:
    await post.start(ORDERS)
    (delivery,) = await arrives(yard)
    await yard.clock.advance(2)
    yard.stream.add(an_event("evt-2"))
    await yard.clock.advance(60)
    assert delivery.times_kept_alive == 12
    assert yard.stream.handed_out[1].times_kept_alive == 11  # too young at the first look
    assert yard.clock.monotonic() - delivery.kept_alive_at < 2 * KEEP_ALIVE_EVERY_SECONDS
    post.settle_all()
    heard = delivery.times_kept_alive
    await yard.clock.advance(60)
    assert delivery.times_kept_alive == heard


async def test_what_a_frozen_process_had_is_not_taken_for_ours_again(
    post: Post, yard: Yard
) -> None:
    await post.start(ORDERS)
    (delivery,) = await arrives(yard)
    await yard.clock.advance(6)
    assert delivery.times_kept_alive == 1
    await yard.clock.jump(40)
    await yard.clock.advance(60)
    assert delivery.times_kept_alive == 1


# ── Drain and stop ───────────────────────────────────────────────────────────────────────────


async def test_a_drain_waits_for_what_is_in_flight_and_pulls_no_more(
    post: Post, yard: Yard
) -> None:
    await post.start(ORDERS)
    await arrives(yard)
    draining = post.remove()
    await yard.clock.settle()
    yard.stream.add(an_event("evt-2"))
    await yard.clock.settle()
    assert not draining.done()
    post.settle_all()
    await yard.clock.settle()
    assert (await draining).is_complete
    assert yard.settlements() == {"evt-1": [ACK]}


async def test_a_drain_with_nothing_in_flight_ends_at_once(post: Post, yard: Yard) -> None:
    await post.start(ORDERS)
    draining = post.remove()
    await yard.clock.settle()
    assert (await draining).is_complete


async def test_a_drain_dispatches_what_was_pulled_just_before(post: Post, yard: Yard) -> None:
    known = asyncio.Event()

    async def confirm() -> None:
        await known.wait()
        post.in_force.current = post.routes(ORDERS)

    await post.start(confirm=confirm)
    await arrives(yard)
    draining = post.remove()
    await yard.clock.settle()
    known.set()
    await yard.clock.settle()
    post.settle_all()
    await yard.clock.settle()
    assert (await draining).is_complete


class SlowDeliveries:
    """Has deliveries in hand when it is closed, as a pull that is decoding has."""

    def __init__(self, *deliveries: MemoryDelivery) -> None:
        self.decoded = asyncio.Event()
        self._deliveries = deliveries

    async def pull(self, messages_max: int) -> Sequence[MemoryDelivery]:
        await self.decoded.wait()
        taken, self._deliveries = self._deliveries, ()
        return taken

    async def close(self) -> None:
        pass


async def test_a_drain_waits_for_a_pull_with_deliveries_in_hand(post: Post, yard: Yard) -> None:
    deliveries = SlowDeliveries(yard.delivered())
    await post.start(ORDERS, deliveries=deliveries)
    draining = post.remove()
    await yard.clock.settle()
    assert not draining.done()
    deliveries.decoded.set()
    await yard.clock.settle()
    post.settle_all()
    await yard.clock.settle()
    assert (await draining).is_complete
    assert yard.settlements() == {"evt-1": [ACK]}


async def test_a_stop_gives_back_what_no_flow_was_told_of(post: Post, yard: Yard) -> None:
    await post.start(ORDERS, capacity=1)
    told, at_the_door, untold = await arrives(yard, "evt-1", "evt-2", "evt-3")
    await post.stop()
    assert (told.settlement, at_the_door.settlement, untold.settlement) == (None, None, NAK)


async def test_a_router_can_be_drained_before_it_started(yard: Yard) -> None:
    in_force = RoutesInForce(Routes(RoutingTable(Deployment("demo", "r1", {})), {}))
    ports = RouterPorts(yard.stream.open(), yard.letters, yard.observer, yard.clock)
    await DeliveryRouter("demo", in_force, ports).on_drain()


async def test_it_takes_no_message(yard: Yard) -> None:
    in_force = RoutesInForce(Routes(RoutingTable(Deployment("demo", "r1", {})), {}))
    ports = RouterPorts(yard.stream.open(), yard.letters, yard.observer, yard.clock)
    await DeliveryRouter("demo", in_force, ports).receive(None)  # type: ignore[arg-type]
    assert yard.stream.handed_out == []


@pytest.mark.parametrize("order", ["orders first", "audit first"])
async def test_one_interrupted_flow_gives_the_event_back_to_all(
    post: Post, yard: Yard, order: str
) -> None:
    await post.start(ORDERS, AUDIT)
    await arrives(yard)
    settlements = [ACK, NAK] if order == "orders first" else [NAK, ACK]
    for flow, settlement in zip(("orders", "audit"), settlements, strict=True):
        (request,) = post.requests(flow)
        request.share.settle_one(settlement)
    await yard.clock.settle()
    assert yard.settlements() == {"evt-1": [NAK, None]}
    assert len(post.requests("orders")) == len(post.requests("audit")) == 1

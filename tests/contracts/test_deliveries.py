"""The Deliveries port means the same in memory and on a real consumer."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from actors.events import Event
from actors.outcomes import Settlement
from actors.ports import Continuation, Deliveries, Delivery, Envelope
from actors.testing.deliveries import MemoryEventStream
from app.bus.continuations import JetStreamContinuations
from app.control import names
from app.system import SystemClock
from tests.support.bus_rig import TENANT, a_rig

EVENT = Event("e1", "order.created", "webhook", 5, {"total": 2**60 + 1})
REPLY_TO = "greentic.reply.i1.e1"
PATIENCE_SECONDS = 20.0


@dataclass
class Inflow:
    """A tenant's deliveries, and ways to put something into them."""

    deliveries: Deliveries
    reopen: Callable[[], Deliveries]
    add: Callable[[Envelope], Awaitable[None]]
    add_continuation: Callable[[Continuation], Awaitable[None]]
    wait_settled: Callable[[], Awaitable[None]]
    unsettled: Callable[[], Awaitable[int]]


def memory_inflow() -> Inflow:
    stream = MemoryEventStream(SystemClock())

    async def add(envelope: Envelope) -> None:
        stream.add(envelope.event, reply_to=envelope.reply_to, hops=envelope.hops)

    async def add_continuation(continuation: Continuation) -> None:
        stream.add(continuation.event, hops=continuation.hops, continuation=continuation)

    async def wait_settled() -> None:
        assert stream.unsettled == 0

    async def unsettled() -> int:
        return stream.unsettled

    return Inflow(stream.open(), stream.open, add, add_continuation, wait_settled, unsettled)


@pytest.fixture(params=["memory", "nats"])
async def inflow(request: pytest.FixtureRequest, fresh_env: str) -> AsyncIterator[Inflow]:
    if request.param == "memory":
        yield memory_inflow()
        return
    async with a_rig(request.getfixturevalue("nats_server"), fresh_env) as rig:
        continuations = JetStreamContinuations(rig.acked, env=fresh_env, clock=SystemClock())

        async def add(envelope: Envelope) -> None:
            await rig.publisher.publish(envelope)

        async def add_continuation(continuation: Continuation) -> None:
            await continuations.schedule(TENANT, continuation)

        async def wait_settled() -> None:
            await rig.wait_settled(rig.events_stream, names.FLOWS_DURABLE)
            await rig.wait_settled(rig.work_stream, names.work_durable(TENANT))

        async def unsettled() -> int:
            await rig.bus.flush(5)
            return await rig.ack_pending()

        yield Inflow(
            rig.deliveries(), rig.deliveries, add, add_continuation, wait_settled, unsettled
        )


def an_envelope(number: int, **fields: Any) -> Envelope:
    return replace(Envelope(TENANT, replace(EVENT, id=f"e{number}"), f"m{number}"), **fields)


async def test_event_is_delivered_as_it_was_stored(inflow: Inflow) -> None:
    await inflow.add(an_envelope(1, reply_to=REPLY_TO, hops=3))
    [delivery] = await inflow.deliveries.pull(8)
    assert delivery.event == EVENT
    assert (delivery.sequence, delivery.num_delivered) == (1, 1)
    assert (delivery.reply_to, delivery.hops) == (REPLY_TO, 3)
    assert delivery.continuation is None
    delivery.settle(Settlement.ACK)
    await inflow.wait_settled()


async def test_pull_waits_for_the_first(inflow: Inflow) -> None:
    waiting = asyncio.ensure_future(_pull(inflow, 8))
    await asyncio.sleep(0)
    assert not waiting.done()
    await inflow.add(an_envelope(1))
    assert await waiting == ["e1"]


async def _pull(inflow: Inflow, messages_max: int) -> list[str]:
    async with asyncio.timeout(PATIENCE_SECONDS):
        return [delivery.event.id for delivery in await inflow.deliveries.pull(messages_max)]


async def test_pull_gives_no_more_than_asked_and_loses_nothing(inflow: Inflow) -> None:
    for number in range(50):
        await inflow.add(an_envelope(number))
    seen: list[str] = []
    while len(seen) < 50:
        deliveries = await inflow.deliveries.pull(7)
        assert 1 <= len(deliveries) <= 7
        for delivery in deliveries:
            seen.append(delivery.event.id)
            delivery.settle(Settlement.ACK)
    assert seen == [f"e{number}" for number in range(50)]
    await inflow.wait_settled()


async def test_nak_brings_it_back_at_once(inflow: Inflow) -> None:
    await inflow.add(an_envelope(1))
    [delivery] = await inflow.deliveries.pull(8)
    delivery.settle(Settlement.NAK)
    async with asyncio.timeout(PATIENCE_SECONDS):
        [again] = await inflow.deliveries.pull(8)
    assert (again.event, again.sequence, again.num_delivered) == (EVENT, 1, 2)
    again.settle(Settlement.ACK)
    await inflow.wait_settled()


@pytest.mark.parametrize("settlement", [Settlement.ACK, Settlement.TERM])
async def test_settled_does_not_come_back(inflow: Inflow, settlement: Settlement) -> None:
    await inflow.add(an_envelope(1))
    [delivery] = await inflow.deliveries.pull(8)
    delivery.settle(settlement)
    await inflow.wait_settled()
    await inflow.add(an_envelope(2))
    assert await _pull(inflow, 8) == ["e2"]


async def test_second_settlement_is_a_bug(inflow: Inflow) -> None:
    await inflow.add(an_envelope(1))
    [delivery] = await inflow.deliveries.pull(8)
    delivery.settle(Settlement.ACK)
    for settlement in Settlement:
        with pytest.raises(ValueError, match="settled already"):
            delivery.settle(settlement)


async def test_left_delivery_is_not_said_to_be_settled(inflow: Inflow) -> None:
    await inflow.add(an_envelope(1))
    await inflow.add(an_envelope(2))
    left: list[Delivery] = []
    while len(left) < 2:
        left += await inflow.deliveries.pull(8)
    left[0].settle(Settlement.LEAVE)
    left[1].settle(Settlement.ACK)
    assert await inflow.unsettled() == 1
    before = left[0].kept_alive_at
    left[0].keep_alive()
    assert left[0].kept_alive_at == before


async def test_first_delivery_after_others_is_new_and_a_second_one_is_not(inflow: Inflow) -> None:
    await inflow.add(an_envelope(1))
    [first] = await inflow.deliveries.pull(8)
    first.settle(Settlement.ACK)
    await inflow.add(an_envelope(2))
    [second] = await inflow.deliveries.pull(8)
    assert not second.may_be_repeated
    second.settle(Settlement.NAK)
    [again] = await inflow.deliveries.pull(8)
    assert again.may_be_repeated
    again.settle(Settlement.ACK)


async def test_keep_alive_moves_its_time(inflow: Inflow) -> None:
    await inflow.add(an_envelope(1))
    [delivery] = await inflow.deliveries.pull(8)
    before = delivery.kept_alive_at
    delivery.keep_alive()
    assert delivery.kept_alive_at >= before
    delivery.settle(Settlement.ACK)


async def test_continuation_comes_with_its_event(inflow: Inflow) -> None:
    continuation = Continuation("r1", "auth/login", EVENT, attempt=2, parent_run_id="r0", hops=4)
    await inflow.add_continuation(continuation)
    async with asyncio.timeout(PATIENCE_SECONDS):
        [delivery] = await inflow.deliveries.pull(8)
    assert delivery.continuation == continuation
    assert (delivery.event, delivery.hops) == (EVENT, 4)
    delivery.settle(Settlement.ACK)
    await inflow.wait_settled()


async def test_events_and_continuations_are_merged(inflow: Inflow) -> None:
    for number in range(20):
        await inflow.add(an_envelope(number))
        await inflow.add_continuation(Continuation(f"r{number}", "orders", EVENT))
    seen: list[bool] = []
    async with asyncio.timeout(PATIENCE_SECONDS):
        while len(seen) < 40:
            for delivery in await inflow.deliveries.pull(8):
                seen.append(delivery.continuation is None)
                delivery.settle(Settlement.ACK)
    assert (seen.count(True), seen.count(False)) == (20, 20)
    await inflow.wait_settled()


async def test_close_ends_a_waiting_pull_with_nothing(inflow: Inflow) -> None:
    waiting = asyncio.ensure_future(inflow.deliveries.pull(8))
    await asyncio.sleep(0)
    await inflow.deliveries.close()
    assert list(await waiting) == []
    assert list(await inflow.deliveries.pull(8)) == []


async def test_what_was_not_handed_out_is_there_after_reopening(inflow: Inflow) -> None:
    for number in range(10):
        await inflow.add(an_envelope(number))
    first = list(await inflow.deliveries.pull(3))
    await inflow.deliveries.close()
    for delivery in first:
        delivery.settle(Settlement.ACK)
    seen = {delivery.event.id for delivery in first}
    reopened = inflow.reopen()
    async with asyncio.timeout(PATIENCE_SECONDS):
        while len(seen) < 10:
            for delivery in await reopened.pull(8):
                seen.add(delivery.event.id)
                delivery.settle(Settlement.ACK)
    await inflow.wait_settled()
    await reopened.close()

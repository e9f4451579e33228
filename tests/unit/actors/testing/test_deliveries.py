"""The stream twin: what comes back, when, and how often."""

import asyncio

import pytest

from actors.errors import UnavailableError
from actors.outcomes import Settlement
from actors.testing.clock import VirtualClock
from actors.testing.deliveries import MemoryEventStream
from actors.testing.publisher import MemoryPublisher
from actors.testing.ticks import MemoryTicks
from tests.support.builders import a_continuation, an_event


@pytest.fixture
def stream() -> MemoryEventStream:
    return MemoryEventStream(VirtualClock())


async def test_a_pull_waits_for_the_first_and_takes_no_more_than_asked(
    stream: MemoryEventStream,
) -> None:
    pull = stream.open()
    waiting = asyncio.ensure_future(pull.pull(2))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not waiting.done()
    for number in range(3):
        stream.add(an_event(f"evt-{number}"), hops=number)
    assert [(d.event.id, d.sequence, d.hops) for d in await waiting] == [
        ("evt-0", 1, 0), ("evt-1", 2, 1)
    ]  # fmt: skip
    assert [d.event.id for d in await pull.pull(2)] == ["evt-2"]


async def test_pulls_compete(stream: MemoryEventStream) -> None:
    stream.add(an_event("evt-1"))
    stream.add(an_event("evt-2"))
    one, other = await stream.open().pull(1), await stream.open().pull(9)
    assert [d.event.id for d in (*one, *other)] == ["evt-1", "evt-2"]


async def test_a_closed_pull_is_empty_and_one_that_waits_ends(stream: MemoryEventStream) -> None:
    pull = stream.open()
    waiting = asyncio.ensure_future(pull.pull(1))
    await asyncio.sleep(0)
    await pull.close()
    assert await waiting == ()
    await asyncio.sleep(0)
    again = asyncio.ensure_future(stream.open().pull(1))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    again.cancel()
    assert await pull.pull(1) == ()


async def test_a_bus_that_is_away_says_so(stream: MemoryEventStream) -> None:
    stream.is_available = False
    with pytest.raises(UnavailableError):
        await stream.open().pull(1)


@pytest.mark.parametrize("settlement", [Settlement.ACK, Settlement.TERM])
async def test_what_is_settled_never_comes_back(
    stream: MemoryEventStream, settlement: Settlement
) -> None:
    stream.add(an_event())
    (delivery,) = stream.take(1)
    delivery.settle(settlement)
    stream.redeliver_unsettled()
    assert (stream.take(1), stream.unsettled) == ([], 0)
    with pytest.raises(ValueError, match="settled already"):
        delivery.settle(settlement)


async def test_a_nak_brings_it_back_at_once(stream: MemoryEventStream) -> None:
    stream.add(an_event(), continuation=a_continuation())
    (first,) = stream.take(1)
    first.settle(Settlement.NAK)
    (second,) = stream.take(1)
    assert (second.sequence, second.num_delivered) == (1, 2)
    assert second.continuation == first.continuation


async def test_a_late_word_about_an_older_delivery_counts_as_the_buses_does(
    stream: MemoryEventStream,
) -> None:
    stream.add(an_event())
    (first,) = stream.take(1)
    stream.redeliver_unsettled()
    stream.redeliver_unsettled()  # once is enough
    (second,) = stream.take(9)
    first.settle(Settlement.NAK)  # it is out again already
    assert stream.take(1) == []
    stream.redeliver_unsettled()
    second.settle(Settlement.ACK)
    assert stream.take(1) == []  # acked before it went out a third time
    assert stream.unsettled == 0


async def test_a_late_nak_of_what_is_acked_means_nothing(stream: MemoryEventStream) -> None:
    stream.add(an_event())
    (first,) = stream.take(1)
    stream.redeliver_unsettled()
    (second,) = stream.take(1)
    second.settle(Settlement.ACK)
    first.settle(Settlement.NAK)
    assert (stream.take(1), stream.unsettled) == ([], 0)


async def test_what_is_kept_alive_does_not_come_back() -> None:
    clock = VirtualClock()
    stream = MemoryEventStream(clock)
    stream.add(an_event())
    (delivery,) = stream.take(1)
    await clock.advance(20)
    delivery.keep_alive()
    await clock.advance(20)
    stream.redeliver_unsettled(idle_seconds=30)
    assert stream.take(1) == []
    await clock.advance(20)
    stream.redeliver_unsettled(idle_seconds=30)
    (again,) = stream.take(1)
    again.settle(Settlement.ACK)
    again.keep_alive()
    assert again.times_kept_alive == 0


async def test_ticks_are_read_from_what_was_stored() -> None:
    ticks = MemoryTicks(MemoryPublisher())
    assert await ticks.last_stored_tick("demo", "timer.orders.1") is None
    ticks.is_available = False
    with pytest.raises(UnavailableError):
        await ticks.last_stored_tick("demo", "timer.orders.1")

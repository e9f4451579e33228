"""The twin of WORK: what waits, what comes due, and what is known again."""

from typing import Any

import pytest

from actors.errors import UnavailableError
from actors.ports import Continuation
from actors.testing.clock import VirtualClock
from actors.testing.deliveries import MemoryEventStream
from actors.testing.work import REMEMBER_MS, MemoryWork
from tests.support.builders import a_continuation


class Bench:
    """WORK with a stream for the tenant and one for each lane."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.streams: dict[tuple[str, str | None], MemoryEventStream] = {}
        self.work = MemoryWork(self.clock, self.stream)

    def stream(self, tenant: str, lane: str | None) -> MemoryEventStream:
        return self.streams.setdefault((tenant, lane), MemoryEventStream(self.clock))

    async def schedule(self, lane: str | None = None, after_ms: int = 0, **fields: Any) -> None:
        due_ms = self.clock.now_ms() + after_ms if after_ms else 0
        await self.work.schedule("demo", a_continuation(due_ms=due_ms, **fields), lane=lane)

    def handed_over(self, lane: str | None = None) -> list[Continuation | None]:
        return [taken.continuation for taken in self.stream("demo", lane).take(100)]


async def test_what_is_due_is_delivered_at_once() -> None:
    bench = Bench()
    await bench.schedule()
    (continuation,) = bench.handed_over()
    assert continuation is not None
    assert continuation.run_id == "run-c"
    assert bench.work.waiting == []


async def test_what_waits_is_delivered_when_its_time_has_come() -> None:
    bench = Bench()
    await bench.schedule(after_ms=5000)
    assert bench.work.next_due_ms == bench.clock.now_ms() + 5000
    await bench.clock.advance(4.999)
    assert bench.work.move_due() == 0
    assert bench.handed_over() == []
    await bench.clock.advance(0.001)
    assert bench.work.move_due() == 1
    assert len(bench.handed_over()) == 1
    assert bench.work.next_due_ms is None


async def test_a_run_has_one_schedule_which_another_one_replaces() -> None:
    bench = Bench()
    await bench.schedule(after_ms=5000)
    await bench.schedule(after_ms=9000, leg=1)
    await bench.schedule(after_ms=7000, run_id="run-d")
    assert [(one.run_id, one.leg) for one in bench.work.waiting] == [("run-c", 1), ("run-d", 0)]


async def test_a_schedule_takes_the_place_of_the_one_that_replaced_it() -> None:
    bench = Bench()
    for leg in (1, 0, 1):
        await bench.schedule(after_ms=5000, leg=leg)
    assert [one.leg for one in bench.work.waiting] == [1]
    bench.work.knows_schedules = True
    for leg in (0, 1):
        await bench.schedule(after_ms=5000, leg=leg)
    assert [one.leg for one in bench.work.waiting] == [1]


async def test_what_is_due_at_once_is_known_again_for_an_hour() -> None:
    bench = Bench()
    await bench.schedule()
    await bench.schedule()
    assert len(bench.handed_over()) == 1
    await bench.schedule(attempt=2)
    await bench.schedule(round=1)
    await bench.schedule(leg=1)
    assert len(bench.handed_over()) == 3
    await bench.clock.advance(REMEMBER_MS / 1000)
    await bench.schedule()
    assert len(bench.handed_over()) == 1


async def test_a_server_that_was_restarted_knows_only_what_it_still_stores() -> None:
    bench = Bench()
    await bench.schedule()
    await bench.schedule(after_ms=5000, run_id="run-d")
    bench.work.forget_ids()
    await bench.schedule()
    assert len(bench.handed_over()) == 2
    assert [one.run_id for one in bench.work.waiting] == ["run-d"]


async def test_a_lane_has_deliveries_of_its_own() -> None:
    bench = Bench()
    await bench.schedule("orders")
    await bench.schedule("orders", after_ms=1000, run_id="run-d")
    await bench.clock.advance(1)
    bench.work.move_due()
    assert bench.handed_over() == []
    assert len(bench.handed_over("orders")) == 2


async def test_a_bus_that_is_away_stores_nothing() -> None:
    bench = Bench()
    bench.work.is_available = False
    with pytest.raises(UnavailableError):
        await bench.schedule()
    assert bench.handed_over() == []

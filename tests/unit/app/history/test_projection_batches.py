"""Batches: written, then acknowledged; nothing else."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from actors.errors import UnavailableError
from app.errors import StoreError
from app.history.projection import batches
from app.history.projection.batches import Batches, BatchLimits, BatchPorts
from app.history.projection.reading import MessagePlace, ReadMessage
from app.history.store.rows import RunRow, row_of
from app.observability.history import HistoryMeter


class Store:
    """Keeps rows; fails as it is told."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], RunRow] = {}
        self.sizes: list[int] = []
        self.outages = 0
        self.poison: set[str] = set()
        self.gate = asyncio.Event()
        self.gate.set()

    async def write(self, rows: Sequence[RunRow]) -> int:
        await self.gate.wait()
        if self.outages:
            self.outages -= 1
            raise UnavailableError("away")
        if any(row.run_id in self.poison for row in rows):
            raise StoreError("a value is refused")
        self.sizes.append(len(rows))
        before = len(self.rows)
        self.rows |= {(row.tenant, row.run_id): row for row in rows}
        return len(self.rows) - before


class Rig:
    def __init__(self, limits: BatchLimits, erased: set[str]) -> None:
        self.registry = CollectorRegistry()
        self.store = Store()
        self.acked: list[int] = []
        ports = BatchPorts(
            self.store, HistoryMeter(self.registry), erased.__contains__, asyncio.Lock()
        )
        self.batches = Batches(ports, limits)
        self.task: asyncio.Task[None] | None = None

    def counted(self, outcome: str) -> float:
        return (
            self.registry.get_sample_value("greentic_history_records_total", {"outcome": outcome})
            or 0.0
        )

    async def put(self, sequence: int, *run_ids: str, tenant: str = "acme", bad: int = 0) -> None:
        place = MessagePlace(f"greentic.runs.dev.{tenant}.f", 0, sequence)
        rows = [row(tenant, run_id, sequence, index) for index, run_id in enumerate(run_ids)]
        message = ReadMessage(place, rows, bad, ("why",) * bad)
        await self.batches.put(message, lambda: self.acked.append(sequence))

    async def until(self, is_so: Callable[[], Any]) -> None:
        async with asyncio.timeout(5):
            while not is_so():
                await asyncio.sleep(0.002)


def row(tenant: str, run_id: str, sequence: int, index: int) -> RunRow:
    texts = dict.fromkeys(("flow", "flow_version", "status", "event_id", "event_type"), "x")
    times = {"started_ms": 1, "finished_ms": 2, "attempt": 1}
    return row_of({"tenant": tenant, "run_id": run_id, **texts, **times}, 0, sequence, index)


@asynccontextmanager
async def running(
    limits: BatchLimits | None = None, erased: set[str] | None = None
) -> AsyncIterator[Rig]:
    rig = Rig(limits or BatchLimits(records=10, seconds=0.01), set() if erased is None else erased)
    rig.task = task = asyncio.create_task(rig.batches.run())
    try:
        yield rig
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "RETRY_FIRST_SECONDS", 0.001)
    monkeypatch.setattr(batches, "RETRY_SECONDS_MAX", 0.002)


async def test_messages_are_written_together_and_acknowledged_in_order() -> None:
    async with running() as rig:
        for sequence in (1, 2, 3):
            await rig.put(sequence, f"a{sequence}", f"b{sequence}")
        await rig.until(lambda: rig.acked == [1, 2, 3])
        assert rig.store.sizes == [6]
        assert rig.counted("written") == 6


async def test_a_full_batch_does_not_wait() -> None:
    async with running(BatchLimits(records=2, seconds=60)) as rig:
        await rig.put(1, "a", "b")
        await rig.until(lambda: rig.acked == [1])


async def test_nothing_is_acknowledged_before_it_is_written() -> None:
    async with running() as rig:
        rig.store.gate.clear()
        await rig.put(1, "a")
        await asyncio.sleep(0.05)
        assert rig.acked == []
        rig.store.gate.set()
        await rig.until(lambda: rig.acked == [1])


async def test_an_end_in_the_middle_acknowledges_nothing() -> None:
    async with running() as rig:
        rig.store.gate.clear()
        await rig.put(1, "a")
        await asyncio.sleep(0.05)
    assert rig.acked == []


async def test_an_outage_of_the_database_holds_everything_up_and_loses_nothing() -> None:
    async with running() as rig:
        rig.store.outages = 5
        await rig.put(1, "a")
        await rig.until(lambda: rig.acked == [1])
        assert set(rig.store.rows) == {("acme", "a")}
        assert rig.batches.failures == 0
        assert (
            rig.registry.get_sample_value("greentic_history_failures_total", {"what": "database"})
            == 5
        )


async def test_a_writer_that_is_held_up_takes_no_more_than_a_batch_besides() -> None:
    async with running(BatchLimits(records=4, seconds=0.01)) as rig:
        rig.store.gate.clear()
        await rig.put(1, *"abcd")
        await asyncio.sleep(0.02)  # being written
        await rig.put(2, *"efgh")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await rig.put(3, "i")
        rig.store.gate.set()
        await rig.put(3, "i")
        await rig.until(lambda: rig.acked == [1, 2, 3])


async def test_a_row_that_is_refused_leaves_the_others_and_is_counted() -> None:
    async with running(BatchLimits(records=7, seconds=0.01)) as rig:
        rig.store.poison = {"c", "f"}
        await rig.put(1, *"abcdefg")
        await rig.until(lambda: rig.acked == [1])
        assert {run_id for _, run_id in rig.store.rows} == set("abdeg")
        assert (rig.counted("written"), rig.counted("malformed")) == (5, 2)


async def test_malformed_messages_are_acknowledged_and_counted() -> None:
    async with running() as rig:
        await rig.put(1, bad=3)
        await rig.until(lambda: rig.acked == [1])
        assert rig.counted("malformed") == 3


async def test_rows_of_erased_tenants_are_dropped_when_they_would_be_written() -> None:
    erased: set[str] = set()
    async with running(erased=erased) as rig:
        rig.store.outages = 3
        await rig.put(1, "a", tenant="gone")
        erased.add("gone")  # heard of while the batch waits for the database
        await rig.put(2, "a")
        await rig.until(lambda: rig.acked == [1, 2])
        assert set(rig.store.rows) == {("acme", "a")}
        assert rig.counted("erased") == 1


async def test_what_was_known_is_counted_apart() -> None:
    async with running() as rig:
        await rig.put(1, "a")
        await rig.until(lambda: rig.acked == [1])
        await rig.put(2, "a", "b")
        await rig.until(lambda: rig.acked == [1, 2])
        assert (rig.counted("written"), rig.counted("repeated")) == (2, 1)

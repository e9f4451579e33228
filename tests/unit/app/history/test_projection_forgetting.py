"""Old runs go in bites; deleted tenants' runs go and stay gone."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, cast

import pytest
from prometheus_client import CollectorRegistry

from actors.errors import UnavailableError
from actors.testing.instant_clock import InstantClock
from app.history.projection import forgetting
from app.history.projection.forgetting import BITE_RUNS, DAY_MS, Retention, TenantRows
from app.observability.history import HistoryMeter
from app.tenancy.directory import TenantDirectory
from app.tenancy.record import TenantRecord

NOW_MS = 100 * DAY_MS


class Store:
    """Has runs by time, and rows of tenants."""

    def __init__(self, ended_ms: list[int] | None = None, rows: dict[str, int] | None = None):
        self.ended_ms = ended_ms or []
        self.rows = rows or {}
        self.bites: list[int] = []
        self.outages = 0

    async def forget_before(self, finished_ms: int, *, at_most: int) -> int:
        old = [one for one in self.ended_ms if one < finished_ms][:at_most]
        for one in old:
            self.ended_ms.remove(one)
        self.bites.append(len(old))
        return len(old)

    async def erase(self, tenant: str) -> int:
        if self.outages:
            self.outages -= 1
            raise UnavailableError("away")
        return self.rows.pop(tenant, 0)


class Directory:
    """The part of `TenantDirectory` that is used."""

    def __init__(self, records: dict[str, TenantRecord]) -> None:
        self._records = records
        self._calls: list[Callable[[str, TenantRecord | None], None]] = []

    def records(self) -> Mapping[str, TenantRecord]:
        return self._records

    def on_change(self, call: Callable[[str, TenantRecord | None], None]) -> None:
        self._calls.append(call)

    def put(self, record: TenantRecord) -> None:
        self._records[record.id] = record
        for call in self._calls:
            call(record.id, record)


def tenant(name: str, *, is_deleted: bool = False) -> TenantRecord:
    record = TenantRecord(name, name, 1, 1)
    return record.deleted(2) if is_deleted else record


def rows_of(store: Store, directory: Directory) -> TenantRows:
    meter = HistoryMeter(CollectorRegistry())
    return TenantRows(store, cast("TenantDirectory", directory), meter, asyncio.Lock())


async def until(is_so: Callable[[], Any]) -> None:
    async with asyncio.timeout(5):
        while not is_so():
            await asyncio.sleep(0.002)


async def test_what_is_older_than_the_days_goes_in_bites() -> None:
    old, young = [NOW_MS - 30 * DAY_MS - 1] * (2 * BITE_RUNS + 5), [NOW_MS - 30 * DAY_MS] * 3
    store = Store([*old, *young])
    clock = InstantClock(NOW_MS)
    retention = Retention(store, 30, clock, HistoryMeter(CollectorRegistry()))
    assert await retention.sweep() == len(old)
    assert store.bites == [BITE_RUNS, BITE_RUNS, 5]
    assert store.ended_ms == young


async def test_zero_days_keep_everything() -> None:
    store = Store([1])
    clock = InstantClock(NOW_MS)
    await Retention(store, 0, clock, HistoryMeter(CollectorRegistry())).run()
    assert store.bites == []


async def test_rows_of_tenants_that_were_deleted_before_and_are_deleted_now_go(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(forgetting, "RETRY_FIRST_SECONDS", 0.001)
    store = Store(rows={"before": 3, "later": 4, "stays": 5})
    directory = Directory({"before": tenant("before", is_deleted=True), "stays": tenant("stays")})
    rows = rows_of(store, directory)
    store.outages = 2
    task = asyncio.create_task(rows.run())
    await until(lambda: "before" not in store.rows)
    assert not rows.is_erased("later")
    directory.put(tenant("later", is_deleted=True))
    assert rows.is_erased("later")
    await until(lambda: store.rows == {"stays": 5})
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task

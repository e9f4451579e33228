"""The Faust table of usage on a real server: late records, erased tenants, what is let go."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from actors.ports import Clock
from app.bus.acked_publisher import AckedPublisher
from app.bus.admin import JetStreamAdmin
from app.bus.connection import Bus, BusSettings
from app.bus.direct import DirectReader
from app.bus.looking_back import StreamWalk
from app.bus.server_folder import Endpoint
from app.control import names
from app.control.control import Control
from app.control.erasing import TenantStores
from app.control.limits import StreamLimits
from app.control.streams import runs_spec
from app.history.metering.reading import DAY_MS, UsageSearch, UsageWindows
from app.history.metering.records import HOUR_MS
from app.history.metering.table import MeteringPorts, UsageMetering
from app.history.metering.windows import hour_key
from app.history.projection.worker import HistoryWorker, WorkerSettings
from app.observability.history import HistoryMeter
from app.system import SystemClock
from tests.support.bus import connected
from tests.support.usage_records import a_record, subject_of

pytestmark = pytest.mark.server

CLOCK: Clock = SystemClock()
SECONDS = 20.0


@dataclass
class Metering:
    """An env, and the metering of one process in it."""

    env: str
    bus: Bus
    settings: BusSettings
    reader: DirectReader
    gone: set[str] = field(default_factory=set)
    parts: list[UsageMetering] = field(default_factory=list)
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    meter: HistoryMeter = field(init=False)

    def __post_init__(self) -> None:
        self.meter = HistoryMeter(self.registry)

    @property
    def windows(self) -> UsageWindows:
        return UsageWindows(self.reader, self.env)

    @asynccontextmanager
    async def counting(self) -> AsyncIterator[None]:
        """Count for the body, as a process of its own does."""
        stream = names.runs_stream(self.env, 0)

        async def streams() -> Sequence[str]:
            return [stream]

        ports = MeteringPorts(
            windows=self.windows,
            pages=lambda of: StreamWalk(self.reader, of, ">"),
            is_gone=self.gone.__contains__,
            clock=CLOCK,
            meter=self.meter.usage,
        )

        def part() -> list[UsageMetering]:
            self.parts.append(UsageMetering(ports))
            return self.parts[-1:]

        settings = WorkerSettings(self.env, self.settings, "usage")
        worker = HistoryWorker(settings, part, streams, self.meter)
        task = asyncio.create_task(worker.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def store(self, *records: dict[str, Any]) -> None:
        """Store records, each in a message of its own, and wait until they are counted."""
        publisher = await AckedPublisher.start(self.bus, deadline_seconds=10)
        for record in records:
            data = msgspec.json.encode([record])
            await publisher.publish(subject_of([record], self.env), data, b"")
        publisher.close()
        await self.caught_up()

    async def caught_up(self) -> None:
        admin = JetStreamAdmin(self.bus)
        async with asyncio.timeout(SECONDS):
            while True:
                info = await admin.consumer_info(names.runs_stream(self.env, 0), "usage")
                if info is not None and not info.pending and not info.ack_pending:
                    return
                await asyncio.sleep(0.02)

    async def runs(self, tenant: str) -> dict[int, int]:
        """Give how many runs were counted, by how many hours ago they ended."""
        now_ms = CLOCK.now_ms()
        search = UsageSearch(now_ms - 30 * DAY_MS, now_ms + HOUR_MS)
        this_hour = now_ms // HOUR_MS * HOUR_MS
        return {
            (this_hour - row.start_ms) // HOUR_MS: row.usage.runs
            async for row in self.windows.read(tenant, search)
        }

    def shown(self, tenant: str) -> float | None:
        """Give what Prometheus sees of this hour."""
        return self.registry.get_sample_value("greentic_usage_hour_events", {"tenant": tenant})

    @property
    def kept(self) -> Any:
        """The table of the latest app."""
        kept = self.parts[-1]._kept
        assert kept is not None
        return kept


@pytest.fixture
async def metering(nats_server: Endpoint, fresh_env: str) -> AsyncIterator[Metering]:
    async with connected(nats_server) as bus:
        await Control(bus, fresh_env).ensure([])
        spec = runs_spec(fresh_env, 0, (f"greentic.runs.{fresh_env}.>",), StreamLimits())
        await JetStreamAdmin(bus).ensure_stream(spec)
        reader = await DirectReader.start(bus)
        settings = BusSettings(nats_server.url, nats_server.user, nats_server.password)
        yield Metering(fresh_env, bus, settings, reader)
        await reader.close()


def ended(run_id: str, hours_ago: int = 0, tenant: str = "acme") -> dict[str, Any]:
    ended_ms = CLOCK.now_ms() // HOUR_MS * HOUR_MS - hours_ago * HOUR_MS
    return a_record(run_id, tenant=tenant, finished_ms=ended_ms)


async def test_records_are_counted_once_in_the_hour_they_ended(metering: Metering) -> None:
    async with metering.counting():
        again = ended("a")
        await metering.store(ended("a"), ended("b", 1), again, ended("c"), ended("d", 5))
        assert await metering.runs("acme") == {0: 2, 1: 1, 5: 1}
        assert metering.shown("acme") == 2
        value = metering.registry.get_sample_value("greentic_usage_records_repeated_total")
        assert value == 1


async def test_what_was_counted_is_there_after_a_start_to_be_counted_on(
    metering: Metering,
) -> None:
    async with metering.counting():
        await metering.store(ended("a"), ended("b", 1))
    async with metering.counting():
        await metering.store(ended("a"), ended("c"), ended("d", 1))
        assert await metering.runs("acme") == {0: 2, 1: 2}
        assert metering.shown("acme") == 2


async def test_a_late_record_is_counted_into_an_hour_that_memory_let_go(
    metering: Metering,
) -> None:
    async with metering.counting():
        await metering.store(ended("a", 100), ended("b", 100), ended("c"))
        await metering.kept.tidy()
        assert len(metering.kept._table.data) == 1
        await metering.store(ended("d", 100))
        assert await metering.runs("acme") == {100: 3, 0: 1}
    async with metering.counting():
        await metering.store(ended("e", 100))
        assert await metering.runs("acme") == {100: 4, 0: 1}


async def test_nothing_is_counted_for_a_deleted_tenant_and_nothing_comes_back(
    metering: Metering,
) -> None:
    async with metering.counting():
        await metering.store(ended("a"), ended("b", tenant="other"))
        metering.gone.add("acme")
        await metering.store(ended("c"))
        assert await metering.runs("acme") == {0: 1}
        assert metering.shown("acme") is None
        stores = TenantStores(metering.bus, metering.env)
        assert (await stores.erase("acme", lambda: None))["usage"] == 1
        await metering.store(ended("d"), ended("e", tenant="other"))
        await metering.kept.tidy()
        assert [place.tenant for mine in metering.kept._hours.values() for place in mine] == [
            "other"
        ]
        assert await metering.runs("acme") == {}
        metering.gone.remove("acme")  # as its tombstone ends and the id is given anew
        await metering.store(ended("f"))
        assert await metering.runs("acme") == {0: 1}
        assert await metering.runs("other") == {0: 2}


async def test_a_window_that_nobody_can_read_is_begun_anew(metering: Metering) -> None:
    record = ended("a")
    async with metering.counting():
        await metering.store(record)
    [row] = [
        row
        async for row in metering.windows.read(
            "acme", UsageSearch(record["finished_ms"], record["finished_ms"] + 1)
        )
    ]
    assert row.usage.runs == 1
    publisher = await AckedPublisher.start(metering.bus, deadline_seconds=10)
    key = f"acme.{hour_key(record['finished_ms'])}.orders"
    await publisher.publish(names.usage_windows(metering.env, key), b"broken", b"")
    publisher.close()
    async with metering.counting():
        await metering.store(ended("b"))
        assert await metering.runs("acme") == {0: 1}

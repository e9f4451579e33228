"""The history role on a real server: written, dropped, erased, built anew."""

import asyncio
import contextlib
import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from app.bootstrap.history_side import HistoryOptions, HistorySide, HistoryWorld, database_in
from app.bus.admin import JetStreamAdmin
from app.bus.connection import BusSettings
from app.bus.direct import DirectReader
from app.bus.server_folder import Endpoint
from app.cli.history_work import rebuild_history, status_of_history
from app.control import names
from app.control.erasing import TenantStores
from app.control.kept_runs import RunFilter
from app.erasure.eraser import Hands
from app.erasure.opening import open_eraser
from app.errors import ConflictError
from app.observability.metrics import Metrics
from app.tenancy.directory import TenantDirectory
from tests.support.furnishing import ANN, CLOCK, Env, an_env, furnish, store
from tests.support.histories import a_record

pytestmark = pytest.mark.server

GONE, STAYS = "acme", "acme-eu"
ALL = RunFilter()


@dataclass
class Rig:
    """A process with the history role, as far as that role goes."""

    env: Env
    bus: BusSettings
    url: str
    directory: TenantDirectory
    metrics: Metrics
    reader: DirectReader

    @asynccontextmanager
    async def side(self) -> AsyncIterator[HistorySide]:
        side = HistorySide(HistoryOptions(self.url))
        world = HistoryWorld(
            self.env.name, self.bus, self.reader, self.directory, CLOCK, self.metrics.history
        )
        task = asyncio.create_task(side.run(world))
        try:
            yield side
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            side.close()

    async def record(self, tenant: str, *records: Any, data: bytes | None = None) -> None:
        """Store a message of records as a worker does."""
        subject = f"greentic.runs.{self.env.name}.{tenant}.orders.intake"
        await store(self.env.bus, subject, json.dumps(records).encode() if data is None else data)

    def counted(self, outcome: str) -> float:
        name, labels = "greentic_history_records_total", {"outcome": outcome}
        return self.metrics.registry.get_sample_value(name, labels) or 0.0


@pytest.fixture
async def rig(nats_server: Endpoint, fresh_env: str, tmp_path: Path) -> AsyncIterator[Rig]:
    async with an_env(nats_server, fresh_env) as env:
        for tenant in (GONE, STAYS):
            await furnish(env, tenant)
        directory = TenantDirectory(env.bucket(names.tenants_bucket(fresh_env)), CLOCK)
        await directory.start()
        settings = BusSettings(nats_server.url, nats_server.user, nats_server.password)
        reader = await DirectReader.start(env.bus)
        yield Rig(env, settings, database_in(tmp_path), directory, Metrics(), reader)
        await reader.close()
        await directory.stop()


async def ids(side: HistorySide, tenant: str) -> list[str]:
    page = await side.page(tenant, ALL, after=None, limit=100)
    return [run.run_id for run in page.runs]


async def is_kept(side: HistorySide, tenant: str, run_id: str) -> bool:
    return await side.find(tenant, run_id) is not None


async def wait_kept(side: HistorySide, tenant: str, run_id: str) -> None:
    async with asyncio.timeout(15):
        while not await is_kept(side, tenant, run_id):
            await asyncio.sleep(0.02)


async def test_malformed_messages_are_counted_and_hold_up_nothing(rig: Rig) -> None:
    async with rig.side() as side:
        await rig.record(STAYS, data=b"{no json")
        await rig.record(STAYS, {"tenant": STAYS}, a_record(1, tenant=STAYS), a_record(2))
        await rig.record(STAYS, a_record(3, tenant=STAYS))
        await wait_kept(side, STAYS, "run-3")
        assert await is_kept(side, STAYS, "run-1")
        assert not await is_kept(side, "acme", "run-2"), "it came under another tenant's subject"
        assert rig.counted("malformed") == 3
        await until_nothing_behind(rig)
        described = side.describe()
        assert (described["open"], described["working"]) == (True, True)


async def test_a_deleted_tenant_has_no_rows_and_gets_none(rig: Rig) -> None:
    async with rig.side() as side:
        await rig.record(GONE, a_record(1, tenant=GONE))
        await rig.record(STAYS, a_record(1, tenant=STAYS))
        await wait_kept(side, GONE, "run-1")
        await wait_kept(side, STAYS, "run-1")
        stores = TenantStores(rig.env.bus, rig.env.name, (side,))
        assert (await stores.inventory(GONE)).counts["history"] >= 1
        others = await side.count(STAYS)

        await rig.env.desk.remove(ANN, GONE)
        hands = Hands(released, settle_seconds=0.05)
        eraser = open_eraser(rig.env.bus, rig.env.name, rig.env.audit.log, CLOCK, hands, (side,))
        assert await eraser.erase_tenant(GONE, lambda: None) is not None
        assert (await stores.inventory(GONE)).is_empty
        await rig.directory.refresh()

        # What a worker that slept records yet is read, and not kept.
        await rig.record(GONE, a_record(2, tenant=GONE))
        await rig.record(STAYS, a_record(2, tenant=STAYS))
        await wait_kept(side, STAYS, "run-2")
        assert (await side.count(GONE), await side.count(STAYS)) == (0, others + 1)
        assert rig.counted("erased") == 1
    assert_no_trace(rig.url, GONE)


async def test_a_tenant_that_was_deleted_meanwhile_is_erased_at_the_start(rig: Rig) -> None:
    async with rig.side() as side:
        await rig.record(GONE, a_record(1, tenant=GONE))
        await wait_kept(side, GONE, "run-1")
    await rig.env.desk.remove(ANN, GONE)
    await rig.directory.refresh()
    async with rig.side() as side:
        async with asyncio.timeout(15):
            while side.describe()["open"] is False or await side.count(GONE):
                await asyncio.sleep(0.02)


async def test_a_history_is_built_anew_but_not_while_it_is_written(rig: Rig) -> None:
    async with rig.side() as side:
        for number in range(1, 4):
            await rig.record(STAYS, a_record(number, tenant=STAYS))
        await wait_kept(side, STAYS, "run-3")
        before = await ids(side, STAYS)
        with pytest.raises(ConflictError, match="another process keeps the history"):
            await rebuilt(rig)
    with sqlite3.connect(rig.url.removeprefix("sqlite:///")) as database:
        database.execute("DELETE FROM history_runs WHERE run_id = 'run-2'")
        database.execute("UPDATE history_runs SET event_id = 'other' WHERE run_id = 'run-3'")
    database.close()
    # The records' own time lies before the stream's first message: their rows might be all there is.
    with pytest.raises(ConflictError, match="older than what the streams still have"):
        await rebuilt(rig, drops_older=False)
    report = await rebuilt(rig)
    assert report["records"] >= 3
    async with rig.side() as side:
        await wait_kept(side, STAYS, "run-2")
        assert await ids(side, STAYS) == before
        run = await side.find(STAYS, "run-3")
        assert run is not None
        assert run.record["event_id"] == "event-3"


async def test_a_second_history_reads_everything_for_itself(rig: Rig, tmp_path: Path) -> None:
    async with rig.side() as side:
        await rig.record(STAYS, a_record(1, tenant=STAYS))
        await wait_kept(side, STAYS, "run-1")
        first = await ids(side, STAYS)
    rig.url = database_in(tmp_path / "other")
    async with rig.side() as side:
        await wait_kept(side, STAYS, "run-1")
        assert await ids(side, STAYS) == first


async def rebuilt(rig: Rig, *, drops_older: bool = True) -> dict[str, Any]:
    done = await rebuild_history(
        rig.url, rig.bus, rig.env.name, lambda _: None, drops_older=drops_older
    )
    return done.as_mapping()


async def until_nothing_behind(rig: Rig) -> None:
    async with asyncio.timeout(15):
        while True:
            status = await status_of_history(rig.url, rig.bus, rig.env.name)
            if all(lag.is_begun and not lag.messages for lag in status.lags):
                return
            await asyncio.sleep(0.05)


async def released(_: str) -> None:
    """Have every worker let go at once."""


def assert_no_trace(url: str, tenant: str) -> None:
    """Look through the tables themselves."""
    with sqlite3.connect(url.removeprefix("sqlite:///")) as database:
        tenants = [row[0] for row in database.execute("SELECT tenant FROM history_tenants")]
    database.close()
    assert tenant not in tenants


async def test_the_consumer_of_a_history_goes_once_nobody_runs_it(rig: Rig) -> None:
    async with rig.side() as side:
        await rig.record(STAYS, a_record(1, tenant=STAYS))
        await wait_kept(side, STAYS, "run-1")
    admin, stream = JetStreamAdmin(rig.env.bus), names.runs_stream(rig.env.name, 0)
    [durable] = [one for one in await admin.consumer_names(stream) if one.startswith("history-")]
    info = await admin.consumer_info(stream, durable)
    assert info is not None
    assert info.config["inactive_threshold"] == 30 * 24 * 3600 * 10**9

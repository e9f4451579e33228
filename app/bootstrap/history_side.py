"""The history of one process: its database, claimed at the start and opened in the background.

In: where the database is, then what the process has open. Out: ended runs for the API, rows to be
erased with their tenant, and the history role at work. Refuses to start beside another process on
one file (ConflictError); a database that does not answer is waited for, and the rest of the process
goes on meanwhile.

Nothing here imports Faust or SQLAlchemy before `HistorySide.run`: other roles do without.
"""

import asyncio
import importlib
import typing
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import structlog

from actors.errors import UnavailableError
from actors.ports import Clock
from app.bus.connection import BusSettings
from app.bus.direct import DirectReader
from app.control.kept_runs import KeptRun, RunFilter, RunPage
from app.control.run_desk import RunHistory
from app.errors import SettingsError
from app.history.projection.batches import BatchLimits
from app.history.projection.claim import Claim, claim_database, shown_url
from app.observability.history import HistoryMeter
from app.settings.history import HistorySection
from app.tenancy.directory import TenantDirectory

if typing.TYPE_CHECKING:
    from app.history.projection.role import HistoryRole
    from app.history.store.store import HistoryStore

DATABASE_FILE: Final = "history.db"
RETRY_FIRST_SECONDS: Final = 0.5
RETRY_SECONDS_MAX: Final = 15.0
RETRY_AFTER_SECONDS: Final = 1.0
FORGET_SECONDS: Final = 10.0
AGAIN_SECONDS: Final = 5.0
_MODULES: Final = (
    "app.history.metering.role",
    "app.history.projection.role",
    "app.history.reading",
    "app.history.store.opening",
)
_DOUBLINGS_MAX: Final = 8

_log = structlog.get_logger("app.history")


@dataclass(frozen=True, slots=True)
class HistoryOptions:
    """What a start was asked for of its history."""

    url: str = field(repr=False)
    keep_days: int = 0
    limits: BatchLimits = field(default_factory=BatchLimits)
    usage_runs_remembered: int = 200_000


@dataclass(frozen=True, slots=True)
class HistoryWorld:
    """What the process has open."""

    env: str
    bus: BusSettings
    reader: DirectReader
    directory: TenantDirectory
    clock: Clock
    meter: HistoryMeter


def history_options(section: HistorySection, data_dir: Path) -> HistoryOptions:
    """Turn settings into what a history needs; by default it is a file in the data folder."""
    told = section.database_url
    return HistoryOptions(
        url=database_in(data_dir) if told is None else told.get_secret_value(),
        keep_days=section.keep_days,
        limits=BatchLimits(section.batch_records, section.batch_seconds),
        usage_runs_remembered=section.usage_runs_remembered,
    )


def database_in(data_dir: Path) -> str:
    """Give the URL of the history that a data folder has unless it is told otherwise."""
    return f"sqlite:///{quote(str(data_dir / DATABASE_FILE))}"


class HistorySide:
    """One for each process with the history role. Use `run` as a task, then `close`."""

    name: Final = "history"

    def __init__(self, options: HistoryOptions) -> None:
        self._options = options
        self._claim: Claim = claim_database(options.url)
        self._store: HistoryStore | None = None
        self._runs: RunHistory | None = None
        self._role: HistoryRole | None = None

    async def run(self, world: HistoryWorld) -> None:
        """Open the database, however long it takes, and write the history until cancelled.

        SettingsError: it is none that can be used.
        """
        for module in _MODULES:
            await asyncio.to_thread(importlib.import_module, module)
        # Usage is counted from the streams alone, whatever becomes of the database.
        metering = asyncio.create_task(_keep(lambda: self._meter(world), world), name="metering")
        try:
            await _keep(lambda: self._write(world), world)
        finally:
            metering.cancel()
            await asyncio.wait([metering])

    async def _write(self, world: HistoryWorld) -> None:
        from app.history.projection.role import HistoryNeeds, HistoryRole  # noqa: PLC0415
        from app.history.reading import StoredRuns  # noqa: PLC0415 - both are there by now

        store, identity = await self._open_surely(world.meter)
        needs = HistoryNeeds(
            env=world.env,
            bus=world.bus,
            reader=world.reader,
            directory=world.directory,
            clock=world.clock,
            meter=world.meter,
            keep_days=self._options.keep_days,
            limits=self._options.limits,
        )
        try:
            self._store, self._runs = store, StoredRuns(store)
            self._role = HistoryRole(needs, store, identity)
            await self._role.run()
        finally:
            self._store = self._runs = self._role = None
            await store.close()

    async def _meter(self, world: HistoryWorld) -> None:
        from app.history.metering.role import MeteringNeeds, MeteringRole  # noqa: PLC0415 - as above

        needs = MeteringNeeds(
            env=world.env,
            bus=world.bus,
            reader=world.reader,
            directory=world.directory,
            clock=world.clock,
            meter=world.meter,
            runs_remembered=self._options.usage_runs_remembered,
        )
        await MeteringRole(needs).run()

    def close(self) -> None:
        """Let another process have the database."""
        self._claim.give_back()

    def describe(self) -> dict[str, Any]:
        """Tell how it is, for the page of health."""
        role = self._role
        lag: Sequence[dict[str, Any]] = [] if role is None else [e.as_mapping() for e in role.lag]
        return {
            "database": shown_url(self._options.url),
            "open": self._store is not None,
            "working": role is not None and role.is_working,
            "lag": lag,
        }

    async def _open_surely(self, meter: HistoryMeter) -> tuple["HistoryStore", str]:
        from app.history.store.opening import open_history  # noqa: PLC0415 - see `run`

        failures = 0
        while True:
            try:
                store = await open_history(self._options.url)
                try:
                    return store, await store.identity()
                except BaseException:
                    await store.close()
                    raise
            except UnavailableError as error:
                meter.fail("database")
                _log.warning("history.not_open", reason=str(error))
                pause = RETRY_FIRST_SECONDS * 2 ** min(failures, _DOUBLINGS_MAX)
                failures += 1
            await asyncio.sleep(min(pause, RETRY_SECONDS_MAX))

    # ── For the API (`app.control.run_desk.RunHistory`) ──────────────────────────────────────

    async def page(
        self, tenant: str, which: RunFilter, *, after: str | None, limit: int
    ) -> RunPage:
        """Give runs, the latest first. UnavailableError: the database is not open."""
        if self._runs is None:
            raise _not_open()
        return await self._runs.page(tenant, which, after=after, limit=limit)

    async def find(self, tenant: str, run_id: str) -> KeptRun | None:
        """Give a run's record; None also while the database does not answer: streams may do."""
        try:
            return None if self._runs is None else await self._runs.find(tenant, run_id)
        except UnavailableError:
            return None

    # ── For the erasure (`app.control.erasing.OutsideStore`) ─────────────────────────────────

    async def count(self, tenant: str) -> int:
        """Count a tenant's rows. UnavailableError."""
        if self._store is None:
            raise _not_open()
        return await self._store.count(tenant)

    async def erase(self, tenant: str) -> int:
        """Erase a deleted tenant's rows, and see to it that no more come. UnavailableError."""
        if self._role is None:
            raise _not_open()
        return await self._role.rows.erase(tenant)

    async def forget(self, tenant: str) -> None:
        """Erase a deleted tenant's rows before this process is said to have let go of it.

        UnavailableError: not now. A database that opens later has all deleted tenants erased then.
        """
        if self._role is None:
            return
        try:
            async with asyncio.timeout(FORGET_SECONDS):
                await self._role.rows.erase(tenant)
        except TimeoutError:
            raise UnavailableError("the history's database does not erase in time") from None


async def _keep(work: Callable[[], Awaitable[None]], world: HistoryWorld) -> None:
    """Do it again whenever it fails in a way nobody foresaw: the other roles go on meanwhile.

    SettingsError: it never will succeed.
    """
    while True:
        try:
            await work()
        except SettingsError:
            raise
        except Exception as error:  # noqa: BLE001 - the edge of a role (STYLE 5)
            world.meter.fail("role")
            _log.error("history.failed", exc_info=error)
        await asyncio.sleep(AGAIN_SECONDS)


def _not_open() -> UnavailableError:
    return UnavailableError(
        "the history's database is not open yet", retry_after_seconds=RETRY_AFTER_SECONDS
    )

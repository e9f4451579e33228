"""Metering as a part of the history role: one process of an env counts, others stand by.

In: the bus, the tenants. Out: `MeteringRole.run` goes on until it is cancelled. Refuses nothing:
while NATS is away it is tried again.
"""

import asyncio
from dataclasses import dataclass
from typing import Final

from actors.errors import ActorsError
from actors.ports import Clock
from app.bus.connection import BusSettings
from app.bus.direct import DirectReader
from app.bus.looking_back import StreamWalk
from app.errors import AppError
from app.history.metering.durables import DURABLE
from app.history.metering.reading import UsageWindows
from app.history.metering.repeats import RUNS_REMEMBERED
from app.history.metering.table import MeteringPorts, UsageMetering
from app.history.projection.lag import LagReader
from app.history.projection.worker import HistoryWorker, WorkerSettings
from app.observability.history import HistoryMeter
from app.tenancy.directory import TenantDirectory

APP: Final = "usage"
LOOK_SECONDS: Final = 5.0
LEASE_SECONDS: Final = 10
_ALL: Final = ">"


@dataclass(frozen=True, slots=True)
class MeteringNeeds:
    """What the process brings."""

    env: str
    bus: BusSettings
    reader: DirectReader
    directory: TenantDirectory
    clock: Clock
    meter: HistoryMeter
    runs_remembered: int = RUNS_REMEMBERED
    lease_seconds: int = LEASE_SECONDS
    """How long after the death of the process that counts another one takes over."""


class MeteringRole:
    """One for each process with the history role."""

    def __init__(self, needs: MeteringNeeds) -> None:
        self._needs = needs
        self._lag = LagReader(needs.reader, needs.env, needs.clock)
        self._worker = HistoryWorker(
            WorkerSettings(needs.env, needs.bus, APP, needs.lease_seconds),
            lambda: [UsageMetering(self._ports())],
            self._lag.streams,
            needs.meter,
        )

    @property
    def is_working(self) -> bool:
        """Whether it counts now, or stands by."""
        return self._worker.is_working

    async def run(self) -> None:
        """Count until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._worker.run(), name="metering")
            group.create_task(self._watch(), name="metering-lag")

    def _ports(self) -> MeteringPorts:
        needs = self._needs
        return MeteringPorts(
            windows=UsageWindows(needs.reader, needs.env),
            pages=lambda stream: StreamWalk(needs.reader, stream, _ALL),
            is_gone=self._is_gone,
            clock=needs.clock,
            meter=needs.meter.usage,
            runs_remembered=needs.runs_remembered,
        )

    def _is_gone(self, tenant: str) -> bool:
        record = self._needs.directory.records().get(tenant)
        return record is not None and record.is_deleted

    async def _watch(self) -> None:
        while True:
            try:
                for stream in await self._lag.streams():
                    lag = await self._lag.read(stream, DURABLE)
                    self._needs.meter.usage.lag(stream, lag.records)
            except (AppError, ActorsError):
                self._needs.meter.fail("stream")
            await asyncio.sleep(LOOK_SECONDS)

"""The history role of a process: everything that writes the history, around one store.

In: an open store, the bus, the tenants. Out: `HistoryRole.run` goes on until it is cancelled.
Refuses nothing: each part looks after its own failures.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from actors.ports import Clock
from app.bus.connection import BusSettings
from app.bus.direct import DirectReader
from app.history.projection.agent import Projection
from app.history.projection.batches import Batches, BatchLimits, BatchPorts, RowStore
from app.history.projection.durables import durable_of
from app.history.projection.forgetting import ForgettingStore, Retention, TenantRows
from app.history.projection.lag import Lag, LagReader, LagWatch
from app.history.projection.worker import HistoryPart, HistoryWorker, WorkerSettings
from app.observability.history import HistoryMeter
from app.tenancy.directory import TenantDirectory


class WritableStore(RowStore, ForgettingStore, Protocol):
    """As much of `HistoryStore` as the role needs."""


@dataclass(frozen=True, slots=True)
class HistoryNeeds:
    """What the process brings. ``identity`` tells this history from any other one."""

    env: str
    bus: BusSettings
    reader: DirectReader
    directory: TenantDirectory
    clock: Clock
    meter: HistoryMeter
    keep_days: int = 0
    """0: for ever."""
    limits: BatchLimits = field(default_factory=BatchLimits)
    more: Sequence[Callable[[], HistoryPart]] = ()
    """Makes further parts of the Faust app."""


class HistoryRole:
    """One for each process with this role."""

    def __init__(self, needs: HistoryNeeds, store: WritableStore, identity: str) -> None:
        self._needs = needs
        self._durable = durable_of(identity)
        writing = asyncio.Lock()
        self.rows = TenantRows(store, needs.directory, needs.meter, writing)
        self._ports = BatchPorts(store, needs.meter, self.rows.is_erased, writing)
        self._retention = Retention(store, needs.keep_days, needs.clock, needs.meter)
        lag = LagReader(needs.reader, needs.env, needs.clock)
        self._watch = LagWatch(lag, self._durable, needs.meter)
        self._worker = HistoryWorker(
            WorkerSettings(needs.env, needs.bus), self._parts, lag.streams, needs.meter
        )

    @property
    def lag(self) -> Sequence[Lag]:
        """How far it was behind when it was looked at last."""
        return self._watch.last

    @property
    def is_working(self) -> bool:
        """Whether it reads the streams now."""
        return self._worker.is_working

    async def run(self) -> None:
        """Write the history until cancelled."""
        async with asyncio.TaskGroup() as group:
            for part in (self._worker, self._watch, self._retention, self.rows):
                group.create_task(part.run(), name=f"history-{type(part).__name__}")

    def _parts(self) -> Sequence[HistoryPart]:
        projection = Projection(Batches(self._ports, self._needs.limits), self._durable)
        return [projection, *(make() for make in self._needs.more)]

"""Placing: which of the tenants' flows this process runs, decided anew whenever anything changed.

In: the fleet and the tenants, as they are seen here. Out: for each tenant yes or no, and news of
those for which that has changed. A process that is no worker runs nobody's; while every worker
hosts every tenant there is nothing to decide.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from app.fleet.fleet import Fleet
from app.fleet.heartbeat import Heartbeat
from app.fleet.hot import LOOK_SECONDS, HotTenants, Load
from app.fleet.placement import Placement
from app.system import SystemClock
from app.tenancy.directory import TenantDirectory


@dataclass(slots=True)
class Placing:
    """Decides for one process. ``loads``: what each tenant has waiting and in hand here."""

    fleet: Fleet
    directory: TenantDirectory
    heartbeat: Heartbeat
    placement: Placement
    loads: Callable[[], Mapping[str, Load]]
    clock: SystemClock
    moved: Callable[[Iterable[str]], None] = lambda _: None
    """Hears of tenants that come or go."""
    _own: frozenset[str] = frozenset()
    _told: frozenset[str] = frozenset()
    """What was decided when changes were told last: `refresh` tells nobody."""
    _task: asyncio.Task[None] | None = field(default=None, repr=False)

    def refresh(self) -> None:
        """Decide by what is seen now; to be called before a round of `works_for`."""
        self._decide()

    def works_for(self, tenant: str) -> bool:
        """Tell whether a tenant's flows run here."""
        return tenant in self._own

    def start(self, moved: Callable[[Iterable[str]], None]) -> None:
        """Tell from now on which tenants come or go, and others which are hot."""
        self._decide()
        self._told = self._own
        self.moved = moved
        self.fleet.on_change(lambda *_: self.look())
        self.directory.on_change(lambda *_: self.look())
        self._task = asyncio.create_task(self._keep_telling(), name="placing")

    async def stop(self) -> None:
        """Tell nothing more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None

    def look(self) -> None:
        """Decide anew, and tell what has changed."""
        self._decide()
        before, self._told = self._told, self._own
        if changed := before ^ self._own:
            self.moved(sorted(changed))

    def _decide(self) -> None:
        records = self.directory.records().values()
        wanted = {record.id: record.workers for record in records if record.is_active}
        self._own = self.placement.decide(self.fleet.live(), wanted)

    async def _keep_telling(self) -> None:
        hot = HotTenants(self.loads)
        while True:
            self.heartbeat.note(tenants=len(self._own), hot=hot.look())
            await self.clock.sleep(LOOK_SECONDS)
            self.look()

"""The API of timers, below ``/api/v1/tenants/{tenant}/timers``.

    GET  …                  timers with their last and next firings; firings, after, limit
    POST …/{timer}/pause    a timer, or all of a flow's: fires no more until it is resumed
    POST …/{timer}/resume   fires again
    POST …/{timer}/run      202: fires now, whether or not it is paused

In: ``tenant-read`` to look, ``tenant-operator`` for the rest; a timer as FLOW, or FLOW#N (``%23``
in a URL). Out: JSON. Refuses timers that the tenant does not have (404), names that cannot be one
(422), and to run several at once (409).
"""

import asyncio
from typing import Annotated, Final

from fastapi import Query
from pydantic import Field

from actors.ports import Clock
from actors.tenants.timer import Timer
from app.control.flow_desk import FlowDesk
from app.control.timer_desk import TimerDesk, TimerStarter, choose_timers, no_timer, row_of
from app.errors import ConflictError
from app.http.api_access import ApiAccess, who_of
from app.http.api_models import PageQuery, PageView, ViewModel
from app.http.api_route import Caller, Operation, Resource, Tenant
from app.identity.principal import Principal
from app.identity.scopes import TENANT_OPERATOR, TENANT_READ

ROOT: Final = "/tenants/{tenant}/timers"
ONE: Final = ROOT + "/{timer:path}"
PAGE_MAX: Final = 100
FIRINGS_MAX: Final = 50
FIRINGS_DEFAULT: Final = 5
LOOKING_AT_ONCE: Final = 16


class TimerQuery(PageQuery):
    """Which timers are wanted."""

    limit: Annotated[int, Field(ge=1, le=PAGE_MAX)] = PAGE_MAX
    firings: Annotated[int, Field(ge=0, le=FIRINGS_MAX)] = FIRINGS_DEFAULT
    """How many next firings of each."""


class FiringView(ViewModel):
    """A time at which a timer fires."""

    at: str
    """In the timer's own zone."""
    at_ms: int
    change: str | None
    """What the clocks do to it: ``gap``, ``first``, ``second``."""


class TimerView(ViewModel):
    """A timer."""

    timer: str
    """``flow#n``."""
    event_type: str
    cron: str
    timezone: str
    overlap: str
    misfire: str
    jitter_ms: int
    paused: bool | None
    last: FiringView | None
    """The last firing; null: it never fired."""
    next: list[FiringView]
    """As if it were not paused. Empty: no such time comes."""


class TimerPage(PageView):
    """Timers by name."""

    timers: list[TimerView]


class TimerSwitched(ViewModel):
    """A timer that was paused or resumed, or was so before."""

    timer: str
    paused: bool


class TimersSwitched(ViewModel):
    """The timers that were meant."""

    timers: list[TimerSwitched]


class TimerFiredView(ViewModel):
    """A timer that was fired by hand."""

    timer: str
    event_id: str


class TimerApi:
    """The handlers; `resource` gives what the API needs."""

    def __init__(
        self,
        desk: TimerDesk,
        starter: TimerStarter,
        flows: FlowDesk,
        access: ApiAccess,
        clock: Clock,
    ) -> None:
        self._desk = desk
        self._starter = starter
        self._flows = flows
        self._access = access
        self._clock = clock
        self._looking = asyncio.Semaphore(LOOKING_AT_ONCE)

    def resource(self) -> Resource:
        """Give the operations."""
        timers = Resource("timers", self._access)
        timers.add("GET", ROOT, self.list, Operation(TENANT_READ))
        timers.add("POST", f"{ONE}/pause", self.pause, Operation(TENANT_OPERATOR))
        timers.add("POST", f"{ONE}/resume", self.resume, Operation(TENANT_OPERATOR))
        running = Operation(TENANT_OPERATOR, status=202, refuses=[409])
        timers.add("POST", f"{ONE}/run", self.run, running)
        return timers

    async def list(self, tenant: Tenant, asked: Annotated[TimerQuery, Query()]) -> TimerPage:
        """Give a page of the timers in force: how they are set, when they fired and fire next."""
        timers = self._flows.timers(tenant)
        further = sorted(name for name in timers if name > asked.after)
        page = further[: asked.limit]
        shown = await asyncio.gather(*(self._look(timers[name], asked.firings) for name in page))
        next_after = page[-1] if len(further) > len(page) else None
        return TimerPage(timers=list(shown), next_after=next_after)

    async def pause(self, caller: Caller, tenant: Tenant, timer: str) -> TimersSwitched:
        """Let a timer, or all of a flow's, fire no more; that outlives every restart."""
        return await self._switch(caller, tenant, timer, is_paused=True)

    async def resume(self, caller: Caller, tenant: Tenant, timer: str) -> TimersSwitched:
        """Let paused timers fire again; what they missed meanwhile is not made up for."""
        return await self._switch(caller, tenant, timer, is_paused=False)

    async def run(self, caller: Caller, tenant: Tenant, timer: str) -> TimerFiredView:
        """Fire a timer now. It counts as its last firing; the next one comes when it is due."""
        timers = self._flows.timers(tenant)
        chosen = choose_timers(timers, timer)
        if not chosen:
            raise no_timer(tenant, timer)
        if len(chosen) > 1:
            raise ConflictError(f"it has several timers, name one: {', '.join(chosen[:10])}")
        event_id = await self._starter.fire(who_of(caller), timers[chosen[0]])
        return TimerFiredView(timer=chosen[0], event_id=event_id)

    async def _look(self, timer: Timer, firings: int) -> TimerView:
        async with self._looking:
            row = await self._desk.look(row_of(timer, self._clock.now_ms(), firings))
            return TimerView(**row.as_document())

    async def _switch(
        self, caller: Principal, tenant: str, timer: str, *, is_paused: bool
    ) -> TimersSwitched:
        timers = self._flows.timers(tenant)
        deployed = {name: each.event_type for name, each in timers.items()}
        switched = await self._desk.switch(
            who_of(caller), tenant, deployed, timer, is_paused=is_paused
        )
        return TimersSwitched(timers=[TimerSwitched(**one) for one in switched])

"""The API of runs, below ``/api/v1/tenants/{tenant}/runs``.

    GET  …                  ended runs, the latest first, by flow, status, event_id, event_type,
                            correlation_id, parent_run_id, error_code, error_text, since, until
    GET  …/{run_id}         where a run stands, and its record; flow narrows where to look
    GET  …/{run_id}/result  its result, as published
    GET  …/{run_id}/journal the steps that stand in its journal; after, limit
    POST …/{run_id}/cancel  {"reason"}: what was found of it

In: ``tenant-read`` to look, ``tenant-operator`` to cancel. Out: JSON. Refuses what is no run's id
(422) and runs that cannot be found (404). It reads the history where the process has one, else what
the streams keep, looking through them.
"""

from typing import Annotated, Any, Final, Literal

from fastapi import Query
from pydantic import Field

from actors.ports import Clock
from app.bus.cancelling import REASON_CHARS_MAX
from app.control.kept_runs import RunFilter
from app.control.run_desk import PAGE_DEFAULT, PAGE_MAX, RunDesk
from app.errors import BadRequestError
from app.http.api_access import ApiAccess, who_of
from app.http.api_models import BodyModel, PageView, QueryModel, Text, ViewModel
from app.http.api_route import Caller, Operation, Resource, Tenant
from app.http.api_times import TimesQuery
from app.identity.scopes import TENANT_OPERATOR, TENANT_READ

ROOT: Final = "/tenants/{tenant}/runs"
ONE: Final = ROOT + "/{run_id}"
STEPS_MAX: Final = 200
STEPS_DEFAULT: Final = 50

Status = Literal["completed", "failed", "rejected", "cancelled"]


class RunQuery(TimesQuery):
    """Which runs are wanted."""

    flow: Text | None = None
    status: Status | None = None
    event_id: Text | None = None
    event_type: Text | None = None
    correlation_id: Text | None = None
    parent_run_id: Text | None = None
    """Runs that this run started."""
    error_code: Text | None = None
    """Like ``http.timeout``."""
    error_text: Annotated[str, Field(min_length=3, max_length=256)] | None = None
    """Stands somewhere in the error's code or message, in whatever case."""
    after: Annotated[str, Field(max_length=200)] = ""
    """The former page's ``next_after``."""
    limit: Annotated[int, Field(ge=1, le=PAGE_MAX)] = PAGE_DEFAULT


class OneRunQuery(QueryModel):
    """Where to look for a run."""

    flow: Text | None = None
    """Its flow: then others' runs are not looked through."""


class StepQuery(QueryModel):
    """Which steps are wanted."""

    after: Annotated[int, Field(ge=0, le=100_000)] = 0
    limit: Annotated[int, Field(ge=1, le=STEPS_MAX)] = STEPS_DEFAULT


class CancelWanted(BodyModel):
    """Why a run is to end."""

    reason: Annotated[str, Field(min_length=1, max_length=REASON_CHARS_MAX)] = "cancelled by hand"


class RunErrorView(ViewModel):
    """Why a run failed."""

    code: str
    node: str | None = None
    message: str


class RunUsageView(ViewModel):
    """What a run used."""

    events: int
    """1; of a batch as many as it has; of a run that another one started none."""
    operations: int
    """Of its scripts."""
    effects: int
    """Calls, actions, emitted events, runs started."""
    bytes: int
    """Of its events' payloads."""


class RunStepView(ViewModel):
    """One step of a run, as the walk that ended the run came by."""

    step: str
    """Its node's id; of a sub-flow ``{node}/{child}``."""
    node: str
    """Its node's type."""
    at_ms: int
    """When it began, from ``started_ms`` on."""
    took_us: int
    outcome: str
    """``done``, ``failed``, ``slept``, or ``called``: the steps of a sub-flow come next."""
    attempt: int
    is_journalled: bool
    is_replayed: bool
    """It was taken before, and recalled from the journal or computed again."""
    code: str | None
    """Of the error that it failed with."""
    input: Any = None
    """Its beginning; credentials in it are hidden."""
    output: Any = None


class RunView(ViewModel):
    """A run that has ended. Times are milliseconds since the epoch."""

    run_id: str
    flow: str
    flow_version: str
    status: str
    event_id: str
    event_type: str
    trigger: str | None
    parent_run_id: str | None
    correlation_id: str | None
    started_ms: int
    finished_ms: int
    attempt: int
    usage: RunUsageView | None
    """null: the record is older than that."""
    error: RunErrorView | None


class RunWhole(RunView):
    """A run's record."""

    output: Any
    """Cut, and marked as cut, where it is large: the result has all of it."""
    path: list[str]
    """The ids of its steps, in the order taken."""
    steps: list[RunStepView]
    """The last 100 of its steps; empty: the record is older than that."""
    batch: list[str]
    """The events of a batch."""


class WaitingView(ViewModel):
    """A run that goes on later."""

    flow: str
    event_id: str
    due_ms: int | None
    is_due: bool
    attempt: int
    leg: int
    round: int


class RunState(ViewModel):
    """Where a run stands."""

    run_id: str
    state: Literal["ended", "waiting", "due", "begun"]
    """``begun``: it has done something to the world, and nothing is known of its end."""
    began_ms: int | None
    """As its journal says; null: it has none."""
    journal_entries: int
    record: RunWhole | None
    waiting: WaitingView | None


class RunPageView(PageView):
    """Runs, the latest first. A page may be short, even empty, and have a next one."""

    runs: list[RunView]


class StepView(ViewModel):
    """What a step came to, or a mark in a run's journal."""

    step: str | None
    kind: str
    value: Any = None
    truncated: bool = False
    """``value`` is the beginning of a larger one."""
    goto: str | None = None
    flow: str | None = None
    due_ms: int | None = None
    code: str | None = None
    message: str | None = None
    writes: int | None = None
    """How many writes to the state belong to it."""
    head: dict[str, Any] | None = None
    """What the run began with."""


class StepPage(PageView):
    """Steps, in the order written. Pure steps have none: they are done anew whenever asked."""

    steps: list[StepView]


class ResultView(ViewModel):
    """A run's result, as published on ``….result``."""

    event_id: str
    run_id: str
    flow: str
    flow_version: str
    status: str
    output: Any
    error: RunErrorView | None
    started_ms: int
    finished_ms: int
    attempt: int
    batch: Annotated[list[str], Field(default_factory=list)]


class CancelReport(ViewModel):
    """What was found of a run that was to be cancelled. Nothing: it ends if it ever goes on."""

    run_id: str
    in_hand: int
    """Workers that ended it."""
    was_asleep: bool
    """It waited, and was woken to end."""


class RunApi:
    """The handlers; `resource` gives what the API needs."""

    def __init__(self, desk: RunDesk, access: ApiAccess, clock: Clock) -> None:
        self._desk = desk
        self._access = access
        self._clock = clock

    def resource(self) -> Resource:
        """Give the operations."""
        runs = Resource("runs", self._access)
        runs.add("GET", ROOT, self.list, Operation(TENANT_READ))
        runs.add("GET", ONE, self.show, Operation(TENANT_READ))
        runs.add("GET", f"{ONE}/result", self.result, Operation(TENANT_READ))
        runs.add("GET", f"{ONE}/journal", self.journal, Operation(TENANT_READ))
        cancelling = Operation(TENANT_OPERATOR, is_body_optional=True)
        runs.add("POST", f"{ONE}/cancel", self.cancel, cancelling)
        return runs

    async def list(self, tenant: Tenant, asked: Annotated[RunQuery, Query()]) -> RunPageView:
        """Give a page of runs that have ended, without their outputs."""
        since_ms, until_ms = asked.between(self._clock.now_ms())
        which = RunFilter(
            flow=asked.flow,
            status=asked.status,
            event_id=asked.event_id,
            since_ms=since_ms,
            until_ms=until_ms,
            event_type=asked.event_type,
            correlation_id=asked.correlation_id,
            parent_run_id=asked.parent_run_id,
            error_code=asked.error_code,
            error_text=asked.error_text,
        )
        try:
            page = await self._desk.list(
                tenant, which, after=asked.after or None, limit=asked.limit
            )
        except ValueError as error:
            raise BadRequestError(str(error)) from None
        runs = [RunView(**run.as_summary()) for run in page.runs]
        return RunPageView(runs=runs, next_after=page.next_after)

    async def show(
        self, tenant: Tenant, run_id: str, asked: Annotated[OneRunQuery, Query()]
    ) -> RunState:
        """Tell where a run stands, with its record if it has ended."""
        seen = await self._desk.show(tenant, run_id, asked.flow)
        return RunState(**seen.as_document(run_id))

    async def result(
        self, tenant: Tenant, run_id: str, asked: Annotated[OneRunQuery, Query()]
    ) -> ResultView:
        """Give a run's result, whole."""
        return ResultView(**await self._desk.result(tenant, run_id, asked.flow))

    async def journal(
        self, tenant: Tenant, run_id: str, asked: Annotated[StepQuery, Query()]
    ) -> StepPage:
        """Give what stands in a run's journal: what it did to the world, and came to by it."""
        steps = await self._desk.journal(tenant, run_id)
        end = asked.after + asked.limit
        shown = [StepView(**step) for step in steps[asked.after : end]]
        return StepPage(steps=shown, next_after=end if end < len(steps) else None)

    async def cancel(
        self, caller: Caller, tenant: Tenant, run_id: str, wanted: CancelWanted
    ) -> CancelReport:
        """Cancel a run: one that goes on ends now, one that sleeps is woken to end."""
        found = await self._desk.cancel(who_of(caller), tenant, run_id, wanted.reason)
        return CancelReport(run_id=run_id, in_hand=found.in_hand, was_asleep=found.was_asleep)

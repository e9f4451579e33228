"""The API of metered usage, ``/api/v1/tenants/{tenant}/usage/windows``.

    GET …    what was used in each hour or day, the oldest first, by flow, since, until; step, by

In: requests with an API key that has the scope ``tenant-read`` for the tenant. Out: JSON, or CSV
for who asks for ``text/csv``. Refuses times that are none (400) or too far apart (422).

What is read is what the history role of some process has counted (docs/metering.md): any process
answers the same.
"""

from typing import Annotated, Final, Literal, cast

from fastapi import Query, Request, Response
from pydantic import Field

from actors.ports import Clock
from app.control.looking import Looking
from app.history.metering.durations import RELATIVE_ERROR
from app.history.metering.reading import (
    DAY_MS,
    PAGE_DEFAULT,
    PAGE_MAX,
    UsagePage,
    UsageSearch,
    UsageWindows,
)
from app.history.metering.rows import CSV_MEDIA, document_of, heading, line_of
from app.http.api_access import ApiAccess
from app.http.api_models import PageView, Text, ViewModel
from app.http.api_route import Operation, Resource, Tenant
from app.http.api_times import TimesQuery
from app.identity.scopes import TENANT_READ

PATH: Final = "/tenants/{tenant}/usage/windows"
NEXT_AFTER: Final = "Greentic-Next-After"
"""Where CSV has no place for it."""
SINCE_DAYS: Final = {"hour": 1, "day": 31}
"""How far back is looked where nothing is said."""


class WindowsQuery(TimesQuery):
    """Which usage is wanted, and which page of it."""

    flow: Text | None = None
    step: Literal["hour", "day"] = "hour"
    by: Literal["flow", "tenant"] = "flow"
    """``tenant``: all flows together; an event that two flows take counts for each."""
    after: Annotated[str, Field(max_length=256)] = ""
    """The former page's ``next_after``."""
    limit: Annotated[int, Field(ge=1, le=PAGE_MAX)] = PAGE_DEFAULT

    def as_search(self, now_ms: int) -> UsageSearch:
        """Give what is looked for. BadRequestError: a time is none; ValueRefusedError."""
        since_ms, until_ms = self.between(now_ms)
        until_ms = now_ms + 1 if until_ms is None else until_ms
        if since_ms is None:
            since_ms = until_ms - SINCE_DAYS[self.step] * DAY_MS
        return UsageSearch(since_ms, until_ms, self.flow, self.step, self.by)


class WindowView(ViewModel):
    """What was used in an hour or a day (UTC), by runs that ended in it."""

    start: str
    start_ms: int
    flow: str | None
    """Null: all flows."""
    events: int
    runs: int
    completed: int
    failed: int
    rejected: int
    cancelled: int
    operations: int
    """Of scripts."""
    effects: int
    """Calls, providers' actions, emitted events, runs started."""
    bytes: int
    """Of the events' payloads."""
    duration_ms: int
    """How long all runs took together, from their beginning to their end."""
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None


class WindowsView(PageView):
    """A page of usage. Hours and days without runs are not in it."""

    step: str
    by: str
    relative_error: float
    """Of the percentiles."""
    windows: list[WindowView]


class UsageWindowsApi:
    """The handler; `resource` gives what the API needs."""

    def __init__(self, windows: UsageWindows, access: ApiAccess, clock: Clock) -> None:
        self._windows = windows
        self._access = access
        self._clock = clock
        self._looking = Looking()

    def resource(self) -> Resource:
        """Give the operation."""
        usage = Resource("usage-windows", self._access)
        usage.add("GET", PATH, self.list, Operation(TENANT_READ, answer_media=CSV_MEDIA))
        return usage

    async def list(
        self, tenant: Tenant, asked: Annotated[WindowsQuery, Query()], request: Request
    ) -> WindowsView:
        """Give a page of a tenant's usage, as JSON, or as CSV if `Accept` says so."""
        search = asked.as_search(self._clock.now_ms())
        async with self._looking.turn(tenant):
            page = await self._windows.page(tenant, search, after=asked.after, limit=asked.limit)
        if CSV_MEDIA in request.headers.get("accept", ""):
            # FastAPI hands a whole response on; the model is that of the other answer.
            return cast("WindowsView", _csv_of(tenant, page))
        return WindowsView(
            step=asked.step,
            by=asked.by,
            relative_error=RELATIVE_ERROR,
            windows=[WindowView(**document_of(row)) for row in page.rows],
            next_after=page.next_after,
        )


def _csv_of(tenant: str, page: UsagePage) -> Response:
    lines = [heading(), *(line_of(tenant, row) for row in page.rows)]
    headers = {} if page.next_after is None else {NEXT_AFTER: page.next_after}
    return Response("".join(lines), media_type=f"{CSV_MEDIA}; charset=utf-8", headers=headers)

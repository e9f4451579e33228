"""The API of an env's processes, below ``/api/v1/workers``.

    GET /workers            the processes that live, by id; after, limit
    GET /workers/{worker}   one of them

In: a platform key of ``platform-admin``. Out: JSON, as the process that answers sees the others.
Refuses a process that does not live, or never did (404), and every question while nobody can tell
who lives: NATS is away (503).
"""

from typing import Annotated, Final, Self

from fastapi import Query

from actors.errors import UnavailableError
from app.errors import NotFoundError
from app.fleet.fleet import Fleet
from app.fleet.report import WorkerReport
from app.http.api_access import ApiAccess
from app.http.api_models import PageQuery, PageView, ViewModel
from app.http.api_route import Operation, Resource
from app.identity.scopes import PLATFORM_ADMIN

ROOT: Final = "/workers"
RETRY_AFTER_SECONDS: Final = 2.0


class WorkerView(ViewModel):
    """A process, as it last reported. Times are milliseconds since the epoch."""

    id: str
    """Another one after each start."""
    host: str
    pid: int
    roles: list[str]
    version: str
    """Of the program."""
    started_ms: int
    beat: int
    """How many reports it has written, one every two seconds or more often."""
    acknowledged: int | None
    """The revision of the bucket of deployments up to which it serves what is deployed; null: it
    is starting."""
    failed: dict[str, str]
    """Tenants that it cannot serve as they are deployed, and why: 200 at most."""
    failures: int
    """How many those are in all."""
    tenants: int
    """How many it serves."""
    hot: list[str]
    """Those for which it is too slow."""

    @classmethod
    def of(cls, report: WorkerReport) -> Self:
        """Show a process."""
        return cls(**report.as_mapping())


class WorkersPage(PageView):
    """Processes, by id."""

    workers: list[WorkerView]


class WorkerApi:
    """The handlers; `resource` gives what the API needs."""

    def __init__(self, fleet: Fleet, access: ApiAccess) -> None:
        self._fleet = fleet
        self._access = access

    def resource(self) -> Resource:
        """Give the operations."""
        workers = Resource("workers", self._access)
        workers.add("GET", ROOT, self.list, Operation(PLATFORM_ADMIN))
        workers.add("GET", f"{ROOT}/{{worker}}", self.show, Operation(PLATFORM_ADMIN))
        return workers

    async def list(self, asked: Annotated[PageQuery, Query()]) -> WorkersPage:
        """Give a page of the processes that live. One that was killed counts for 10 seconds."""
        further = [report for report in self._live() if report.id > asked.after]
        page = further[: asked.limit]
        return WorkersPage(
            workers=[WorkerView.of(report) for report in page],
            next_after=page[-1].id if len(further) > len(page) else None,
        )

    async def show(self, worker: str) -> WorkerView:
        """Give a process that lives."""
        for report in self._live():
            if report.id == worker:
                return WorkerView.of(report)
        raise NotFoundError("no process of this id lives")

    def _live(self) -> tuple[WorkerReport, ...]:
        if not self._fleet.is_fresh:
            raise UnavailableError(
                "it cannot be told now who lives", retry_after_seconds=RETRY_AFTER_SECONDS
            )
        return self._fleet.live()

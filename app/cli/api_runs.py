"""Runs as commands look at them, whichever way they went: through the API, or on NATS itself.

In: a tenant, a filter, a run's id. Out: documents of runs, as the API gives them. Refuses what the
API refuses.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from actors.errors import UnavailableError
from app.cli.api_client import ApiClient, below, moment_text
from app.control.kept_runs import RunFilter
from app.control.run_desk import RunDesk, RunHistory
from app.errors import CommandError


@dataclass(frozen=True, slots=True)
class ToldRuns:
    """A page of runs' summaries."""

    runs: Sequence[dict[str, Any]]
    next_after: str | None


class Runs(Protocol):
    """What commands look at of runs."""

    async def page(
        self, tenant: str, which: RunFilter, /, *, after: str | None, limit: int
    ) -> ToldRuns:
        """Give a page of runs that have ended, the latest first."""
        ...

    async def show(self, tenant: str, run_id: str, flow: str | None, /) -> dict[str, Any]:
        """Tell where a run stands, with its record if it has ended. NotFoundError."""
        ...


class DeskRuns:
    """Has them from the history where there is one, and else from the streams.

    ``open_desk`` connects to NATS. What the history has can be read though NATS does not run.
    """

    def __init__(
        self, history: RunHistory | None, open_desk: Callable[[], Awaitable[RunDesk]]
    ) -> None:
        self._history = history
        self._open_desk = open_desk

    async def page(
        self, tenant: str, which: RunFilter, *, after: str | None, limit: int
    ) -> ToldRuns:
        """Give a page of runs."""
        if self._history is not None:
            page = await self._history.page(tenant, which, after=after, limit=limit)
        else:
            desk = await self._open_desk()
            try:
                page = await desk.list(tenant, which, after=after, limit=limit)
            except ValueError as error:
                raise CommandError(str(error)) from None
        return ToldRuns([run.as_summary() for run in page.runs], page.next_after)

    async def show(self, tenant: str, run_id: str, flow: str | None) -> dict[str, Any]:
        """Tell where a run stands."""
        try:
            desk = await self._open_desk()
        except (CommandError, UnavailableError):
            kept = None if self._history is None else await self._history.find(tenant, run_id)
            if kept is None:
                raise
            record = kept.as_document()
            unknown = {"began_ms": None, "journal_entries": None, "waiting": None}
            return {"run_id": run_id, "state": "ended", **unknown, "record": record}
        return (await desk.show(tenant, run_id, flow)).as_document(run_id)


class ApiRuns:
    """Asks for them over HTTP."""

    def __init__(self, client: ApiClient) -> None:
        self._client = client

    async def page(
        self, tenant: str, which: RunFilter, *, after: str | None, limit: int
    ) -> ToldRuns:
        """Give a page of runs."""
        query = {**_query(which), "after": after, "limit": limit}
        document = await self._client.get(below("tenants", tenant, "runs"), query)
        return self._client.read(document, ToldRuns)

    async def show(self, tenant: str, run_id: str, flow: str | None) -> dict[str, Any]:
        """Tell where a run stands."""
        path = below("tenants", tenant, "runs", run_id)
        document: dict[str, Any] = await self._client.get(path, {"flow": flow})
        return document


def _query(which: RunFilter) -> dict[str, Any]:
    return {
        "flow": which.flow,
        "status": which.status,
        "event_id": which.event_id,
        "event_type": which.event_type,
        "correlation_id": which.correlation_id,
        "parent_run_id": which.parent_run_id,
        "error_code": which.error_code,
        "error_text": which.error_text,
        "since": moment_text(which.since_ms),
        "until": moment_text(which.until_ms),
    }

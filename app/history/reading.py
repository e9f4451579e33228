"""The history as the desk of runs reads it: `app.control.run_desk.RunHistory`.

In: a store, a tenant, a filter. Out: pages of runs and whole records, as the streams give them.
Refuses what the store refuses.
"""

from typing import Any

from app.control.kept_runs import KeptRun, Place, RunFilter, RunPage
from app.history.store.rows import RunRow
from app.history.store.search import RunSearch
from app.history.store.store import HistoryStore


class StoredRuns:
    """Reads one store."""

    def __init__(self, store: HistoryStore) -> None:
        self._store = store

    async def page(
        self, tenant: str, which: RunFilter, *, after: str | None, limit: int
    ) -> RunPage:
        """Give runs, the latest first, without their outputs."""
        search = RunSearch(
            flow=which.flow,
            status=which.status,
            event_id=which.event_id,
            event_type=which.event_type,
            correlation_id=which.correlation_id,
            since_ms=which.since_ms,
            until_ms=which.until_ms,
            error_text=which.error_text,
            error_code=which.error_code,
            parent_run_id=which.parent_run_id,
        )
        page = await self._store.page(tenant, search, after=after, limit=limit)
        return RunPage([_run(row, _summary(row)) for row in page.runs], page.next_after)

    async def find(self, tenant: str, run_id: str) -> KeptRun | None:
        """Give a run's whole record."""
        row = await self._store.find(tenant, run_id)
        return None if row is None else _run(row, dict(row.document))


def _run(row: RunRow, record: dict[str, Any]) -> KeptRun:
    return KeptRun(Place(row.sequence, row.index), record)


def _summary(row: RunRow) -> dict[str, Any]:
    """Give a row as a record that has no output, path and steps."""
    error = {"code": row.error_code, "node": row.error_node, "message": row.error_message or ""}
    return {
        "run_id": row.run_id,
        "flow": row.flow,
        "flow_version": row.flow_version,
        "status": row.status,
        "event_id": row.event_id,
        "event_type": row.event_type,
        "trigger": row.trigger,
        "correlation_id": row.correlation_id,
        "parent_run_id": row.parent_run_id,
        "started_ms": row.started_ms,
        "finished_ms": row.finished_ms,
        "attempt": row.attempt,
        "error": None if row.error_code is None else error,
        "usage": {
            "events": row.events,
            "operations": row.operations,
            "effects": row.effects,
            "bytes": row.bytes,
        },
    }

"""Run records for tests of the history, and what a history is to answer, in plain Python."""

from collections.abc import Iterable, Sequence
from typing import Any

from app.history.store.rows import RunRow, row_of
from app.history.store.search import RunSearch, search_text

BEGIN_MS = 1_790_000_000_000
EQUAL = (
    "flow", "status", "event_id", "event_type", "correlation_id", "error_code", "parent_run_id",
)  # fmt: skip


def a_record(number: int = 1, **changes: Any) -> dict[str, Any]:
    """Give a record as workers write it."""
    record: dict[str, Any] = {
        "tenant": "acme",
        "event_type": "order.placed",
        "trigger": "event",
        "parent_run_id": None,
        "correlation_id": None,
        "path": ["check", "store"],
        "event_id": f"event-{number}",
        "run_id": f"run-{number}",
        "flow": "orders.intake",
        "flow_version": "3f2a9c1d0b7e",
        "status": "completed",
        "output": {"number": number},
        "error": None,
        "started_ms": BEGIN_MS + number * 10 - 7,
        "finished_ms": BEGIN_MS + number * 10,
        "attempt": 1,
        "usage": {"events": 1, "operations": 120, "effects": 2, "bytes": 340},
        "steps": [],
    }
    return record | changes


def a_row(number: int = 1, *, place: tuple[int, int] | None = None, **changes: Any) -> RunRow:
    """Give a record's row, at a place of its own if none is given."""
    sequence, index = place or (number, 0)
    return row_of(a_record(number, **changes), 0, sequence, index)


def an_error(message: str, code: str = "http.status", node: str = "fetch") -> dict[str, Any]:
    return {"code": code, "node": node, "message": message}


def kept(rows: Iterable[RunRow]) -> list[RunRow]:
    """Give what is to stay of rows, the latest run first."""
    latest: dict[tuple[str, str], RunRow] = {}
    for row in rows:
        there = latest.get((row.tenant, row.run_id))
        if there is None or (row.sequence, row.index) > (there.sequence, there.index):
            latest[row.tenant, row.run_id] = row
    return sorted(latest.values(), key=lambda row: (row.finished_ms, row.run_id.encode()))[::-1]


def meant(rows: Sequence[RunRow], tenant: str, search: RunSearch) -> list[RunRow]:
    """Give those of kept rows that a search means."""
    return [row for row in rows if row.tenant == tenant and _is_meant(row, search)]


def _is_meant(row: RunRow, search: RunSearch) -> bool:
    for name in EQUAL:
        if getattr(search, name) not in {None, getattr(row, name)}:
            return False
    if search.since_ms is not None and row.finished_ms < search.since_ms:
        return False
    if search.until_ms is not None and row.finished_ms >= search.until_ms:
        return False
    if search.error_text is None:
        return True
    return search.error_text.casefold() in (search_text(row.error_code, row.error_message) or "")

"""The desk of runs has the same answers from the history as from the streams."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from app.bus.codec import encode_json
from app.control.kept_runs import KeptRun, Place, RunFilter
from app.errors import ValueRefusedError
from app.history.reading import StoredRuns
from app.history.store.opening import open_history
from app.history.store.rows import row_of

ERRORS: tuple[dict[str, Any] | None, ...] = (
    None,
    {"code": "http.timeout", "node": "call", "message": "No ANSWER within 5 s"},
    {"code": "flow_error", "node": None, "message": 'Straße 100% _weird_ \\ "text"'},
)  # fmt: skip


def a_record(number: int) -> dict[str, Any]:
    error = ERRORS[number % 3]
    return {
        "tenant": "demo", "run_id": f"run{number:02}", "flow": ("orders/new", "nightly")[number % 2],
        "flow_version": "v1", "status": "completed" if error is None else "failed",
        "event_id": f"e{number // 2}", "event_type": ("a.b", "c")[number % 4 == 0],
        "trigger": "event:1", "parent_run_id": "run00" if number % 5 == 1 else None,
        "correlation_id": f"c {number % 4}" if number % 3 else None, "started_ms": number,
        "finished_ms": 1000 + number // 3, "attempt": 1, "error": error, "output": {"n": number},
        "path": ["a"], "usage": {"events": 1, "operations": number, "effects": 0, "bytes": 9},
        "steps": [
            {"step": "a", "node": "log", "at_ms": 0, "took_us": 5, "outcome": "done", "attempt": 1,
             "is_journalled": False, "is_replayed": False},
        ],
    }  # fmt: skip


RECORDS = [a_record(number) for number in range(24)]
KEPT = [KeptRun(Place(number, 0), record) for number, record in enumerate(RECORDS)]
LATEST_FIRST = sorted(
    KEPT, key=lambda run: (run.record["finished_ms"], run.run_id), reverse=True
)  # fmt: skip
FILTERS = (
    RunFilter(),
    RunFilter(flow="nightly"),
    RunFilter(status="failed", flow="orders/new"),
    RunFilter(event_id="e3"),
    RunFilter(event_type="c", since_ms=1002),
    RunFilter(since_ms=1002, until_ms=1005),
    RunFilter(correlation_id="c 1"),
    RunFilter(parent_run_id="run00"),
    RunFilter(error_code="http.timeout"),
    RunFilter(error_text="no answer"),
    RunFilter(error_text="STRASSE"),
    RunFilter(error_text="100% _"),
    RunFilter(error_text='\\ "text'),
    RunFilter(error_text="timeout", correlation_id="c 1"),
    RunFilter(error_text="100%answer"),
    RunFilter(flow="none"),
)


@pytest.fixture
async def runs(tmp_path: Path) -> AsyncIterator[StoredRuns]:
    store = await open_history(f"sqlite:///{tmp_path}/history.db")
    await store.write([row_of(record, 0, number, 0) for number, record in enumerate(RECORDS)])
    yield StoredRuns(store)
    await store.close()


async def test_every_filter_means_the_same_runs(runs: StoredRuns) -> None:
    for which in FILTERS:
        wanted = [run.as_summary() for run in LATEST_FIRST if which.matches(run)]
        page = await runs.page("demo", which, after=None, limit=100)
        assert [run.as_summary() for run in page.runs] == wanted, which
        assert page.next_after is None
    assert sum(any(which.matches(run) for run in KEPT) for which in FILTERS) == len(FILTERS) - 2


async def test_pages_are_pieces_of_the_whole(runs: StoredRuns) -> None:
    seen: list[str] = []
    after: str | None = None
    for _ in range(10):
        page = await runs.page("demo", RunFilter(), after=after, limit=5)
        seen += [run.run_id for run in page.runs]
        after = page.next_after
        if after is None:
            break
    assert seen == [run.run_id for run in LATEST_FIRST]
    with pytest.raises(ValueRefusedError):
        await runs.page("demo", RunFilter(), after="what", limit=5)


async def test_a_record_comes_back_whole_and_to_its_tenant_alone(runs: StoredRuns) -> None:
    found = await runs.find("demo", "run07")
    assert found is not None
    assert found.as_document() == KEPT[7].as_document()
    assert await runs.find("demo", "nothing") is None
    assert await runs.find("other", "run07") is None
    assert (await runs.page("other", RunFilter(), after=None, limit=5)).runs == []


def test_a_message_is_never_passed_over_that_has_a_wanted_run() -> None:
    for which in FILTERS:
        for run in KEPT:
            if which.matches(run):
                assert which.may_be_in(encode_json([run.record], "records")), which
    message = encode_json([KEPT[1].record], "records")
    assert not RunFilter(event_id="not-there").may_be_in(message)

"""What is told of a history as a whole."""

from pathlib import Path

from app.history.store.facts import HistoryFacts
from app.history.store.opening import open_history
from app.history.store.rows import RunRow, row_of


def row(tenant: str, run_id: str, flow: str, finished_ms: int) -> RunRow:
    texts = dict.fromkeys(("flow_version", "status", "event_id", "event_type"), "x")
    times = {"started_ms": 1, "finished_ms": finished_ms, "attempt": 1}
    record = {"tenant": tenant, "run_id": run_id, "flow": flow, **texts, **times}
    return row_of(record, 0, 1, 0)


async def test_a_history_counts_its_runs_and_is_known_by_an_identity(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/history.db"
    store = await open_history(url)
    assert await store.facts() == HistoryFacts(0, None, None)
    rows = [row("a", "1", "f", 50), row("a", "2", "g", 20), row("b", "3", "f", 70)]
    assert await store.write(rows) == 3
    assert await store.facts() == HistoryFacts(3, 20, 70)
    assert [await store.count(tenant) for tenant in ("a", "b", "c")] == [2, 1, 0]
    identity = await store.identity()
    await store.reset()
    assert await store.identity() == identity
    await store.close()
    again = await open_history(url)
    assert await again.identity() == identity
    await again.close()
    other = await open_history(f"sqlite:///{tmp_path}/other.db")
    assert await other.identity() != identity
    await other.close()

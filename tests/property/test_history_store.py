"""Whatever the order of writes, and however often: the same rows, and the pages a model gives."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.history.store import kinds, paging
from app.history.store.opening import open_history
from app.history.store.rows import RunRow
from app.history.store.search import RunSearch
from app.history.store.store import HistoryStore
from tests.support.histories import BEGIN_MS, a_row, an_error, kept, meant

pytestmark = pytest.mark.xdist_group("postgres")
TENANTS = ("acme", "other")
FLOWS = ("a", "b.c", "ü")
CODES = ("http.status", "timeout")
MESSAGES = ("Refused by host 1", "refused by HOST 2", 'no "field" 100%_', "Straße")
STATUSES = ("completed", "failed", "rejected")


def optional(values: Sequence[str]) -> st.SearchStrategy[str | None]:
    return st.none() | st.sampled_from(values)


errors = st.builds(an_error, st.sampled_from(MESSAGES), st.sampled_from(CODES))
# Few places for few runs, so that they meet; two records never have one place in a stream.
rows = st.lists(
    st.builds(
        a_row,
        st.integers(0, 6),
        place=st.tuples(st.integers(1, 9), st.integers(0, 3)),
        tenant=st.sampled_from(TENANTS),
        run_id=st.sampled_from(("r1", "R1", "r10", "é", "z")),
        flow=st.sampled_from(FLOWS),
        event_type=st.sampled_from(("t.1", "t.2")),
        event_id=st.sampled_from(("e1", "e2", "e3")),
        status=st.sampled_from(STATUSES),
        error=st.none() | errors,
        correlation_id=optional(("c1", "c2")),
        parent_run_id=optional(("p1",)),
    ),
    max_size=30,
    unique_by=lambda row: (row.tenant, row.sequence, row.index),
)
searches = st.builds(
    RunSearch,
    flow=optional(FLOWS),
    status=optional(STATUSES),
    event_type=optional(("t.1", "t.3")),
    event_id=optional(("e1",)),
    correlation_id=optional(("c1",)),
    parent_run_id=optional(("p1",)),
    error_code=optional(CODES),
    error_text=optional(("REFUSED by", "host 2", "100%", "STRASSE", "timeout", "e_field")),
    since_ms=st.none() | st.integers(0, 6).map(lambda n: BEGIN_MS + n * 10),
    until_ms=st.none() | st.integers(0, 6).map(lambda n: BEGIN_MS + n * 10),
)


class Opened:
    """A history, and the loop its connections live in."""

    def __init__(self, url: str) -> None:
        self._loop = asyncio.Runner()
        self.store: HistoryStore = self._loop.run(open_history(url))

    def write(self, batches: Sequence[Sequence[RunRow]]) -> int:
        async def write() -> int:
            await self.store.reset()
            return sum([await self.store.write(batch) for batch in batches])

        return self._loop.run(write())

    def pages(self, tenant: str, search: RunSearch, limit: int) -> list[str]:
        async def read() -> list[str]:
            got: list[str] = []
            after = None
            while True:
                page = await self.store.page(tenant, search, after=after, limit=limit)
                got += [row.run_id for row in page.runs]
                after = page.next_after
                if after is None:
                    return got

        return self._loop.run(read())

    def find(self, tenant: str, run_id: str) -> RunRow | None:
        return self._loop.run(self.store.find(tenant, run_id))

    def close(self) -> None:
        self._loop.run(self.store.close())
        self._loop.close()


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def history(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Opened]:
    with tight():
        if request.param == "sqlite":
            path: Path = tmp_path_factory.mktemp("history") / "history.db"
            it = Opened(f"sqlite:///{path}")
        else:
            it = Opened(request.getfixturevalue("postgres_server").url())
        yield it
        it.close()


@contextmanager
def tight() -> Iterator[None]:
    """Few kinds and short bites, so that a handful of rows has all that millions have."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kinds, "KINDS_MAX", 6)
        patch.setattr(paging, "CANDIDATES_MAX", 3)
        patch.setattr(paging, "TEXT_CANDIDATES_MAX", 3)
        yield


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(rows=rows, asked=st.lists(searches, min_size=3, max_size=6), data=st.data())
def test_any_order_and_repetition_gives_the_same_rows_and_pages(
    history: Opened, rows: list[RunRow], asked: list[RunSearch], data: st.DataObject
) -> None:
    again = data.draw(st.lists(st.sampled_from(rows), max_size=8)) if rows else []
    shuffled = data.draw(st.permutations([*rows, *again]))
    size = data.draw(st.integers(1, 12))
    batches = [shuffled[at : at + size] for at in range(0, len(shuffled), size)]
    expected = kept(rows)
    assert history.write(batches) == len(expected)
    for row in expected:
        assert history.find(row.tenant, row.run_id) == row
    limit = data.draw(st.integers(1, 5))
    for tenant in TENANTS:
        for search in (RunSearch(), *asked):
            wanted = [row.run_id for row in meant(expected, tenant, search)]
            assert history.pages(tenant, search, limit) == wanted

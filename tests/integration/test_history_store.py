"""The history in SQLite and in PostgreSQL: the same promises in both."""

import asyncio
import sqlite3
import stat
import sys
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection

from actors.errors import UnavailableError
from app.errors import SettingsError, StoreError, ValueRefusedError
from app.history.store import kinds, paging, store
from app.history.store.opening import open_history
from app.history.store.rows import RunRow
from app.history.store.search import RunSearch
from app.history.store.store import HistoryStore
from app.history.store.tables import METADATA, POSTGRES, VERSION_TABLE
from tests.support.histories import BEGIN_MS, a_row, an_error, kept, meant
from tests.support.postgres import PostgresServer, ask, find_binaries, run

pytestmark = pytest.mark.xdist_group("postgres")
ANY = RunSearch()
COUNT = "SELECT count(*) FROM history_{}"


@pytest.fixture(scope="module")
def shared_url(postgres_server: PostgresServer) -> str:
    """Give a database that is made once, and emptied by each test that takes `history`."""
    name = f"t{uuid.uuid4().hex[:16]}"
    run(ask(postgres_server.url(), f"CREATE DATABASE {name}"))
    return postgres_server.url(name)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/history.db"
    return str(request.getfixturevalue("shared_url"))


@pytest.fixture(params=["sqlite", "postgresql"])
def fresh_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Give a database that nobody has opened."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/history.db"
    return str(request.getfixturevalue("postgres_url"))


@pytest.fixture
async def history(url: str) -> AsyncIterator[HistoryStore]:
    async with opened(url) as it:
        await it.reset()
        yield it


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[HistoryStore]:
    it = await open_history(url)
    try:
        yield it
    finally:
        await it.close()


async def ids(history: HistoryStore, search: RunSearch = ANY, tenant: str = "acme") -> list[str]:
    return [row.run_id for row in (await history.page(tenant, search, limit=1000)).runs]


async def counted(url: str) -> dict[str, int]:
    """Count the rows of every table beside the store."""
    names = ("tenants", "kinds", "runs", "documents", "errors")
    statements = {name: COUNT.format(name) for name in names}
    if url.startswith("sqlite"):
        file = sqlite3.connect(url.removeprefix("sqlite:///"))
        try:
            return {name: file.execute(text).fetchone()[0] for name, text in statements.items()}
        finally:
            file.close()
    return {name: (await ask(url, text))[0][0] for name, text in statements.items()}


async def test_a_run_that_was_written_is_found_with_its_document(history: HistoryStore) -> None:
    row = a_row(1, status="failed", error=an_error("no answer"), correlation_id="order-1")
    assert await history.write([row]) == 1
    assert await history.find("acme", "run-1") == row
    assert await history.find("acme", "run-2") is None
    assert await history.find("other", "run-1") is None


async def test_nothing_is_nothing(history: HistoryStore) -> None:
    assert await history.write([]) == 0
    assert await ids(history) == []
    assert await history.erase("acme") == 0
    assert await history.forget_before(BEGIN_MS * 2, at_most=10) == 0


async def test_the_later_record_of_a_run_stays(history: HistoryStore) -> None:
    early = a_row(1, place=(5, 3), status="failed", error=an_error("connection refused"))
    late = a_row(1, place=(5, 4), finished_ms=BEGIN_MS + 99, event_id="another")
    assert await history.write([early]) == 1
    assert await history.write([late]) == 0
    assert await history.write([early]) == 0
    assert await history.find("acme", "run-1") == late
    assert await ids(history, RunSearch(error_text="refused")) == []
    assert await ids(history, RunSearch(status="failed")) == []
    assert await ids(history, RunSearch(event_id="another")) == ["run-1"]


async def test_the_message_counts_before_the_index_in_it(history: HistoryStore) -> None:
    for place, attempt in (((5, 9), 1), ((6, 0), 2), ((5, 9), 1)):
        await history.write([a_row(1, place=place, attempt=attempt)])
    found = await history.find("acme", "run-1")
    assert found is not None
    assert found.attempt == 2


async def test_of_one_write_too_the_later_record_stays(history: HistoryStore) -> None:
    rows = [a_row(1, place=(2, 0)), a_row(1, place=(10, 0), attempt=2), a_row(1, place=(9, 0))]
    assert await history.write(rows) == 1
    found = await history.find("acme", "run-1")
    assert found is not None
    assert found.attempt == 2


async def test_two_tenants_may_have_one_run_id(history: HistoryStore) -> None:
    assert await history.write([a_row(1), a_row(1, tenant="other", flow="theirs")]) == 2
    theirs = await history.find("other", "run-1")
    assert theirs is not None
    assert theirs.flow == "theirs"
    assert await ids(history) == ["run-1"]


async def test_pages_go_down_through_ties(history: HistoryStore) -> None:
    rows = [a_row(n, finished_ms=BEGIN_MS + n // 7, run_id=f"{'aBÉ'[n % 3]}{n}") for n in range(40)]
    await history.write(rows)
    expected, got, after = [row.run_id for row in kept(rows)], [], None
    while True:
        page = await history.page("acme", ANY, after=after, limit=3)
        got += [row.run_id for row in page.runs]
        assert all(not row.document for row in page.runs)
        after = page.next_after
        if after is None:
            break
    assert got == expected


async def test_a_page_that_is_just_full_is_the_last(history: HistoryStore) -> None:
    await history.write([a_row(1), a_row(2)])
    page = await history.page("acme", ANY, limit=2)
    assert len(page.runs) == 2
    assert page.next_after is None


@pytest.mark.parametrize(
    ("search", "after", "limit"),
    [(ANY, "rubbish", 5), (ANY, None, 0), (ANY, None, 1001), (RunSearch(error_text="ab"), None, 5)],
    ids=["cursor", "none", "many", "short text"],
)
async def test_what_makes_no_sense_is_refused(
    history: HistoryStore, search: RunSearch, after: str | None, limit: int
) -> None:
    with pytest.raises(ValueRefusedError):
        await history.page("acme", search, after=after, limit=limit)


SEARCHES = (
    RunSearch(flow="a"), RunSearch(flow="absent"), RunSearch(status="failed"),
    RunSearch(event_type="t.1", status="completed"), RunSearch(flow="b", status="failed"),
    RunSearch(event_id="e3"), RunSearch(event_id="e3", flow="a"), RunSearch(correlation_id="c1"),
    RunSearch(correlation_id="c1", status="failed"), RunSearch(parent_run_id="p2"),
    RunSearch(parent_run_id="p2", correlation_id="c1"), RunSearch(error_code="code.1"),
    RunSearch(error_code="code.1", flow="c"), RunSearch(error_text="REFUSED by"),
    RunSearch(error_text="host 3"), RunSearch(error_text="100%"), RunSearch(error_text='say "no"'),
    RunSearch(error_text="a_b\\c"), RunSearch(error_text="straSSE"), RunSearch(error_text="nobody"),
    RunSearch(error_text="code.2"), RunSearch(error_text="refused", flow="b", event_type="t.0"),
    RunSearch(error_text="refused", correlation_id="c0"),
    RunSearch(since_ms=BEGIN_MS + 100, until_ms=BEGIN_MS + 150),
    RunSearch(since_ms=BEGIN_MS + 100, flow="a", status="failed"), RunSearch(until_ms=BEGIN_MS),
    RunSearch(error_text="refused", since_ms=BEGIN_MS + 60, until_ms=BEGIN_MS + 160),
)  # fmt: skip
MESSAGES = (
    "connection refused by host 3", "took 100% of it", 'they say "no" to us', "a_b\\c in a path",
    "Straße gesperrt", "axb\\c in a path",
)  # fmt: skip


def _mixed(count: int) -> list[RunRow]:
    rows = []
    for n in range(count):
        failed = n % 4 == 1
        changes: dict[str, Any] = {
            "flow": "abc"[n % 3],
            "event_type": f"t.{n % 2}",
            "event_id": f"e{n % 50}",
            "status": "failed" if failed else "completed",
            "error": an_error(MESSAGES[n % 6], f"code.{n % 5}") if failed else None,
            "correlation_id": None if n % 3 else f"c{n % 2}",
            "parent_run_id": None if n % 5 else f"p{n % 4}",
            "finished_ms": BEGIN_MS + n // 2,
        }
        rows.append(a_row(n, **changes))
    return rows


@pytest.mark.parametrize("is_tight", [False, True], ids=["as it is", "few kinds, short bites"])
async def test_every_search_finds_what_is_meant(
    history: HistoryStore, monkeypatch: pytest.MonkeyPatch, is_tight: bool
) -> None:
    if is_tight:
        monkeypatch.setattr(kinds, "KINDS_MAX", 4)
        monkeypatch.setattr(paging, "CANDIDATES_MAX", 7)
        monkeypatch.setattr(paging, "TEXT_CANDIDATES_MAX", 7)
    rows = _mixed(240)
    await history.write(rows)
    for search in SEARCHES:
        expected = [row.run_id for row in meant(kept(rows), "acme", search)]
        got, after, asked = [], None, 0
        while after is not None or asked == 0:
            page = await history.page("acme", search, after=after, limit=30)
            got += [row.run_id for row in page.runs]
            after, asked = page.next_after, asked + 1
        assert got == expected, search


async def test_a_tenant_with_too_many_kinds_keeps_what_its_rows_are(
    history: HistoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kinds, "KINDS_MAX", 2)
    rows = [a_row(n, event_type=f"type.{n}") for n in range(9)]
    await history.write(rows[:5])
    await history.write(rows[5:])
    for row in rows:
        assert await history.find("acme", row.run_id) == row
        assert await ids(history, RunSearch(event_type=row.event_type)) == [row.run_id]


async def test_retention_forgets_in_bites_and_leaves_no_trace(
    history: HistoryStore, url: str
) -> None:
    rows = [a_row(n, flow=f"flow-{n // 10}", status="failed", error=an_error("refused"))
            for n in range(30)]  # fmt: skip
    await history.write(rows)
    before_ms = rows[20].finished_ms
    assert await history.forget_before(before_ms, at_most=15) == 15
    assert await history.forget_before(before_ms, at_most=15) == 5
    assert await history.forget_before(before_ms, at_most=15) == 0
    assert await ids(history) == [row.run_id for row in kept(rows[20:])]
    assert len(await ids(history, RunSearch(error_text="refused"))) == 10
    assert await counted(url) == {
        "tenants": 1, "kinds": 1, "runs": 10, "documents": 10, "errors": 10,
    }  # fmt: skip
    await history.write(rows[:3])
    assert await ids(history, RunSearch(flow="flow-0")) == ["run-2", "run-1", "run-0"]


async def test_an_erased_tenant_leaves_nothing_and_may_come_again(
    history: HistoryStore, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "ERASE_BITE", 4)
    mine = [a_row(n, status="failed", error=an_error("secret thing")) for n in range(10)]
    await history.write([*mine, a_row(1, tenant="other")])
    assert await history.erase("acme") == 10
    assert await ids(history) == []
    assert await history.find("acme", "run-1") is None
    assert await counted(url) == {
        "tenants": 1, "kinds": 1, "runs": 1, "documents": 1, "errors": 0,
    }  # fmt: skip
    assert await ids(history, tenant="other") == ["run-1"]
    assert await history.write(mine) == 10
    assert len(await ids(history)) == 10


async def test_a_reset_forgets_everything_also_for_another_process(
    history: HistoryStore, url: str
) -> None:
    rows = [a_row(n, status="failed", error=an_error("refused")) for n in range(10)]
    async with opened(url) as other:
        await other.write(rows)
        await history.reset()
        assert set((await counted(url)).values()) == {0}
        # The other one remembers numbers of kinds that are gone.
        assert await other.write(rows) == 10
    assert len(await ids(history, RunSearch(error_text="refused", flow="orders.intake"))) == 10


async def test_two_who_write_the_same_at_once_agree(history: HistoryStore, url: str) -> None:
    rows = [a_row(n, tenant=f"t{n % 3}", flow=f"f{n % 5}") for n in range(300)]
    async with opened(url) as other:
        new = await asyncio.gather(
            *(which.write(rows[at : at + 50]) for at in range(0, 300, 50)
              for which in (history, other))
        )  # fmt: skip
    assert sum(new) == 300
    assert sorted(await ids(history, tenant="t1")) == sorted(
        row.run_id for row in rows if row.tenant == "t1"
    )


async def test_who_writes_while_a_tenant_is_erased_writes_whole_rows(
    history: HistoryStore, url: str
) -> None:
    rows = [a_row(n, flow=f"f{n % 5}") for n in range(60)]

    async def write() -> None:
        async with opened(url) as other:
            for at in range(0, 60, 10):
                await other.write(rows[at : at + 10])

    await asyncio.gather(write(), *(history.erase("acme") for _ in range(5)))
    for run_id in await ids(history):
        assert await history.find("acme", run_id) is not None
    assert (await counted(url))["runs"] == len(await ids(history))


async def test_processes_that_open_at_once_do_not_collide(fresh_url: str) -> None:
    program = "import asyncio, sys\nfrom app.history.store.opening import open_history\n"
    program += "asyncio.run(open_history(sys.argv[1]))\n"
    opening = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", program, fresh_url, stderr=asyncio.subprocess.PIPE
        )
        for _ in range(2)
    ]
    async with opened(fresh_url) as here:
        assert await here.write([a_row(1)]) == 1
    for process in opening:
        _, said = await process.communicate()
        assert process.returncode == 0, said.decode()


async def test_a_read_goes_on_while_another_writes(history: HistoryStore) -> None:
    await history.write([a_row(1)])
    async with history._database.writing("hold"):  # nobody else writes now
        assert await ids(history) == ["run-1"]


async def test_migrations_leave_the_tables_as_the_program_has_them(
    history: HistoryStore, url: str
) -> None:
    tables = [METADATA] if url.startswith("sqlite") else [METADATA, POSTGRES]

    def differences(connection: Connection) -> list[Any]:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "include_object": _is_ours}
        )
        return list(compare_metadata(context, tables))  # type: ignore[arg-type]

    async with history._database.reading("compare") as connection:
        assert await connection.run_sync(differences) == []


def _is_ours(thing: Any, name: str, kind: str, is_found: bool, _other: Any) -> bool:
    """Leave out the version, and what SQLite keeps a full-text table in."""
    is_hidden = name == VERSION_TABLE or (is_found and name.startswith("history_errors_"))
    return not (kind == "table" and (is_hidden or (is_found and name == "history_errors"
                                                   and "who" in thing.c)))  # fmt: skip


async def test_tables_of_a_newer_version_are_refused(fresh_url: str) -> None:
    async with opened(fresh_url):
        pass
    statement = "UPDATE history_version SET version_num = '9999'"
    if fresh_url.startswith("sqlite"):
        file = sqlite3.connect(fresh_url.removeprefix("sqlite:///"), isolation_level=None)
        file.execute(statement)
        file.close()
    else:
        await ask(fresh_url, statement)
    with pytest.raises(SettingsError, match="9999"):
        await open_history(fresh_url)


# ── SQLite alone ─────────────────────────────────────────────────────────────────────────────


async def test_the_file_and_its_log_are_for_their_owner(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "history.db"
    async with opened(f"sqlite:///{path}") as here:
        await here.write([a_row(1)])
        modes = {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
        assert len(list(path.parent.iterdir())) == 3
    assert modes == {0o600}


async def test_what_is_no_sqlite_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "text.db"
    path.write_text("this is a letter, not a database")
    with pytest.raises(SettingsError):
        await open_history(f"sqlite:///{path}")
    assert path.read_text() == "this is a letter, not a database"


async def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    async with opened(f"sqlite:///{path}") as here:
        await here.write([a_row(n) for n in range(500)])
    damaged = bytearray(path.read_bytes())
    damaged[4096:] = b"\xa5" * (len(damaged) - 4096)
    path.write_bytes(damaged)
    with pytest.raises(StoreError):
        async with opened(f"sqlite:///{path}") as here:
            await ids(here)


async def test_a_file_that_another_holds_is_unavailable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.history.store.sqlite.BUSY_SECONDS", 0.05)
    path = tmp_path / "history.db"
    async with opened(f"sqlite:///{path}") as here:
        holder = sqlite3.connect(path, isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        with pytest.raises(UnavailableError) as told:
            await here.write([a_row(1)])
        assert told.value.retry_after_seconds
        holder.execute("ROLLBACK")
        holder.close()
        assert await here.write([a_row(1)]) == 1


@pytest.mark.parametrize(
    "url", ["", "mysql://root@here/db", "sqlite://", "sqlite:///", "sqlite:///:memory:",
            "sqlite:////tmp/a.db?mode=ro", "postgresql://user:p%40ss@[::1", "history.db",
            "postgresql://user:p%40ss@host:port/db"],
)  # fmt: skip
async def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(SettingsError) as refused:
        await open_history(url)
    assert "p@ss" not in str(refused.value)
    assert "p%40ss" not in str(refused.value)


# ── PostgreSQL alone ─────────────────────────────────────────────────────────────────────────


async def test_a_wrong_password_is_told_and_not_shown(postgres_url: str) -> None:
    wrong = postgres_url.replace("://postgres:", "://postgres:not")
    with pytest.raises(SettingsError) as refused:
        await open_history(wrong)
    assert wrong.split(":")[2].split("@")[0] not in str(refused.value)


async def test_nobody_at_the_address_is_unavailable() -> None:
    with pytest.raises(UnavailableError) as told:
        await open_history("postgresql://user:word-of-mine@127.0.0.1:1/db")
    assert told.value.retry_after_seconds
    assert "word-of-mine" not in str(told.value)


async def test_who_may_create_no_extension_is_told_what_to_do(postgres_url: str) -> None:
    name = postgres_url.rpartition("/")[2]
    await ask(postgres_url, f"CREATE ROLE {name} LOGIN PASSWORD 'word'")
    try:
        url = f"postgresql://{name}:word@{postgres_url.partition('@')[2]}"
        with pytest.raises(SettingsError, match="CREATE EXTENSION pg_trgm"):
            await open_history(url)
    finally:
        await ask(postgres_url, f"DROP ROLE {name}")


async def test_a_server_that_dies_is_unavailable_until_it_is_back() -> None:
    binaries = find_binaries()
    if binaries is None:
        pytest.skip("PostgreSQL is not installed (apt-get install postgresql)")
    server = PostgresServer(binaries)
    try:
        await asyncio.to_thread(server.start)
        async with opened(server.url()) as here:
            await here.write([a_row(1)])
            await asyncio.to_thread(server.kill)
            with pytest.raises(UnavailableError) as told:
                await here.write([a_row(2)])
            assert server.password not in str(told.value)
            with pytest.raises(UnavailableError):
                await ids(here)
            await asyncio.to_thread(server.start)
            # This server flushes nothing: it has lost what it answered last, kinds among it.
            assert await here.write([a_row(1), a_row(2)]) >= 1
            assert await ids(here) == ["run-2", "run-1"]
    finally:
        await asyncio.to_thread(server.remove)

"""The history of runs: writing to it and searching it, in SQLite and in PostgreSQL.

``HISTORY_RUNS`` is how many runs there are (500,000; the goals are meant for 5,000,000), and
``HISTORY_ON`` where: ``sqlite``, ``postgresql`` or both; or ``HISTORY_URL`` names a database that
is kept, and is filled only as far as it is not. Goals: every page and structured search
p95 < 150 ms, writing >= 10,000 runs/s, on an empty table and on a full one. It is written twice
from prepared rows (``write``) and from messages as the stream has them (``project``).
"""

import asyncio
import os
import resource
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from app.bus.codec import encode_json
from app.history.projection.reading import MessagePlace, read_message
from app.history.store.opening import open_history
from app.history.store.rows import RunRow, row_of
from app.history.store.search import RunSearch
from app.history.store.store import HistoryStore
from tests.benchmarks.history_records import APART_MS, BEGIN_MS, TENANTS, record, records
from tests.support.postgres import PostgresServer, ask, find_binaries

RUNS = int(os.environ.get("HISTORY_RUNS", "500000"))
ON = os.environ.get("HISTORY_ON", "sqlite,postgresql").split(",")
BATCH = 1000
FILL_BATCH = 5000
URL = os.environ.get("HISTORY_URL", "")
IN_MESSAGE = 50
MEASURED = 20_000
"""Runs, at the beginning and at the end, whose writing is timed by itself."""
LIMIT = 50
ASKED = 60
GOAL_MS = 150
GOAL_RATE = 10_000
POSTGRES_SETTINGS = (
    "shared_buffers=1GB", "effective_cache_size=8GB", "max_wal_size=8GB", "work_mem=32MB",
    "checkpoint_timeout=15min",
)  # fmt: skip


async def main() -> None:
    if URL:
        await _measure(URL.partition(":")[0], URL)
        return
    for name in ON:
        folder = tempfile.mkdtemp(prefix="history-")
        server: PostgresServer | None = None
        try:
            if name == "postgresql":
                binaries = find_binaries()
                if binaries is None:
                    print("postgresql: not installed")
                    continue
                server = PostgresServer(binaries, POSTGRES_SETTINGS)
                await asyncio.to_thread(server.start)
            url = server.url() if server else f"sqlite:///{folder}/history.db"
            await _measure(name, url)
        finally:
            if server is not None:
                await asyncio.to_thread(server.remove)
            shutil.rmtree(folder)


async def _measure(name: str, url: str) -> None:
    print(f"{name}: {RUNS:,} runs, load {os.getloadavg()[0]:.1f}", flush=True)
    store = await open_history(url)
    try:
        there = (await store.facts()).runs
        if there == 0:
            await _timed_writing(store, 0, "on an empty table")
            there = 2 * MEASURED
        await _fill(store, there, RUNS)
        there = max(there, RUNS)
        await _show_sizes(url, there)
        await _timed_writing(store, there, f"on {there:,} runs")
        if not url.startswith("sqlite"):
            await ask(url, "VACUUM ANALYZE")  # what the server does by itself in a minute or two
        for mode in ("asked first", "asked again"):
            await _timed_searches(store, mode)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        print(f"  peak memory of this process {peak} MB, load {os.getloadavg()[0]:.1f}", flush=True)
    finally:
        await store.close()


async def _fill(store: HistoryStore, there: int, wanted: int) -> None:
    began, busy = time.perf_counter(), 0.0
    for begin in range(there, wanted, FILL_BATCH):
        rows = _rows(begin, min(FILL_BATCH, wanted - begin))
        at = time.perf_counter()
        await store.write(rows)
        busy += time.perf_counter() - at
        if begin % 500_000 < FILL_BATCH:
            print(f"  {begin:,} runs, {time.perf_counter() - began:.0f} s", flush=True)
    if wanted > there:
        print(f"  between: {(wanted - there) / busy:,.0f} runs/s written", flush=True)


async def _timed_writing(store: HistoryStore, begin: int, where: str) -> None:
    batches = [_rows(at, BATCH) for at in range(begin, begin + MEASURED, BATCH)]
    took, cpu = time.perf_counter(), time.process_time()
    for batch in batches:
        await store.write(batch)
    took, cpu = time.perf_counter() - took, time.process_time() - cpu
    _show_rate("write", where, took, cpu)
    messages = list(_messages(begin + MEASURED, MEASURED))
    took, cpu = time.perf_counter(), time.process_time()
    read: list[RunRow] = []
    for place, data in messages:
        read += read_message(data, place).rows
        if len(read) >= BATCH:
            await store.write(read)
            read = []
    await store.write(read)
    took, cpu = time.perf_counter() - took, time.process_time() - cpu
    _show_rate("project", where, took, cpu)


def _show_rate(what: str, where: str, took: float, cpu: float) -> None:
    rate = MEASURED / took
    verdict = "ok" if rate >= GOAL_RATE else "BELOW THE GOAL"
    print(
        f"  {what} {where}: {rate:,.0f} runs/s ({verdict}; {cpu / MEASURED * 1e6:.0f} us of this "
        f"process's time a run, load {os.getloadavg()[0]:.1f})", flush=True,
    )  # fmt: skip


def _rows(begin: int, count: int) -> list[RunRow]:
    return [
        row_of(document, 0, (begin + n) // IN_MESSAGE + 1, (begin + n) % IN_MESSAGE)
        for n, document in enumerate(records(begin, count))
    ]


def _messages(begin: int, count: int) -> Iterator[tuple[MessagePlace, bytes]]:
    """Give records as workers write them: in a message are those of one flow."""
    flows: dict[str, list[dict[str, Any]]] = {}
    for document in records(begin, count):
        subject = f"greentic.runs.bench.{document['tenant']}.{document['flow']}"
        flows.setdefault(subject, []).append(document)
    sequence = begin
    for subject, documents in flows.items():
        for at in range(0, len(documents), IN_MESSAGE):
            sequence += 1
            data = encode_json(documents[at : at + IN_MESSAGE], "records", nulls=9999)
            yield MessagePlace(subject, 0, sequence), data


# ── Searches ─────────────────────────────────────────────────────────────────────────────────


def _some(tenant: str, begin: int) -> dict[str, Any]:
    """Give a record of a tenant, looked for from a number on."""
    for number in range(begin, begin + 5000):
        found = record(number % RUNS)
        if found["tenant"] == tenant:
            return found
    return record(begin)


SEARCHES: dict[str, Callable[[dict[str, Any]], RunSearch]] = {
    "all": lambda _: RunSearch(),
    "a stretch of time": lambda r: RunSearch(
        since_ms=r["finished_ms"] - 3_600_000, until_ms=r["finished_ms"] + 3_600_000
    ),
    "frequent flow": lambda _: RunSearch(flow="shop.flow-00"),
    "this run's flow": lambda r: RunSearch(flow=r["flow"]),
    "rare flow": lambda _: RunSearch(flow="shop.once-in-a-while"),
    "absent flow": lambda _: RunSearch(flow="shop.no-such"),
    "flow and time": lambda r: RunSearch(
        flow=r["flow"], since_ms=r["finished_ms"] - 86_400_000, until_ms=r["finished_ms"]
    ),
    "completed": lambda _: RunSearch(status="completed"),
    "failed": lambda _: RunSearch(status="failed"),
    "cancelled": lambda _: RunSearch(status="cancelled"),
    "flow and failed": lambda r: RunSearch(flow=r["flow"], status="failed"),
    "rare flow and cancelled": lambda _: RunSearch(flow="shop.once-in-a-while", status="cancelled"),
    "event type": lambda r: RunSearch(event_type=r["event_type"]),
    "event type, failed, time": lambda r: RunSearch(
        event_type=r["event_type"], status="failed", until_ms=r["finished_ms"]
    ),
    "error code": lambda _: RunSearch(error_code="timeout"),
    "error code and flow": lambda r: RunSearch(error_code="script.error", flow=r["flow"]),
    "absent error code": lambda _: RunSearch(error_code="no.such"),
    "event id": lambda r: RunSearch(event_id=r["event_id"]),
    "absent event id": lambda _: RunSearch(event_id="no-such"),
    "event id and flow": lambda r: RunSearch(event_id=r["event_id"], flow=r["flow"]),
    "correlation of many": lambda _: RunSearch(correlation_id="campaign-3"),
    "correlation of many, failed": lambda _: RunSearch(
        correlation_id="campaign-3", status="failed"
    ),
    "correlation of many, rare flow": lambda _: RunSearch(
        correlation_id="campaign-3", flow="shop.once-in-a-while"
    ),
    "correlation": lambda r: RunSearch(correlation_id=r["correlation_id"] or "none"),
    "parent run": lambda r: RunSearch(parent_run_id=r["parent_run_id"] or "none"),
    "text: frequent": lambda _: RunSearch(error_text="The server answered"),
    "text: frequent, flow": lambda r: RunSearch(error_text="refused", flow=r["flow"]),
    "text: frequent, time": lambda r: RunSearch(
        error_text="refused", until_ms=r["finished_ms"]
    ),
    "text: one of fifty hosts": lambda _: RunSearch(error_text="host-16.example.org"),
    "text: rare": lambda _: RunSearch(error_text="a meteor struck"),
    "text: one order": lambda r: RunSearch(error_text=f"ord-{r['output']['order']}"),
    "text: absent": lambda _: RunSearch(error_text="nobody wrote this"),
    "text: of three": lambda _: RunSearch(error_text="503"),
}  # fmt: skip


async def _timed_searches(store: HistoryStore, mode: str) -> None:
    worst = 0.0
    shown: list[str] = []
    for name, build in SEARCHES.items():
        took, found = await _timed_search(store, build)
        p95 = statistics.quantiles(took, n=20)[-1]
        worst = max(worst, p95)
        verdict = "" if p95 < GOAL_MS else "  ABOVE THE GOAL"
        shown.append(
            f"    {name:32} p50 {statistics.median(took):6.1f}  p95 {p95:6.1f}  "
            f"max {max(took):6.1f} ms  ({found} runs){verdict}"
        )
    took = await _timed_finds(store)
    shown.append(f"    {'one run, its document':32} p50 {statistics.median(took):6.1f}  "
                 f"p95 {statistics.quantiles(took, n=20)[-1]:6.1f}  max {max(took):6.1f} ms")  # fmt: skip
    print(f"  searches ({mode}), pages of {LIMIT}, worst p95 {worst:.1f} ms:")
    print("\n".join(shown), flush=True)


async def _timed_search(
    store: HistoryStore, build: Callable[[dict[str, Any]], RunSearch]
) -> tuple[Sequence[float], int]:
    """Ask for first pages and for deep ones, of large tenants and of small ones."""
    took, found = [], 0
    for turn in range(ASKED):
        tenant = TENANTS[(0, 0, 1, 5, 12, 23)[turn % 6]]
        search = build(_some(tenant, turn * RUNS // ASKED))
        at_ms = BEGIN_MS + RUNS * APART_MS * (turn // 6 % 10) // 10
        after = None if turn % 12 < 6 else f"{at_ms}-zzz"
        began = time.perf_counter()
        page = await store.page(tenant, search, after=after, limit=LIMIT)
        took.append((time.perf_counter() - began) * 1000)
        found += len(page.runs)
    return took, found


async def _timed_finds(store: HistoryStore) -> Sequence[float]:
    took = []
    for turn in range(ASKED):
        sought = record(turn * RUNS // ASKED)
        began = time.perf_counter()
        found = await store.find(sought["tenant"], sought["run_id"])
        took.append((time.perf_counter() - began) * 1000)
        if found is None:
            raise RuntimeError("a run that was written is not found")
    return took


async def _show_sizes(url: str, runs: int) -> None:
    if url.startswith("sqlite"):
        path = Path(url.removeprefix("sqlite:///"))
        size = path.stat().st_size
        print(f"  file: {size / 1e9:.2f} GB, {size / runs:.0f} bytes a run", flush=True)
        return
    rows = await ask(
        url,
        "SELECT relname, pg_total_relation_size(c.oid) FROM pg_class c JOIN pg_namespace n "
        "ON n.oid = c.relnamespace WHERE nspname = 'public' AND relkind = 'r' AND "
        "pg_total_relation_size(c.oid) > 1000000 ORDER BY 2 DESC",
    )
    total = sum(row[1] for row in rows)
    parts = ", ".join(f"{row[0]} {row[1] / 1e6:.0f} MB" for row in rows)
    print(f"  tables: {total / 1e9:.2f} GB, {total / runs:.0f} bytes a run ({parts})", flush=True)


if __name__ == "__main__":
    asyncio.run(main())
    sys.exit(0)

"""One trial: records are stored while the process that writes them away is killed.

In: a nats-server, a database, a plan. Out: a report, with what differs between the history and a
fold of the stream: after the kills, after a rebuild of a damaged history, and in a second history
that reads everything in one go (which is timed).
"""

import asyncio
import contextlib
import json
import os
import random
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from app.bus.acked_publisher import AckedPublisher
from app.bus.connection import Bus, BusSettings
from app.bus.direct import DirectReader, StoredMessage
from app.bus.looking_back import StreamWalk
from app.cli.history_work import rebuild_history
from app.control.control import Control
from app.control.names import runs_stream
from app.history.projection.durables import durable_of
from app.history.projection.lag import LagReader
from app.history.store.opening import open_history
from app.history.store.search import RunSearch
from app.history.store.store import HistoryStore
from app.system import SystemClock
from tests.history.story import TENANTS, Row, Story, fold, records_in
from tests.support.bus import DeafObserver
from tests.support.nats_server import KillableServer
from tests.support.programs import ROOT

PAGE = 1000
DOCUMENTS_EVERY = 97
"""One of so many runs is read whole."""
CAUGHT_UP_SECONDS = 300.0
ENV = "trial"


@dataclass(frozen=True, slots=True)
class Plan:
    """What a trial does."""

    records: int = 200_000
    kills: int = 20
    server_kills: int = 2
    database_kills: int = 0
    processes: int = 1
    """How many write at once; a database in a file has one."""
    alive_seconds_max: float = 3.0
    """How long a process lives at most before it is killed."""
    ack_wait_seconds: float | None = None
    """How long what a dead process had in hand is waited for; None: as the program does."""
    is_timed: bool = True
    """Whether a second history reads all in one go."""
    seed: int = 1


def nothing() -> None:
    """Restart nothing: a file has no server."""


@dataclass(frozen=True, slots=True)
class Database:
    """Two empty databases of one kind, and how to kill and start their server."""

    name: str
    urls: Sequence[str]
    restart: Callable[[], None] = nothing


@dataclass(slots=True)
class Report:
    """What came of it."""

    database: str
    records: int = 0
    runs: int = 0
    kills: int = 0
    server_kills: int = 0
    database_kills: int = 0
    seconds: float = 0.0
    rate: float = 0.0
    """Records a second, from the first to the last of a history that reads all at once."""
    cpu_us: float = 0.0
    """Microseconds of CPU that the process takes for a record, from its consumer's beginning on."""
    rebuild_rate: float = 0.0
    findings: list[str] = field(default_factory=list)

    def as_text(self) -> str:
        head = (
            f"{self.database}: {self.records} records of {self.runs} runs, {self.kills} kills of"
            f" processes, {self.server_kills} of the nats-server and {self.database_kills} of the"
            f" database, {self.seconds:.0f} s;"
            f" projected in one go {self.rate:.0f}/s ({self.cpu_us:.0f} us of CPU each, counting"
            f" usage too), rebuilt {self.rebuild_rate:.0f}/s; {len(self.findings)} findings"
        )
        return "\n  ".join([head, *self.findings[:20]])


class Trial:
    """One database, one server, one plan."""

    def __init__(
        self,
        server: KillableServer,
        folder: Path,
        database: "Database",
        plan: Plan,
    ) -> None:
        """``folder`` takes the logs."""
        self._server = server
        self._restart_database = database.restart
        self._log = folder / "child.log"
        self._first, self._second = database.urls
        self._plan = plan
        self._dice = random.Random(plan.seed)  # noqa: S311 - a plan, no secret
        self.report = Report(database.name)

    async def run(self) -> Report:
        began = time.monotonic()
        async with self._connected() as bus:
            await Control(bus, ENV).ensure([])
            await self._tell_and_kill(bus)
            wanted = await self._fold(bus)
            self.report.runs = len(wanted)
            await self._finish(bus, self._first)
            await self._compare("after the kills", self._first, wanted)
            await self._rebuild(wanted)
            if self._plan.is_timed:
                await self._time(bus)
                await self._compare("read in one go", self._second, wanted)
        self.report.seconds = time.monotonic() - began
        return self.report

    # ── Kills ────────────────────────────────────────────────────────────────────────────────

    async def _tell_and_kill(self, bus: Bus) -> None:
        plan, story = self._plan, Story(ENV, self._plan.seed)
        publisher = await AckedPublisher.start(bus, deadline_seconds=60)
        share = plan.records // (plan.kills + 1)
        await self._store(publisher, story, share)
        with_server = self._some_of(plan.kills, plan.server_kills)
        with_database = self._some_of(plan.kills, plan.database_kills)
        for number in range(plan.kills):
            storing = asyncio.create_task(self._store(publisher, story, share))
            async with AsyncExitStack() as stack:
                for _ in range(plan.processes):
                    await stack.enter_async_context(self._child(self._first))
                await self._pause()
                if number in with_server:
                    await self._server.restart()
                    self.report.server_kills += 1
                    await self._pause()
                if number in with_database:
                    await asyncio.to_thread(self._restart_database)
                    self.report.database_kills += 1
                    await self._pause()
                self.report.kills += plan.processes
            await storing
        publisher.close()

    def _some_of(self, rounds: int, count: int) -> set[int]:
        return set(self._dice.sample(range(rounds), min(count, rounds)))

    async def _pause(self) -> None:
        await asyncio.sleep(self._dice.uniform(0.3, self._plan.alive_seconds_max))

    async def _store(self, publisher: AckedPublisher, story: Story, records: int) -> None:
        waits = []
        for number, told in enumerate(story.tell(records)):
            waits.append(await publisher.publish_when_room(told.subject, told.data, b""))
            if not number % 20:
                await asyncio.sleep(0)
        await asyncio.gather(*waits)

    @asynccontextmanager
    async def _child(self, url: str) -> AsyncIterator[asyncio.subprocess.Process]:
        """Have a history process for the body, which is killed at its end."""
        endpoint = self._server.endpoint
        told = {
            "url": endpoint.url, "user": endpoint.user, "password": endpoint.password,
            "env": ENV, "database": url, "ack_wait_seconds": self._plan.ack_wait_seconds,
        }  # fmt: skip
        with self._log.open("ab") as log:
            child = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "tests.history.child",
                cwd=ROOT, stdin=asyncio.subprocess.PIPE, stderr=log,
            )  # fmt: skip
        assert child.stdin is not None
        child.stdin.write(json.dumps(told).encode() + b"\n")
        try:
            yield child
            if child.returncode is not None:
                self.report.findings.append(f"a child ended by itself with {child.returncode}")
        finally:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
            await child.wait()

    # ── Ends ─────────────────────────────────────────────────────────────────────────────────

    async def _finish(self, bus: Bus, url: str) -> None:
        async with self._child(url):
            await self._caught_up(bus, url)

    async def _time(self, bus: Bus) -> None:
        """Let a new history read everything in one go."""
        async with self._child(self._second) as child:
            began = await self._begun(bus)
            cpu = cpu_seconds(child.pid)
            await self._caught_up(bus, self._second)
            self.report.rate = self.report.records / (time.monotonic() - began)
            self.report.cpu_us = (cpu_seconds(child.pid) - cpu) * 1e6 / self.report.records

    async def _begun(self, bus: Bus) -> float:
        """Wait until the second history has its consumer."""
        durable = await self._durable(self._second)
        lag, reader = await self._lag(bus)
        while not (await lag.read(runs_stream(ENV, 0), durable)).is_begun:
            await asyncio.sleep(0.02)
        await reader.close()
        return time.monotonic()

    async def _caught_up(self, bus: Bus, url: str) -> None:
        durable = await self._durable(url)
        lag, reader = await self._lag(bus)
        try:
            async with asyncio.timeout(CAUGHT_UP_SECONDS):
                while True:
                    found = await lag.read(runs_stream(ENV, 0), durable)
                    if found.is_begun and not found.messages:
                        return
                    await asyncio.sleep(0.1)
        finally:
            await reader.close()

    async def _durable(self, url: str) -> str:
        store = await open_history(url)
        try:
            return durable_of(await store.identity())
        finally:
            await store.close()

    async def _lag(self, bus: Bus) -> tuple[LagReader, DirectReader]:
        reader = await DirectReader.start(bus)
        return LagReader(reader, ENV, SystemClock()), reader

    async def _rebuild(self, wanted: Mapping[tuple[str, str], Row]) -> None:
        """Damage the history, build it anew, and compare."""
        store = await open_history(self._first)
        await store.erase(TENANTS[0])
        await store.close()
        settings = self._settings()
        report = await rebuild_history(self._first, settings, ENV, lambda _: None, drops_older=True)
        self.report.rebuild_rate = report.records / report.seconds
        if report.records != self.report.records:
            self.report.findings.append(f"a rebuild read {report.records} records")
        await self._compare("after a rebuild", self._first, wanted)

    # ── Comparing ────────────────────────────────────────────────────────────────────────────

    async def _fold(self, bus: Bus) -> dict[tuple[str, str], Row]:
        reader = await DirectReader.start(bus)
        messages: list[StoredMessage] = []
        walk = StreamWalk(reader, runs_stream(ENV, 0), ">")
        async for step in walk.oldest_first(0):
            messages += step
        await reader.close()
        # What was sent again while the server was away is there twice.
        self.report.records = sum(records_in(message) for message in messages)
        return await asyncio.to_thread(fold, messages)

    async def _compare(self, when: str, url: str, wanted: Mapping[tuple[str, str], Row]) -> None:
        store = await open_history(url)
        try:
            found = await rows_of(store)
            self._tell_differences(when, found, wanted)
            for number, (tenant, run_id) in enumerate(sorted(wanted)):
                if number % DOCUMENTS_EVERY:
                    continue
                run = await store.find(tenant, run_id)
                if run is None or run.document != wanted[tenant, run_id].document:
                    self.report.findings.append(f"{when}: the record of {run_id} is another")
        finally:
            await store.close()

    def _tell_differences(
        self, when: str, found: Mapping[tuple[str, str], Row], wanted: Mapping[tuple[str, str], Row]
    ) -> None:
        plain = {key: without_document(row) for key, row in wanted.items()}
        if found == plain:
            return
        missing, more = plain.keys() - found.keys(), found.keys() - plain.keys()
        other = [key for key in plain.keys() & found.keys() if plain[key] != found[key]]
        self.report.findings.append(
            f"{when}: {len(missing)} runs are missing, {len(more)} are too many,"
            f" {len(other)} are others than they should be, like {[*missing, *more, *other][:3]}"
        )

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[Bus]:
        bus = await Bus.connect(self._settings(), DeafObserver(), deadline_seconds=10)
        try:
            yield bus
        finally:
            await bus.drain_and_close(2)

    def _settings(self) -> BusSettings:
        endpoint = self._server.endpoint
        return BusSettings(endpoint.url, endpoint.user, endpoint.password)


async def rows_of(store: HistoryStore) -> dict[tuple[str, str], Row]:
    """Read all rows through the pages that the API reads."""
    rows: dict[tuple[str, str], Row] = {}
    for tenant in TENANTS:
        after: str | None = None
        while True:
            page = await store.page(tenant, RunSearch(), after=after, limit=PAGE)
            for run in page.runs:
                rows[run.tenant, run.run_id] = Row(
                    run.sequence, run.index, run.flow, run.status, run.event_id,
                    run.finished_ms, run.error_code, None,
                )  # fmt: skip
            after = page.next_after
            if after is None:
                break
    return rows


def without_document(row: Row) -> Row:
    return Row(
        row.sequence, row.index, row.flow, row.status, row.event_id, row.finished_ms,
        row.error_code, None,
    )  # fmt: skip


def cpu_seconds(pid: int) -> float:
    """Give what a process has used, in user and system mode."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def files(folder: Path) -> Database:
    """Give databases in files."""
    return Database("sqlite", [f"sqlite:///{folder}/{name}.db" for name in ("first", "second")])

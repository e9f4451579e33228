"""A story of metering: records come, processes are killed, and at the end all is counted again.

In: how many records, how many kills. Out: a `Report`. The records are those of several tenants and
flows, over several hours, in messages as workers write them; some are stored again, now and then
with another end than before, as after a crash.
"""

import asyncio
import contextlib
import signal
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any

import msgspec

from actors.errors import ActorsError
from app.bus.acked_publisher import AckedPublisher
from app.bus.admin import JetStreamAdmin
from app.bus.admin_specs import ConsumerInfo
from app.bus.connection import Bus
from app.bus.direct import DirectReader
from app.bus.looking_back import StreamWalk
from app.control.control import Control
from app.control.limits import StreamLimits
from app.control.names import runs_stream
from app.control.streams import runs_spec
from app.errors import AppError
from app.history.metering.durables import DURABLE
from app.history.metering.reading import UsageSearch, UsageWindows
from app.history.metering.usage import STATUSES, Usage
from app.history.metering.windows import WindowPlace
from tests.metering.recount import recount
from tests.support.bus import connected
from tests.support.nats_server import KillableServer
from tests.support.programs import ROOT
from tests.support.usage_records import HOUR_MS, a_record, subject_of

ENV = "dev"
TENANTS = ("acme", "zeta", "blue-sky")
FLOWS = ("orders", "auth/login", "reports/nightly/all", "mail")
HOURS = 6
REPEATS = 0.03
CAUGHT_UP_SECONDS = 90.0
AWAKE_SECONDS = 0.3
"""How long two processes are awake, of which one believed it was the owner."""


@dataclass(frozen=True)
class Plan:
    """How a story goes."""

    records: int
    kills: int
    server_kills: int = 1
    freezes: int = 1
    """How often it is stopped for longer than its lease, another takes over, and it wakes up."""
    seed: int = 7
    remembered: int = 20_000
    message_records: int = 20
    life_seconds: tuple[float, float] = (0.0, 0.4)
    """How long the process that counts lives once it has begun to count."""


@dataclass
class Report:
    """What came of it."""

    records: int = 0
    repeated: int = 0
    messages: int = 0
    kills: int = 0
    server_kills: int = 0
    freezes: int = 0
    kept_windows: int = 0
    wrong: list[str] = field(default_factory=list)
    runs: int = 0
    catch_up_seconds: float = 0.0

    def as_text(self) -> str:
        said = ", ".join(f"{name} {value}" for name, value in vars(self).items() if name != "wrong")
        return f"{said}: {'EQUAL' if not self.wrong else 'WRONG ' + '; '.join(self.wrong[:5])}"


class Meter:
    """The process that counts."""

    def __init__(self, server: KillableServer, remembered: int) -> None:
        self._server = server
        self._remembered = remembered
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        where = self._server.endpoint
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.metering.child",
            where.url,
            where.user,
            where.password,
            ENV,
            str(self._remembered),
            cwd=ROOT,
            stdout=asyncio.subprocess.DEVNULL,
        )

    async def kill(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            assert process.returncode is None, f"it ended by itself: {process.returncode}"
            process.kill()
            await process.wait()

    def freeze(self) -> None:
        """Let it stand still, as a machine does that sleeps."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)


@asynccontextmanager
async def an_env(server: KillableServer) -> AsyncIterator[Bus]:
    """Give a connection to an env with its streams."""
    async with connected(server.endpoint) as bus:
        await Control(bus, ENV).ensure([])
        spec = runs_spec(ENV, 0, (f"greentic.runs.{ENV}.>",), StreamLimits())
        await JetStreamAdmin(bus).ensure_stream(spec)
        yield bus


def messages_of(plan: Plan, chance: Random, report: Report) -> list[tuple[str, bytes]]:
    """Make all messages of the story, in the order they will be stored."""
    begin_ms = int(time.time() * 1000) // HOUR_MS * HOUR_MS - (HOURS - 1) * HOUR_MS
    recent: dict[tuple[str, str], list[dict[str, Any]]] = {}
    messages = []
    made = 0
    while made < plan.records:
        tenant, flow = chance.choice(TENANTS), chance.choice(FLOWS)
        lately = recent.setdefault((tenant, flow), [])
        mine = []
        for _ in range(chance.randint(1, plan.message_records)):
            if lately and chance.random() < REPEATS:
                record = dict(chance.choice(lately))
                if chance.random() < 0.3:
                    record |= {"status": "failed", "finished_ms": record["finished_ms"] + HOUR_MS}
                report.repeated += 1
            else:
                record = _new_record(f"run-{made}", tenant, flow, begin_ms, chance)
                lately.append(record)
                del lately[:-50]
            mine.append(record)
            made += 1
        messages.append((subject_of(mine, ENV), msgspec.json.encode(mine)))
    report.records, report.messages = made, len(messages)
    return messages


def _new_record(
    run_id: str, tenant: str, flow: str, begin_ms: int, chance: Random
) -> dict[str, Any]:
    ended_ms = begin_ms + chance.randrange(HOURS * HOUR_MS - HOUR_MS)
    record = a_record(
        run_id,
        tenant=tenant,
        flow=flow,
        status=chance.choice(STATUSES),
        started_ms=ended_ms - int(chance.expovariate(1 / 300)),
        finished_ms=ended_ms,
        usage={
            "events": chance.choice([0, 1, 1, 1, 7]),
            "operations": chance.randrange(1000),
            "effects": chance.randrange(4),
            "bytes": chance.randrange(10_000),
        },
    )
    if chance.random() < 0.1:
        del record["usage"]
    return record


class Storing:
    """Stores messages in their order, whatever becomes of the server, as far as it is let."""

    def __init__(self, server: KillableServer, messages: Sequence[tuple[str, bytes]]) -> None:
        self._server = server
        self._messages = messages
        self._until = 0
        self._changed = asyncio.Event()

    def let(self, share: float) -> None:
        """Let it store this share of all messages."""
        self._until = round(len(self._messages) * share)
        self._changed.set()

    async def run(self) -> None:
        async with connected(self._server.endpoint) as bus:
            publisher = await AckedPublisher.start(bus, deadline_seconds=60)
            for number, (subject, data) in enumerate(self._messages):
                while number >= self._until:
                    self._changed.clear()
                    await self._changed.wait()
                await publisher.publish(subject, data, b"")
            publisher.close()


async def tell(server: KillableServer, plan: Plan) -> Report:
    """Tell the whole story."""
    report = Report()
    chance = Random(plan.seed)  # noqa: S311 - a story told again by its seed
    messages = messages_of(plan, chance, report)
    async with an_env(server):
        pass
    meter = Meter(server, plan.remembered)
    await meter.start()
    storing = Storing(server, messages)
    task = asyncio.create_task(storing.run())
    try:
        await _kill_now_and_then(_Scene(server, meter, storing), plan, chance, report)
        storing.let(1)
        await task
        began = time.monotonic()
        await _caught_up(server)
        report.catch_up_seconds = round(time.monotonic() - began, 2)
        await _compare(server, plan, report, "as counted")
        await meter.kill()
        await server.restart()
        await meter.start()
        await _more(server, report)
        await _caught_up(server)
        await _compare(server, plan, report, "after all was started again")
    finally:
        task.cancel()
        await meter.kill()
    return report


@dataclass(frozen=True)
class _Scene:
    server: KillableServer
    meter: Meter
    storing: Storing


async def _kill_now_and_then(scene: _Scene, plan: Plan, chance: Random, report: Report) -> None:
    """Kill the process that counts while it counts, and now and then the server."""
    acts = ["server"] * plan.server_kills + ["freeze"] * plan.freezes
    acts += ["kill"] * (plan.kills - len(acts))
    chance.shuffle(acts)
    for number, act in enumerate(acts):
        scene.storing.let((number + 1) / (len(acts) + 1))
        await _counting(scene.server)
        await asyncio.sleep(chance.uniform(*plan.life_seconds))
        if act == "server":
            await scene.server.restart()
            report.server_kills += 1
        elif act == "freeze":
            await _freeze(scene, plan)
            report.freezes += 1
        else:
            await scene.meter.kill()
            report.kills += 1
            await scene.meter.start()


async def _freeze(scene: _Scene, plan: Plan) -> None:
    """Have another take over from a process that stands still, and end once that has woken up."""
    other = Meter(scene.server, plan.remembered)
    scene.meter.freeze()
    try:
        await other.start()
        await _counting(scene.server)
        scene.meter.thaw()
        await asyncio.sleep(AWAKE_SECONDS)
    finally:
        await other.kill()


async def _counting(server: KillableServer) -> None:
    """Wait until somebody acknowledges more than at the beginning, or has all there is."""
    floors: list[int] = []
    async with asyncio.timeout(CAUGHT_UP_SECONDS), connected(server.endpoint) as bus:
        while len(floors) < 2 or floors[-1] == floors[0]:
            info = await _position(bus)
            if floors and info is not None and not info.pending and not info.ack_pending:
                return
            floors.append(0 if info is None else info.ack_floor)
            await asyncio.sleep(0.02)


async def _position(bus: Bus) -> ConsumerInfo | None:
    with contextlib.suppress(AppError, ActorsError):
        return await JetStreamAdmin(bus).consumer_info(runs_stream(ENV, 0), DURABLE)
    return None


async def _more(server: KillableServer, report: Report) -> None:
    """Store one more record of each flow: it is counted into what was recovered."""
    begin_ms = int(time.time() * 1000) // HOUR_MS * HOUR_MS
    messages = []
    for tenant in TENANTS:
        for flow in FLOWS:
            record = a_record(f"last-{flow}", tenant=tenant, flow=flow, finished_ms=begin_ms)
            earlier = a_record(
                f"late-{flow}", tenant=tenant, flow=flow, finished_ms=begin_ms - HOUR_MS
            )
            messages.append((subject_of([record], ENV), msgspec.json.encode([record, earlier])))
    report.records += 2 * len(messages)
    storing = Storing(server, messages)
    storing.let(1)
    await storing.run()


async def _caught_up(server: KillableServer) -> None:
    """Wait until all messages are acknowledged."""
    async with asyncio.timeout(CAUGHT_UP_SECONDS), connected(server.endpoint) as bus:
        while True:
            info = await _position(bus)
            if info is not None and not info.pending and not info.ack_pending:
                return
            await asyncio.sleep(0.1)


async def _compare(server: KillableServer, plan: Plan, report: Report, when: str) -> None:
    """Compare every window with a fresh recount."""
    async with connected(server.endpoint) as bus:
        reader = await DirectReader.start(bus)
        walk = StreamWalk(reader, runs_stream(ENV, 0), ">")
        expected = await recount(walk, plan.remembered)
        found = await _found(UsageWindows(reader, ENV))
        await reader.close()
    report.kept_windows = len(found)
    report.runs = sum(usage.runs for usage in found.values())
    for place in sorted(expected.keys() | found.keys()):
        if expected.get(place) != found.get(place):
            report.wrong.append(
                f"{when} {place}: {_shown(found.get(place))} not {_shown(expected.get(place))}"
            )


async def _found(windows: UsageWindows) -> Mapping[WindowPlace, Usage]:
    now_ms = int(time.time() * 1000)
    search = UsageSearch(now_ms - 3 * 24 * HOUR_MS, now_ms + 24 * HOUR_MS)
    return {
        WindowPlace(tenant, row.start_ms, row.flow or ""): row.usage
        for tenant in TENANTS
        async for row in windows.read(tenant, search)
    }


def _shown(usage: Usage | None) -> Any:
    return None if usage is None else usage.figures()

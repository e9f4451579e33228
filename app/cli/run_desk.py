"""How commands reach runs: through the API, or the history and the streams.

In: what was said of where. Out: `Runs`, for a while. CommandError with a hint where the server has
no such env: no run would ever be found there.

SQLAlchemy takes its time to import, so the history is imported where there is one.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TypeVar

from app.audit.log import AuditLog
from app.bootstrap.bus_side import WORK_SHARDS, open_journal, work_of
from app.bus.acked_publisher import AckedPublisher
from app.bus.admin import JetStreamAdmin
from app.bus.cancelling import RunCanceller
from app.bus.connection import BusSettings
from app.bus.direct import DirectReader
from app.bus.run_legs import JetStreamRunLegs
from app.cli.api_client import at_api
from app.cli.api_runs import ApiRuns, DeskRuns, Runs
from app.cli.auditing import PATIENCE_SECONDS, LoudObserver
from app.cli.connecting import connected
from app.cli.reach import Reach
from app.control.names import runs_stream, work_shard
from app.control.run_desk import RunDesk, RunHistory, RunPorts
from app.errors import CommandError
from app.system import SystemClock

T = TypeVar("T")


def at_runs(reach: Reach, work: Callable[[Runs], Awaitable[T]], *, history: str | None) -> T:
    """Do some work with runs; ``history`` is the URL of the database to look in, if any."""
    if (api := reach.api()) is not None:
        return at_api(api, lambda client: work(ApiRuns(client)))

    async def run() -> T:
        async with AsyncExitStack() as stack:
            stored = None if history is None else await stack.enter_async_context(_opened(history))

            async def open_desk() -> RunDesk:
                desk = _run_desk(reach.bus(), reach.bus_env, stored)
                return await stack.enter_async_context(desk)

            return await work(DeskRuns(stored, open_desk))

    return asyncio.run(run())


@asynccontextmanager
async def _opened(url: str) -> AsyncIterator[RunHistory]:
    from app.history.reading import StoredRuns  # noqa: PLC0415 - see the module's words
    from app.history.store.opening import open_history  # noqa: PLC0415

    store = await open_history(url)
    try:
        yield StoredRuns(store)
    finally:
        await store.close()


@asynccontextmanager
async def _run_desk(
    settings: BusSettings, env: str, history: RunHistory | None
) -> AsyncIterator[RunDesk]:
    """Give a desk on NATS. CommandError, UnavailableError."""
    clock = SystemClock()
    async with connected(settings) as bus:
        if await JetStreamAdmin(bus).stream_info(runs_stream(env, 0)) is None:
            hint = "name the env with --env; its streams are made by the first 'start'"
            raise CommandError(f"the server has no runs of an env {env!r}", hint=hint)
        publisher = await AckedPublisher.start(bus, deadline_seconds=PATIENCE_SECONDS)
        reader = await DirectReader.start(bus, deadline_seconds=PATIENCE_SECONDS)

        def stream_of_work(tenant: str) -> str:
            return work_of(env, tenant)

        journal = open_journal(publisher, reader, env)
        ports = RunPorts(
            reader=reader,
            journal=journal,
            legs=JetStreamRunLegs(bus, env=env, stream_of=stream_of_work),
            canceller=RunCanceller(publisher, journal, clock, env=env, stream_of=stream_of_work),
            audit=AuditLog(publisher, clock, LoudObserver(), env=env),
            clock=clock,
            stream_of=lambda tenant: runs_stream(env, work_shard(tenant, WORK_SHARDS)),
            history=history,
        )
        try:
            yield RunDesk(ports, env=env)
        finally:
            await reader.close()
            publisher.close()

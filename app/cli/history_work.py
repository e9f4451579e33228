"""What the commands of the history do, on NATS and in the database.

In: the database's URL, where NATS is, an env. Out: figures; a history built anew. ConflictError: a
process works with the database's file, or runs would be lost. CommandError: the server has no such
env.
"""

import functools
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from app.bus.admin import JetStreamAdmin
from app.bus.connection import Bus, BusSettings
from app.bus.direct import DirectReader
from app.cli.connecting import connected
from app.control.control import holder_name
from app.control.lease import hold_lease
from app.control.names import bucket_stream, leases_bucket, tenants_bucket
from app.errors import CommandError
from app.history.projection.claim import claim_database
from app.history.projection.durables import durable_of
from app.history.projection.forgetting import is_deleted
from app.history.projection.lag import Lag, LagReader
from app.history.projection.rebuilding import Progress, Rebuilding
from app.history.store.facts import HistoryFacts
from app.history.store.opening import open_history
from app.stores.kv import KvBucket
from app.system import SystemClock
from app.tenancy.directory import TenantDirectory

LEASE_KEY: Final = "history-rebuild"
TELL_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class HistoryStatus:
    """How a history is."""

    facts: HistoryFacts
    lags: Sequence[Lag]


async def status_of_history(url: str, bus_settings: BusSettings, env: str) -> HistoryStatus:
    """Look at it."""
    clock = SystemClock()
    store = await open_history(url)
    try:
        async with _reading(bus_settings, env) as (_, reader):
            lag = LagReader(reader, env, clock)
            durable = durable_of(await store.identity())
            lags = [await lag.read(stream, durable) for stream in await lag.streams()]
        return HistoryStatus(await store.facts(), lags)
    finally:
        await store.close()


async def rebuild_history(
    url: str,
    bus_settings: BusSettings,
    env: str,
    tell: Callable[[Progress], None],
    *,
    drops_older: bool,
) -> Progress:
    """Build it anew; ``tell`` hears of the progress about every second."""
    clock = SystemClock()
    claim = claim_database(url)
    try:
        async with _reading(bus_settings, env) as (bus, reader):
            directory = TenantDirectory(KvBucket(bus, tenants_bucket(env)), clock)
            await directory.start()
            store = await open_history(url)
            try:
                gone = functools.partial(is_deleted, directory)
                rebuilding = Rebuilding(store, reader, env, gone, clock)
                async with hold_lease(_leases(bus, env), LEASE_KEY, holder_name()):
                    return await rebuilding.run(_seldom(tell, clock), drops_older=drops_older)
            finally:
                await store.close()
                await directory.stop()
    finally:
        claim.give_back()


@asynccontextmanager
async def _reading(settings: BusSettings, env: str) -> AsyncIterator[tuple[Bus, DirectReader]]:
    async with connected(settings) as bus:
        if await JetStreamAdmin(bus).stream_info(bucket_stream(tenants_bucket(env))) is None:
            hint = "name the env with --env; its streams are made by the first 'start'"
            raise CommandError(f"the server has no env {env!r}", hint=hint)
        reader = await DirectReader.start(bus)
        try:
            yield bus, reader
        finally:
            await reader.close()


def _leases(bus: Bus, env: str) -> KvBucket:
    return KvBucket(bus, leases_bucket(env))


def _seldom(tell: Callable[[Progress], None], clock: SystemClock) -> Callable[[Progress], None]:
    told = clock.monotonic()

    def tell_now_and_then(progress: Progress) -> None:
        nonlocal told
        if clock.monotonic() - told >= TELL_SECONDS:
            told = clock.monotonic()
            tell(progress)

    return tell_now_and_then

"""Makes NATS what deployments need: streams, consumers, buckets (DESIGN 3).

In: for each tenant, which event types its triggers want. Out: what is left on lanes that are gone.
Idempotent, and one at a time for each env under a lease. It never deletes a stream: a tenant
without a deployment loses its consumers and keeps its events. Refuses names that are no tokens,
patterns that are no patterns (InvalidSubjectError) and what the server refuses (BusError).
"""

import asyncio
import os
import socket
from collections.abc import (
    Awaitable,
    Callable,
    Collection,
    Coroutine,
    Iterable,
    Mapping,
    Sequence,
)
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeVar

from actors.errors import UnavailableError
from actors.subjects import check_pattern, check_token
from app.bus.admin import JetStreamAdmin
from app.bus.admin_specs import StreamInfo, StreamSpec
from app.bus.connection import Bus
from app.control import names, streams
from app.control.lanes import LaneConsumers
from app.control.lease import Lease, hold_lease
from app.control.limits import StreamLimits
from app.control.overview import MANY, Overview
from app.control.shrinking import room_for
from app.errors import BusError, ConflictError, StoreError
from app.stores.kv import KvBucket
from app.system import SystemClock
from app.tenancy.store import TenantStore

LEASE_KEY: Final = "control"
TENANTS_AT_ONCE_MAX: Final = 16
STREAMS_AT_ONCE_MAX: Final = 8
WAIT_POLL_SECONDS: Final = 0.2
ATTEMPTS_MAX: Final = 4
AGAIN_SECONDS: Final = 1.0
WORK_SHARDS_MAX: Final = 256
WORK_SHARDS_KEY: Final = "WORK-SHARDS"
"""In the bucket of deployments; upper case, so no tenant's key."""

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class TenantSubscriptions:
    """What a tenant's triggers want: an event type pattern for each trigger's key.

    A key names the trigger for as long as it is the same trigger, across deployments.
    """

    tenant: str
    patterns: Mapping[str, str]
    lanes: Mapping[str, bool] = field(default_factory=dict)
    """Its private lanes (`CompiledFlow.lane`), and whether one worker at a time gets each."""
    first_sequence: int = 1
    """Of its events' stream, where a consumer that is made now begins."""
    duplicate_window_seconds: int | None = None
    """How long a delivery that comes again is recognized; None: as the limits say."""
    stored_bytes: int | None = None
    """How large its events' stream may become; None: as the limits say."""


@dataclass(frozen=True, slots=True)
class StoredBytes:
    """What a tenant's events and results take, in bytes."""

    now: int
    limit: int
    """Of the stream as it is; 0: none."""


class Control:
    """The control plane of one env."""

    def __init__(
        self, bus: Bus, env: str, *, limits: StreamLimits | None = None, work_shards: int = 1
    ) -> None:
        if not 1 <= work_shards <= WORK_SHARDS_MAX:
            raise BusError(f"work_shards must be 1 to {WORK_SHARDS_MAX}")
        self._env = check_token(env, "env")
        self._limits = limits or StreamLimits()
        self._work_shards = work_shards
        self._bus = bus
        self._admin = JetStreamAdmin(bus)
        self._leases = KvBucket(bus, names.leases_bucket(env))
        self._deployments = KvBucket(bus, names.deployments_bucket(env))
        self._tenants = TenantStore(KvBucket(bus, names.tenants_bucket(env)), SystemClock())
        self._lanes = LaneConsumers(self._admin, env, self._limits, work_shards)
        self._oversized: dict[str, TenantSubscriptions] = {}

    @property
    def oversized(self) -> frozenset[str]:
        """The tenants whose streams are larger than they shall be: too much of them waits."""
        return frozenset(self._oversized)

    async def ensure(
        self, subscriptions: Sequence[TenantSubscriptions]
    ) -> Mapping[str, tuple[str, ...]]:
        """Make everything so for these tenants, whatever the others have.

        Gives for each tenant the lanes that are gone and may still hold something. Each has a
        consumer that serves whoever asks: workers must take from them until they are found empty.
        Nothing is made for a tenant that was deleted: a worker that slept may still know it.
        ConflictError if the lease was lost half-way, again and again.
        """
        _check(subscriptions)
        return await self._again(lambda: self._ensure(subscriptions))

    async def remove(self, tenants: Collection[str]) -> None:
        """Take tenants' consumers away; what is stored stays until its age ends it."""
        for tenant in tenants:
            check_token(tenant, "tenant")
        await self._again(lambda: self._remove(tenants))

    async def last_sequence(self, tenant: str) -> int:
        """Give the number of the last event stored for a tenant; 0 where there is no stream."""
        info = await self._admin.stream_info(names.events_stream(self._env, tenant))
        return 0 if info is None else info.last_sequence

    async def stored(self, tenant: str) -> StoredBytes:
        """Give what a tenant's events and results take now. UnavailableError, BusError."""
        info = await self._admin.stream_info(names.events_stream(self._env, tenant))
        if info is None:
            return StoredBytes(0, self._limits.events_bytes)
        return StoredBytes(info.bytes, max(0, info.config["max_bytes"]))

    async def shrink(self) -> None:
        """Try again to make those streams smaller that could not be. See `ensure`."""
        if self._oversized:
            await self._again(self._shrink)

    async def _shrink(self) -> None:
        async with hold_lease(self._leases, LEASE_KEY, holder_name()) as lease:
            for item in list(self._oversized.values()):
                lease.check()
                events = await self._fitting(item)
                if await self._admin.stream_info(events.name) is not None:
                    await self._ensure_stream(events)

    async def _again(self, work: Callable[[], Awaitable[_T]]) -> _T:
        """Do what may be done twice until it has gone through once."""
        for _ in range(ATTEMPTS_MAX - 1):
            try:
                return await work()
            except ConflictError:
                pass
            except UnavailableError:
                if self._bus.lone_server is not None:
                    raise  # nobody is being elected who would be there soon
            await asyncio.sleep(AGAIN_SECONDS)
        return await work()

    async def _ensure(
        self, subscriptions: Sequence[TenantSubscriptions]
    ) -> Mapping[str, tuple[str, ...]]:
        await self._ensure_streams(streams.bucket_specs(self._env))
        async with hold_lease(self._leases, LEASE_KEY, holder_name()) as lease:
            # Under the lease, as erasures are: none begins between this look and what is made.
            limit = asyncio.Semaphore(TENANTS_AT_ONCE_MAX)
            gone = await _all([self._is_deleted(item.tenant, limit) for item in subscriptions])
            wanted = [one for one, is_gone in zip(subscriptions, gone, strict=True) if not is_gone]
            await self._ensure_shared([item.tenant for item in wanted])
            seen = await self._look(len(wanted))
            await _all([self._ensure_tenant(item, seen, lease, limit) for item in wanted])
            return await self._lanes.retire({item.tenant: item.lanes for item in wanted}, lease)

    async def _is_deleted(self, tenant: str, limit: asyncio.Semaphore) -> bool:
        """Tell whether there is a tombstone, or something that nobody can read."""
        async with limit:
            try:
                stored = await self._tenants.get(tenant)
            except StoreError:
                return True
        return stored is not None and stored.record.is_deleted

    async def _remove(self, tenants: Collection[str]) -> None:
        async with hold_lease(self._leases, LEASE_KEY, holder_name()) as lease:
            for tenant in sorted(tenants):
                lease.check()
                self._oversized.pop(tenant, None)
                events = names.events_stream(self._env, tenant)
                work = names.work_stream(self._env, self._shard(tenant))
                await self._admin.delete_consumer(events, names.FLOWS_DURABLE)
                await self._admin.delete_consumer(work, names.work_durable(tenant))
            await self._lanes.remove(tenants, lease)

    async def wait_ready(
        self, tenants: Collection[str], lanes: Mapping[str, Collection[str]] | None = None
    ) -> None:
        """Wait until somebody's `ensure` has made what workers of these tenants need.

        ``lanes``: the private lanes of each tenant that has any.
        """
        wanted = {tenant: (lanes or {}).get(tenant, ()) for tenant in tenants}
        while not await self._is_ready(wanted):  # noqa: ASYNC110 - the change is another process's
            await asyncio.sleep(WAIT_POLL_SECONDS)

    async def _is_ready(self, tenants: Mapping[str, Collection[str]]) -> bool:
        shared = [spec.name for spec in streams.shared_specs(self._env, self._limits)]
        buckets = [spec.name for spec in streams.bucket_specs(self._env)]
        try:
            for name in (*shared, *buckets):
                if await self._admin.stream_info(name) is None:
                    return False
            for tenant, lanes in tenants.items():
                events = names.events_stream(self._env, tenant)
                work = names.work_stream(self._env, self._shard(tenant))
                if (
                    await self._admin.consumer_info(events, names.FLOWS_DURABLE) is None
                    or await self._admin.consumer_info(work, names.work_durable(tenant)) is None
                    or not await self._lanes.is_ready(tenant, lanes)
                ):
                    return False
        except UnavailableError:
            return False
        return True

    async def _ensure_stream(self, spec: StreamSpec, *, is_new: bool = False) -> StreamInfo:
        """Make one of the env's streams so, on as many servers as was asked for."""
        wanted = replace(spec, replicas=self._limits.replicas)
        return await self._admin.ensure_stream(wanted, is_new=is_new)

    async def _ensure_streams(self, specs: Iterable[StreamSpec]) -> None:
        """Make several so, at once: others wait for the lease meanwhile."""
        limit = asyncio.Semaphore(STREAMS_AT_ONCE_MAX)

        async def ensure(spec: StreamSpec) -> None:
            async with limit:
                await self._ensure_stream(spec)

        await _all([ensure(spec) for spec in specs])

    async def _ensure_shared(self, tenants: Sequence[str]) -> None:
        await self._fix_work_shards()
        await self._ensure_streams(streams.shared_specs(self._env, self._limits))
        for shard in range(self._work_shards):
            members = [tenant for tenant in tenants if self._shard(tenant) == shard]
            await self._ensure_shard(shard, members)

    async def _fix_work_shards(self) -> None:
        """Refuse another number of shards than the env was created with: work would be lost."""
        wanted = str(self._work_shards).encode()
        entry = await self._deployments.get_surely(WORK_SHARDS_KEY)
        if entry.value is None:
            await self._deployments.put(WORK_SHARDS_KEY, wanted, revision=entry.revision)
        elif entry.value != wanted:
            raise BusError(
                f"env {self._env!r} was created with work_shards = {entry.value.decode()};"
                " that cannot be changed"
            )

    async def _ensure_shard(self, shard: int, tenants: Sequence[str]) -> None:
        env = self._env
        work = await self._shard_subjects("work", names.work_stream(env, shard), tenants)
        journal = await self._shard_subjects("journal", names.journal_stream(env, shard), tenants)
        runs = await self._shard_subjects("runs", names.runs_stream(env, shard), tenants)
        if not work:  # a stream without subjects would listen to its own name
            return
        await self._ensure_streams(
            (
                streams.work_spec(env, shard, work, self._limits),
                streams.journal_spec(env, shard, journal),
                streams.runs_spec(env, shard, runs, self._limits),
            )
        )

    async def _shard_subjects(
        self, root: str, stream: str, tenants: Sequence[str]
    ) -> tuple[str, ...]:
        if self._work_shards == 1:
            return (f"greentic.{root}.{self._env}.>",)
        info = await self._admin.stream_info(stream)
        existing = info.config["subjects"] if info else ()
        return streams.shard_subjects(f"greentic.{root}", self._env, tenants, existing)

    async def _look(self, tenants: int) -> Overview:
        """Look at what so many tenants have, where that saves questions."""
        if tenants < MANY:
            return Overview()
        return await Overview.of(self._admin, self._env, self._work_shards)

    async def _ensure_tenant(
        self, item: TenantSubscriptions, seen: Overview, lease: Lease, limit: asyncio.Semaphore
    ) -> None:
        env, tenant = self._env, item.tenant
        async with limit:
            lease.check()
            is_new = seen.is_new_stream(names.events_stream(env, tenant))
            events = await self._fitting(item, is_new=is_new)
            await self._ensure_stream(events, is_new=is_new)
            flows = streams.flows_consumer(
                env,
                tenant,
                item.patterns.values(),
                self._limits,
                first_sequence=item.first_sequence,
            )
            lease.check()
            await self._admin.ensure_consumer(flows, is_new=seen.is_new_consumer(flows))
            work = streams.work_consumer(env, tenant, self._shard(tenant), self._limits)
            await self._admin.ensure_consumer(work, is_new=seen.is_new_consumer(work))
            await self._lanes.ensure(tenant, item.lanes, lease)

    async def _fitting(self, item: TenantSubscriptions, *, is_new: bool = False) -> StreamSpec:
        """Describe a tenant's stream, as large as it must be still."""
        spec = streams.events_spec(self._env, item.tenant, self._limits_of(item))
        self._oversized.pop(item.tenant, None)
        if is_new:
            return spec
        size = await room_for(self._admin, spec, first_sequence=item.first_sequence)
        if size != spec.bytes_max:
            self._oversized[item.tenant] = item
        return replace(spec, bytes_max=size)

    def _limits_of(self, item: TenantSubscriptions) -> StreamLimits:
        limits, seconds = self._limits, item.duplicate_window_seconds
        if item.stored_bytes is not None:
            limits = replace(limits, events_bytes=item.stored_bytes)
        if seconds is not None:
            limits = replace(limits, events_duplicate_window_seconds=seconds)
        return limits

    def _shard(self, tenant: str) -> int:
        return names.work_shard(tenant, self._work_shards)


def _check(subscriptions: Sequence[TenantSubscriptions]) -> None:
    """Refuse a wrong deployment before anything of it is applied."""
    tenants = [check_token(item.tenant, "tenant") for item in subscriptions]
    if len(set(tenants)) != len(tenants):
        raise BusError("a tenant occurs twice in one deployment")
    for item in subscriptions:
        for pattern in item.patterns.values():
            check_pattern(pattern)
        for lane in item.lanes:
            names.lane_durable(item.tenant, lane)


async def _all(work: Sequence[Coroutine[Any, Any, _T]]) -> list[_T]:
    """Do all of it; the first failure cancels the rest and is raised as itself."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(item) for item in work]
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from failures
    return [task.result() for task in tasks]


def holder_name() -> str:
    """Say who holds a lease, for people."""
    return f"{socket.gethostname()}:{os.getpid()}"

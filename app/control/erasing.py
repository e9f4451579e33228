"""What an env holds of a tenant: counted, and erased.

In: a tenant. Out: how much each store has of it; nothing, once it is gone. Idempotent: done again
it finds what is left, wherever it was cut short. Refuses with BusError and UnavailableError like
the server, and with ConflictError once the lease is lost under which it goes on.

What outlives a tenant (the audit log, its tombstone) is counted and not touched. Positions of
consumers go before what they deliver: a worker that still asks gets nothing more.
"""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from actors.subjects import check_token
from app.bus.admin import JetStreamAdmin
from app.bus.connection import Bus
from app.control import names
from app.control.control import LEASE_KEY, holder_name
from app.control.holdings import SHARDED, Holding, Kind, holdings, shard_subject
from app.control.lease import hold_lease
from app.control.object_holdings import ObjectHoldings
from app.stores.kv import KvBucket

CONSUMERS: Final = "consumers"
STREAMS: Final = "streams"
"""A stream of the tenant's own, and subjects of the tenant's that a shard listens to."""

Check = Callable[[], None]
"""Raises ConflictError once somebody else may be at the same work."""


class OutsideStore(Protocol):
    """A store that is not on NATS and holds what is tenants'."""

    @property
    def name(self) -> str:
        """What it is called in counts."""
        ...

    async def count(self, tenant: str) -> int:
        """Count what it has of a tenant. UnavailableError."""
        ...

    async def erase(self, tenant: str) -> int:
        """Erase all of a tenant, and give how much it was. UnavailableError."""
        ...


@dataclass(frozen=True, slots=True)
class Inventory:
    """How much there is of a tenant, by store: messages, objects, consumers, streams."""

    counts: Mapping[str, int] = field(default_factory=dict)
    kept: Mapping[str, int] = field(default_factory=dict)
    """What outlives the tenant: its audit log and its record."""

    @property
    def is_empty(self) -> bool:
        """Tell whether nothing is left to erase."""
        return not any(self.counts.values())

    @property
    def found(self) -> Mapping[str, int]:
        """Give the stores that have something."""
        return {store: count for store, count in self.counts.items() if count}

    def as_mapping(self) -> dict[str, Any]:
        """Give it as JSON shows it."""
        return {"counts": dict(self.counts), "kept": dict(self.kept)}


class TenantStores:
    """The stores of one env, as far as they hold what is tenants'."""

    def __init__(self, bus: Bus, env: str, outside: Sequence[OutsideStore] = ()) -> None:
        self._bus = bus
        self._outside = outside
        self._env = check_token(env, "env")
        self._admin = JetStreamAdmin(bus)
        self._leases = KvBucket(bus, names.leases_bucket(env))
        buckets = (names.blobs_bucket(env), names.versions_bucket(env))
        self._objects = {bucket: ObjectHoldings(bus, bucket) for bucket in buckets}
        self._loose: frozenset[tuple[str, str]] = frozenset()

    async def inventory(self, tenant: str) -> Inventory:
        """Count what there is of a tenant in every store."""
        counts: dict[str, int] = {CONSUMERS: 0, STREAMS: 0}
        kept: dict[str, int] = {}
        for holding in holdings(self._env, tenant):
            if holding.kind is Kind.KEPT:
                kept[holding.store] = await self._count(holding, tenant)
            elif holding.kind is not Kind.NOTHING:
                counts[holding.store] = await self._count(holding, tenant)
        events = names.events_stream(self._env, tenant)
        if await self._admin.stream_info(events) is not None:
            counts[STREAMS] += 1
            counts[CONSUMERS] += len(await self._admin.consumer_names(events))
        for stream in await self._shards("work"):
            counts[CONSUMERS] += len(await self._durables(stream, tenant))
        counts[STREAMS] += len(await self._own_shards(tenant))
        for store in self._outside:
            counts[store.name] = await store.count(tenant)
        return Inventory(counts, kept)

    async def erase(self, tenant: str, check: Check) -> Mapping[str, int]:
        """Erase all there is of a tenant and say how much it was, by store."""
        check()
        erased = Counter(await self._erase_structure(tenant))
        for holding in holdings(self._env, tenant):
            check()
            if holding.kind is Kind.OBJECTS:
                erased[holding.store] += await self._objects[holding.bucket].erase(tenant)
            elif holding.kind is Kind.SUBJECTS:
                for stream in await self._streams_of(holding):
                    for subject in holding.subjects:
                        erased[holding.store] += await self._admin.purge(stream, subject)
        # After the streams that it is made of.
        for outside in self._outside:
            check()
            erased[outside.name] += await outside.erase(tenant)
        return {store: count for store, count in erased.items() if count}

    async def leftovers(self, tenants: Collection[str]) -> frozenset[str]:
        """Give those of many tenants of whom there is anything, without counting it."""
        owners = [*await self._owners_of_objects(), *await self._owners_of_consumers()]
        found = frozenset(tenants).intersection(owners)
        shards = {root: await self._shards(root) for root in SHARDED}
        taken = {subject for every in shards.values() for subject in await self._taken(every)}
        rest = [tenant for tenant in tenants if tenant not in found]
        return found | {one for one in rest if await self._is_anywhere(one, shards, taken)}

    async def remove_loose_parts(self) -> int:
        """Remove parts of objects that no record knew the last time either."""
        found = [
            (bucket, place)
            for bucket, objects in self._objects.items()
            for place in await objects.loose_parts()
        ]
        again = self._loose.intersection(found)
        self._loose = frozenset(found) - again
        removed = 0
        for bucket, objects in self._objects.items():
            removed += await objects.remove_parts([place for of, place in again if of == bucket])
        return removed

    # ── Streams and consumers ────────────────────────────────────────────────────────────────

    async def _erase_structure(self, tenant: str) -> Mapping[str, int]:
        """Delete the tenant's consumers and streams, while nobody makes any."""
        erased: Counter[str] = Counter()
        async with hold_lease(self._leases, LEASE_KEY, holder_name()) as lease:
            for stream in await self._shards("work"):
                for durable in await self._durables(stream, tenant):
                    lease.check()
                    erased[CONSUMERS] += await self._admin.delete_consumer(stream, durable)
            events = names.events_stream(self._env, tenant)
            info = await self._admin.stream_info(events)
            if info is not None:
                erased[CONSUMERS] += len(await self._admin.consumer_names(events))
                erased["events"] += info.messages
                lease.check()
                erased[STREAMS] += await self._admin.delete_stream(events)
            for root, stream in await self._own_shards(tenant):
                lease.check()
                # First what is stored: a stream keeps what it has of a subject it takes no more.
                subject = shard_subject(root, self._env, tenant)
                erased[root] += await self._admin.purge(stream, subject)
                erased[STREAMS] += await self._admin.drop_subject(stream, subject)
        return erased

    async def _own_shards(self, tenant: str) -> list[tuple[str, str]]:
        """Give the kinds and names of the shards that listen to this tenant by its name."""
        found = []
        for root in SHARDED:
            subject = shard_subject(root, self._env, tenant)
            for stream in await self._shards(root):
                info = await self._admin.stream_info(stream)
                if info is not None and subject in (info.config.get("subjects") or ()):
                    found.append((root, stream))
        return found

    async def _durables(self, stream: str, tenant: str) -> list[str]:
        """Name the consumers in a stream of continuations that are the tenant's."""
        durables = await self._admin.consumer_names(stream)
        return sorted(one for one in durables if names.owner_of_durable(one) == tenant)

    async def _shards(self, root: str) -> list[str]:
        """Name the streams of a kind, however many shards this env was made with."""
        found = await self._admin.stream_names(f"greentic.{root}.{self._env}.>")
        start = f"{root.upper()}-{self._env}-"
        return sorted(one for one in found if one.startswith(start))

    async def _streams_of(self, holding: Holding) -> list[str]:
        return await self._shards(holding.store) if holding.is_sharded else [holding.stream]

    # ── Counting ─────────────────────────────────────────────────────────────────────────────

    async def _count(self, holding: Holding, tenant: str) -> int:
        if holding.kind is Kind.OBJECTS:
            return await self._objects[holding.bucket].count(tenant)
        if holding.kind is Kind.STREAM:
            info = await self._admin.stream_info(holding.stream)
            return 0 if info is None else info.messages
        count = 0
        for stream in await self._streams_of(holding):
            for subject in holding.subjects:
                found = await self._admin.count_by_subject(stream, subject)
                count += sum(found.values())
        return count

    async def _is_anywhere(
        self, tenant: str, shards: Mapping[str, Collection[str]], taken: Collection[str]
    ) -> bool:
        """Tell whether there is anything but objects and consumers of shared streams.

        ``shards`` are the streams of each kind that is in shards, ``taken`` is what they listen to.
        """
        if any(shard_subject(root, self._env, tenant) in taken for root in SHARDED):
            return True
        for holding in holdings(self._env, tenant):
            if holding.kind is Kind.STREAM and await self._admin.stream_info(holding.stream):
                return True
            if holding.kind is Kind.SUBJECTS:
                for stream in shards.get(holding.store, (holding.stream,)):
                    for subject in holding.subjects:
                        if await self._admin.has_message(stream, subject):
                            return True
        return False

    async def _taken(self, streams: Collection[str]) -> list[str]:
        """Give all subjects that some streams listen to."""
        infos = [await self._admin.stream_info(stream) for stream in streams]
        return [one for info in infos if info for one in info.config.get("subjects") or ()]

    async def _owners_of_objects(self) -> frozenset[str]:
        owners = [await objects.owners() for objects in self._objects.values()]
        return frozenset[str]().union(*owners)

    async def _owners_of_consumers(self) -> frozenset[str]:
        durables: set[str] = set()
        for stream in await self._shards("work"):
            durables |= await self._admin.consumer_names(stream)
        return frozenset(filter(None, map(names.owner_of_durable, durables)))

"""The consumers of private lanes: one for each, in the tenant's stream of continuations.

In: which lanes the tenants of a deployment have. Out: their consumers, and which ones are left over
from lanes that are gone. Refuses what is no lane's name (InvalidSubjectError).

A lane that is gone keeps its consumer for as long as something lies on it, or may still come to it:
a continuation that waits for its time names its lane, and nobody can tell which (so any waiting
continuation of the tenant counts). Such a consumer serves whoever asks: without its flow's rules
there is nobody to be the only one. `retire` names them, for workers to take the rest from; the
next one that finds one empty removes it. Nothing is lost with a consumer: what is stored stays,
and a lane that returns gets it all.
"""

from collections.abc import Collection, Mapping

from actors.subjects import work_schedules
from app.bus.admin import JetStreamAdmin
from app.control import names, streams
from app.control.lease import Lease
from app.control.limits import StreamLimits

Lanes = Mapping[str, Mapping[str, bool]]
"""For each tenant its lanes, and whether one worker at a time gets what lies there."""


class LaneConsumers:
    """Makes and removes the consumers of one env's lanes."""

    def __init__(
        self, admin: JetStreamAdmin, env: str, limits: StreamLimits, work_shards: int
    ) -> None:
        self._admin = admin
        self._env = env
        self._limits = limits
        self._work_shards = work_shards

    async def ensure(self, tenant: str, lanes: Mapping[str, bool], lease: Lease) -> None:
        """Make a tenant's lanes so; a change between exclusive and shared keeps all they hold."""
        for lane, is_exclusive in sorted(lanes.items()):
            lease.check()
            await self._ensure(names.TenantLane(tenant, lane), is_exclusive=is_exclusive)

    async def is_ready(self, tenant: str, lanes: Collection[str]) -> bool:
        """Tell whether all of these lanes have their consumers."""
        for lane in lanes:
            durable = names.lane_durable(tenant, lane)
            if await self._admin.consumer_info(self._stream(tenant), durable) is None:
                return False
        return True

    async def retire(self, deployed: Lanes, lease: Lease) -> Mapping[str, tuple[str, ...]]:
        """Look after the lanes that are gone: remove their consumers, or keep or make them shared.

        Made they are for what an older worker stored after the lane was removed. Only the tenants
        in ``deployed`` are looked at; gives for each of them the lanes that were kept.
        """
        kept: dict[str, list[str]] = {}
        for shard in range(self._work_shards):
            consumers, stored = await self._found(shard)
            for lane in sorted(consumers | stored):
                if lane.tenant not in deployed or lane.lane in deployed[lane.tenant]:
                    continue
                lease.check()
                if lane in stored or await self._may_be_used(lane):
                    await self._ensure(lane, is_exclusive=False)
                    kept.setdefault(lane.tenant, []).append(lane.lane)
                elif lane in consumers:
                    await self._delete(lane)  # what is stored stays
        return {tenant: tuple(lanes) for tenant, lanes in kept.items()}

    async def remove(self, tenants: Collection[str], lease: Lease) -> None:
        """Take all lanes of these tenants away; what is stored stays."""
        for shard in range(self._work_shards):
            consumers, _ = await self._found(shard)
            for lane in sorted(consumers):
                if lane.tenant in tenants:
                    lease.check()
                    await self._delete(lane)

    async def _found(self, shard: int) -> tuple[set[names.TenantLane], set[names.TenantLane]]:
        """Give the lanes that have consumers, and those that hold something."""
        stream = names.work_stream(self._env, shard)
        durables = await self._admin.consumer_names(stream)
        parsed = (names.parse_lane_durable(durable) for durable in durables)
        prefix = f"greentic.work.{self._env}."
        counts = await self._admin.count_by_subject(stream, f"{prefix}*.lane.>")
        stored = (subject.removeprefix(prefix).split(".lane.", 1) for subject in counts)
        return (
            {lane for lane in parsed if lane is not None},
            # Anybody may store on the bus, also what no consumer could be made for.
            {names.TenantLane(tenant, lane) for tenant, lane in stored if names.is_lane(lane)},
        )

    async def _may_be_used(self, lane: names.TenantLane) -> bool:
        schedules = work_schedules(self._env, lane.tenant)
        return await self._admin.has_message(self._stream(lane.tenant), schedules)

    async def _delete(self, lane: names.TenantLane) -> None:
        durable = names.lane_durable(lane.tenant, lane.lane)
        await self._admin.delete_consumer(self._stream(lane.tenant), durable)

    async def _ensure(self, lane: names.TenantLane, *, is_exclusive: bool) -> None:
        shard = names.work_shard(lane.tenant, self._work_shards)
        spec = streams.lane_consumer(
            self._env, lane, shard, self._limits, is_exclusive=is_exclusive
        )
        if not is_exclusive:
            await self._unpin(spec.stream, spec.durable)
        await self._admin.ensure_consumer(spec)

    async def _unpin(self, stream: str, durable: str) -> None:
        """Free the lane before it is shared: its pin would keep all others waiting (measured)."""
        info = await self._admin.consumer_info(stream, durable)
        for group in (info.config if info else {}).get("priority_groups") or ():
            await self._admin.unpin(stream, durable, group)

    def _stream(self, tenant: str) -> str:
        return names.work_stream(self._env, names.work_shard(tenant, self._work_shards))

"""The streams, buckets and consumers of an env, as specifications (the table of DESIGN 3).

In: env, tenants, limits. Out: what `app.bus.admin` is to make true. Refuses nothing of its own.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import Final

from actors.ports import SECRET_BYTES_MAX, STATE_VALUE_BYTES_MAX
from actors.subjects import (
    EVENTS_ROOT,
    check_token,
    cover_patterns,
    tenant_events,
    work_lane_subject,
    work_runs,
)
from app.bus.admin_specs import ConsumerSpec, PinnedGroup, StreamSpec
from app.bus.pinned import PIN_TTL_SECONDS, PRIORITY_GROUP
from app.control import names
from app.control.limits import StreamLimits
from app.stores.write_ids import WRITES_CHARS_MAX

NEVER_ROOT: Final = "greentic.never"
"""No stream takes subjects below it: the filter of a consumer that must receive nothing, since a
consumer without filters receives everything."""
DAY_SECONDS: Final = 24 * 3600
STATE_ENVELOPE_BYTES_MAX: Final = 1024 + WRITES_CHARS_MAX
"""What is stored around a value: when it expires, and the writes behind it."""
SECRET_ENVELOPE_BYTES_MAX: Final = 1024
"""The seal's 37 bytes, and the message's headers."""


def events_spec(env: str, tenant: str, limits: StreamLimits) -> StreamSpec:
    """Describe a tenant's events and results."""
    return StreamSpec(
        name=names.events_stream(env, tenant),
        subjects=(tenant_events(env, tenant),),
        age_seconds_max=limits.events_age_seconds,
        bytes_max=limits.events_bytes,
        duplicate_window_seconds=limits.events_duplicate_window_seconds,
    )


def work_spec(env: str, shard: int, subjects: tuple[str, ...], limits: StreamLimits) -> StreamSpec:
    """Describe a shard's continuations.

    No age and no size: a schedule on a stream with either can vanish silently (measured). With no
    limit to reach, discarding the oldest never happens; ``discard: new`` would say so more plainly,
    but the server refuses it together with schedules (10052).
    """
    return StreamSpec(
        name=names.work_stream(env, shard),
        subjects=subjects,
        retention="workqueue",
        duplicate_window_seconds=limits.work_duplicate_window_seconds,
        allows_message_ttl=True,
        allows_schedules=True,
        allows_rollup=True,
        consumers_max=limits.consumers_max,
    )


def journal_spec(env: str, shard: int, subjects: tuple[str, ...]) -> StreamSpec:
    """Describe a shard's journals: a second write of a step is refused (10077)."""
    return StreamSpec(
        name=names.journal_stream(env, shard),
        subjects=subjects,
        discard="new",
        messages_per_subject_max=1,
        discards_new_per_subject=True,
        allows_message_ttl=True,
    )


def runs_spec(env: str, shard: int, subjects: tuple[str, ...], limits: StreamLimits) -> StreamSpec:
    """Describe a shard's run records."""
    return StreamSpec(
        name=names.runs_stream(env, shard),
        subjects=subjects,
        age_seconds_max=limits.runs_age_seconds,
        bytes_max=limits.runs_bytes,
    )


def shared_specs(env: str, limits: StreamLimits) -> Sequence[StreamSpec]:
    """Describe the streams that all tenants of an env share."""
    return (
        StreamSpec(
            name=names.dead_stream(env),
            subjects=(f"greentic.dead.{env}.>",),
            age_seconds_max=limits.dead_age_seconds,
            bytes_max=limits.dead_bytes,
            duplicate_window_seconds=DAY_SECONDS,
        ),
        StreamSpec(
            name=names.egress_stream(env),
            subjects=(f"greentic.messaging.egress.{env}.>",),
            age_seconds_max=limits.egress_age_seconds,
            bytes_max=limits.egress_bytes,
            duplicate_window_seconds=DAY_SECONDS,
        ),
        audit_spec(env, limits),
        usage_spec(env, limits),
        blobs_spec(env, limits),
        versions_spec(env, limits),
        bundles_spec(env, limits),
    )


def audit_spec(env: str, limits: StreamLimits) -> StreamSpec:
    """Describe the audit log: nobody deletes of it, the server itself refuses that."""
    return StreamSpec(
        name=names.audit_stream(env),
        subjects=(f"greentic.audit.{env}.>",),
        age_seconds_max=limits.audit_age_seconds,
        bytes_max=limits.audit_bytes,
        denies_delete=True,
        denies_purge=True,
    )


def bucket_specs(env: str) -> Sequence[StreamSpec]:
    """Describe the buckets of an env. No limit markers: an expired key is simply gone."""
    value_bytes = STATE_VALUE_BYTES_MAX + STATE_ENVELOPE_BYTES_MAX
    return (
        bucket_spec(names.leases_bucket(env)),
        bucket_spec(names.deployments_bucket(env)),
        bucket_spec(names.tenants_bucket(env)),
        bucket_spec(names.timers_bucket(env)),
        bucket_spec(names.state_bucket(env), value_bytes_max=value_bytes),
        *credential_buckets(env),
    )


def credential_buckets(env: str) -> Sequence[StreamSpec]:
    """Describe the buckets of secrets, API keys and logins: `setup` needs them before any start."""
    value_bytes = SECRET_BYTES_MAX + SECRET_ENVELOPE_BYTES_MAX
    return (
        bucket_spec(names.secrets_bucket(env), value_bytes_max=value_bytes),
        bucket_spec(names.api_keys_bucket(env)),
        bucket_spec(names.key_uses_bucket(env)),
        bucket_spec(names.bus_logins_bucket(env)),
    )


def usage_spec(env: str, limits: StreamLimits) -> StreamSpec:
    """Describe what was metered: the last value of each window, as Faust's transport has tables."""
    return StreamSpec(
        name=names.usage_stream(env),
        subjects=(f"faust.{names.usage_topic(env)}.>",),
        age_seconds_max=limits.usage_age_seconds,
        messages_per_subject_max=1,
        allows_message_ttl=True,
    )


def blobs_spec(env: str, limits: StreamLimits) -> StreamSpec:
    """Describe the object store of what is too large for events."""
    age_seconds, bytes_max = limits.events_age_seconds, limits.blobs_bytes
    return _object_spec(names.blobs_bucket(env), age_seconds, bytes_max)


def versions_spec(env: str, limits: StreamLimits) -> StreamSpec:
    """Describe the object store of flows that runs are bound to."""
    age_seconds, bytes_max = limits.versions_age_seconds, limits.versions_bytes
    return _object_spec(names.versions_bucket(env), age_seconds, bytes_max)


def bundles_spec(env: str, limits: StreamLimits) -> StreamSpec:
    """Describe the object store of bundles: they stay until nobody has them in force any more."""
    return _object_spec(names.bundles_bucket(env), 0, limits.bundles_bytes)


def _object_spec(bucket: str, age_seconds: int, bytes_max: int) -> StreamSpec:
    """Describe an object store, as other clients know it too."""
    return StreamSpec(
        name=names.object_stream(bucket),
        subjects=(f"$O.{bucket}.C.>", f"$O.{bucket}.M.>"),
        discard="new",
        age_seconds_max=age_seconds,
        bytes_max=bytes_max,
        allows_rollup=True,
    )


def bucket_spec(bucket: str, *, value_bytes_max: int = 0) -> StreamSpec:
    """Describe a key-value bucket, as other clients know it too, with history 1."""
    return StreamSpec(
        name=names.bucket_stream(bucket),
        subjects=(f"$KV.{bucket}.>",),
        discard="new",
        message_bytes_max=value_bytes_max,
        messages_per_subject_max=1,
        allows_message_ttl=True,
        allows_rollup=True,
        denies_delete=True,
    )


def shard_subjects(
    root: str, env: str, tenants: Iterable[str], existing: Collection[str] = ()
) -> tuple[str, ...]:
    """Give the subjects of one of several shards: those of its tenants, and those it had before.

    A subject carries no shard, so several shards must name their tenants one by one; one shard
    alone takes everything. A removed tenant's subjects stay, for what is still stored there.
    """
    return tuple(sorted({*existing, *(f"{root}.{env}.{tenant}.>" for tenant in tenants)}))


def flows_consumer(
    env: str,
    tenant: str,
    patterns: Iterable[str],
    limits: StreamLimits,
    *,
    first_sequence: int = 1,
) -> ConsumerSpec:
    """Describe the one consumer of a tenant's events: it takes what any trigger may want."""
    prefix = f"{EVENTS_ROOT}.{check_token(env, 'env')}.{check_token(tenant, 'tenant')}."
    filters = tuple(prefix + pattern for pattern in cover_patterns(patterns))
    return ConsumerSpec(
        stream=names.events_stream(env, tenant),
        durable=names.FLOWS_DURABLE,
        filters=filters or (f"{NEVER_ROOT}.{env}.{tenant}",),
        first_sequence=first_sequence,
        ack_wait_seconds=limits.ack_wait_seconds,
        ack_pending_max=limits.ack_pending_max,
    )


def work_consumer(env: str, tenant: str, shard: int, limits: StreamLimits) -> ConsumerSpec:
    """Describe a tenant's consumer of due continuations."""
    return ConsumerSpec(
        stream=names.work_stream(env, shard),
        durable=names.work_durable(tenant),
        filters=(work_runs(env, tenant),),
        ack_wait_seconds=limits.ack_wait_seconds,
        ack_pending_max=limits.ack_pending_max,
    )


def lane_consumer(
    env: str, lane: names.TenantLane, shard: int, limits: StreamLimits, *, is_exclusive: bool
) -> ConsumerSpec:
    """Describe the consumer of a private lane; of an exclusive one the server pins one worker."""
    return ConsumerSpec(
        stream=names.work_stream(env, shard),
        durable=names.lane_durable(lane.tenant, lane.lane),
        filters=(work_lane_subject(env, lane.tenant, lane.lane),),
        ack_wait_seconds=limits.ack_wait_seconds,
        ack_pending_max=limits.lane_ack_pending_max,
        pinned=PinnedGroup(PRIORITY_GROUP, PIN_TTL_SECONDS) if is_exclusive else None,
    )

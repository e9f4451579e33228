"""The names of streams, consumers and buckets (DESIGN 3).

In: env, tenant, shard. Out: names. Refuses what is no token. Upper-case separators cannot occur in
a token, so no env and tenant together spell another pair's name.
"""

import re
import zlib
from typing import Final, NamedTuple

from actors.errors import InvalidSubjectError
from actors.subjects import check_token

FLOWS_DURABLE: Final = "flows"

_LANE = re.compile(r"~|[a-z0-9][a-z0-9_-]*(?:\.[a-z0-9][a-z0-9_-]*)*")
_LANE_CHARS_MAX: Final = 160
"""A consumer's name has 255 characters at most; a flow's name has 128."""
_LANE_DURABLE = re.compile(r"lane-([a-z0-9][a-z0-9_-]{0,62})-L-([a-z0-9_+-]+|~)")


class TenantLane(NamedTuple):
    """Whose lane a consumer serves, and which."""

    tenant: str
    lane: str


def events_stream(env: str, tenant: str) -> str:
    """Name the stream of a tenant's events and results."""
    return f"EVENTS-{check_token(env, 'env')}-T-{check_token(tenant, 'tenant')}"


def work_stream(env: str, shard: int) -> str:
    """Name a stream of continuations."""
    return f"WORK-{check_token(env, 'env')}-{shard}"


def journal_stream(env: str, shard: int) -> str:
    """Name a stream of run journals."""
    return f"JOURNAL-{check_token(env, 'env')}-{shard}"


def runs_stream(env: str, shard: int) -> str:
    """Name a stream of run records."""
    return f"RUNS-{check_token(env, 'env')}-{shard}"


def dead_stream(env: str) -> str:
    """Name the stream of dead letters."""
    return f"DEAD-{check_token(env, 'env')}"


def egress_stream(env: str) -> str:
    """Name the stream of outgoing messages."""
    return f"EGRESS-{check_token(env, 'env')}"


def audit_stream(env: str) -> str:
    """Name the stream of the audit trail."""
    return f"AUDIT-{check_token(env, 'env')}"


def usage_topic(env: str) -> str:
    """Name the Faust topic of what was metered: the changelog of its table."""
    return f"usage-{check_token(env, 'env')}"


def usage_stream(env: str) -> str:
    """Name the stream behind that topic."""
    return f"FAUST_{usage_topic(env)}"


def usage_windows(env: str, tail: str) -> str:
    """Give the subjects of windows whose keys (`WindowPlace.as_key`) are ``tail``, or match it."""
    return f"faust.{usage_topic(env)}.d.{tail}"


def work_durable(tenant: str) -> str:
    """Name a tenant's consumer of due continuations."""
    return f"work-{check_token(tenant, 'tenant')}"


def is_lane(lane: str) -> bool:
    """Tell whether this can name a private lane (`CompiledFlow.lane`)."""
    return len(lane) <= _LANE_CHARS_MAX and _LANE.fullmatch(lane) is not None


def lane_durable(tenant: str, lane: str) -> str:
    """Name a private lane's consumer; `parse_lane_durable` is its inverse.

    A plus stands for the dots of ``lane`` (`CompiledFlow.lane`): it occurs in no flow's name.
    """
    if not is_lane(lane):
        raise InvalidSubjectError(f"{lane!r} cannot name a lane")
    return f"lane-{check_token(tenant, 'tenant')}-L-{lane.replace('.', '+')}"


def parse_lane_durable(durable: str) -> TenantLane | None:
    """Tell whose lane a consumer serves; None for a consumer of another kind."""
    found = _LANE_DURABLE.fullmatch(durable)
    return TenantLane(found[1], found[2].replace("+", ".")) if found else None


def owner_of_durable(durable: str) -> str | None:
    """Tell whose a consumer of continuations is; None for one of another kind."""
    lane = parse_lane_durable(durable)
    if lane is not None:
        return lane.tenant
    tenant = durable.removeprefix("work-")
    return tenant if tenant != durable else None


def work_shard(tenant: str, work_shards: int) -> int:
    """Choose the shard of a tenant; the number of shards is fixed when an env is created."""
    return zlib.crc32(check_token(tenant, "tenant").encode()) % work_shards


def deployments_bucket(env: str) -> str:
    """Name the bucket of what is deployed, its activation sequences among it."""
    return f"deployments-{check_token(env, 'env')}"


def tenants_bucket(env: str) -> str:
    """Name the bucket of who the tenants are."""
    return f"tenants-{check_token(env, 'env')}"


def bundles_bucket(env: str) -> str:
    """Name the object store of bundles, by content."""
    return f"bundles-{check_token(env, 'env')}"


def leases_bucket(env: str) -> str:
    """Name the bucket of leases."""
    return f"leases-{check_token(env, 'env')}"


def state_bucket(env: str) -> str:
    """Name the bucket of flows' state."""
    return f"state-{check_token(env, 'env')}"


def blobs_bucket(env: str) -> str:
    """Name the object store of what is too large for an event."""
    return f"blobs-{check_token(env, 'env')}"


def versions_bucket(env: str) -> str:
    """Name the object store of flows that runs are bound to."""
    return f"versions-{check_token(env, 'env')}"


def object_stream(bucket: str) -> str:
    """Name the stream behind an object store."""
    return f"OBJ_{bucket}"


def secrets_bucket(env: str) -> str:
    """Name the bucket of sealed secrets."""
    return f"secrets-{check_token(env, 'env')}"


def api_keys_bucket(env: str) -> str:
    """Name the bucket of API keys."""
    return f"keys-{check_token(env, 'env')}"


def key_uses_bucket(env: str) -> str:
    """Name the bucket of when API keys were used last."""
    return f"key-uses-{check_token(env, 'env')}"


def bus_logins_bucket(env: str) -> str:
    """Name the bucket of tenants' logins to NATS."""
    return f"logins-{check_token(env, 'env')}"


def timers_bucket(env: str) -> str:
    """Name the bucket of what was decided about timers."""
    return f"timers-{check_token(env, 'env')}"


def bucket_stream(bucket: str) -> str:
    """Name the stream behind a bucket."""
    return f"KV_{bucket}"

"""The buckets of secrets, API keys and tenants, and the audit log, made before all else.

In: a connection and an env. Out: they are there. Idempotent, and no two makers disturb each
other. BusError for what the server refuses.
"""

from app.bus.admin import JetStreamAdmin
from app.bus.connection import Bus
from app.control import names, streams
from app.control.limits import StreamLimits
from app.stores.kv import KvBucket
from app.system import SystemClock
from app.tenancy.store import Gate, TenantStore, refuse_tombstone


async def ensure_audit_stream(bus: Bus, env: str) -> None:
    """Make the audit log's stream where there is none yet: commands change things before a start.

    One that is there stays as it is: its size and age are `app.control.control`'s affair.
    """
    admin = JetStreamAdmin(bus)
    if await admin.stream_info(names.audit_stream(env)) is None:
        await admin.ensure_stream(streams.audit_spec(env, StreamLimits()))


async def ensure_credential_buckets(bus: Bus, env: str) -> None:
    """Make the buckets where there are none yet."""
    admin = JetStreamAdmin(bus)
    for spec in streams.credential_buckets(env):
        await admin.ensure_stream(spec)


async def ensure_tenants_bucket(bus: Bus, env: str) -> None:
    """Make the bucket of tenants where there is none yet: they may come before any deployment."""
    await JetStreamAdmin(bus).ensure_stream(streams.bucket_spec(names.tenants_bucket(env)))


def tombstone_gate(bus: Bus, env: str) -> Gate:
    """Give what refuses (ConflictError) to make anything for a tenant that was deleted."""
    store = TenantStore(KvBucket(bus, names.tenants_bucket(env)), SystemClock())

    async def refuse(tenant: str) -> None:
        await ensure_tenants_bucket(bus, env)
        await refuse_tombstone(store, tenant)

    return refuse

"""The buckets of secrets and API keys, made before the rest: the providers need what is in them.

In: a connection and an env. Out: the buckets are there. Idempotent, and no two makers disturb each
other. BusError for what the server refuses.
"""

from app.bus.admin import JetStreamAdmin
from app.bus.connection import Bus
from app.control import streams


async def ensure_credential_buckets(bus: Bus, env: str) -> None:
    """Make the buckets where there are none yet."""
    admin = JetStreamAdmin(bus)
    for spec in streams.credential_buckets(env):
        await admin.ensure_stream(spec)

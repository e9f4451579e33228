"""A process that erases a tenant and stands still before its nth change, to be killed there.

Arguments: url, user, password, env, tenant, n. Prints the change it stands before, or `done`.
"""

import asyncio
import functools
import sys
from collections.abc import Awaitable, Callable
from typing import Any

from app.audit.log import AuditLog
from app.bootstrap.audit_side import AuditSide
from app.bus.admin import JetStreamAdmin
from app.bus.connection import Bus, BusSettings
from app.control import names
from app.control.lease import Lease, hold_lease
from app.erasure.eraser import Hands
from app.erasure.opening import open_eraser
from app.erasure.steward import LEASE_KEY
from app.stores.kv import KvBucket
from app.system import SystemClock
from tests.support.bus import DeafObserver

CHANGES = (
    (JetStreamAdmin, "purge"),
    (JetStreamAdmin, "delete_stream"),
    (JetStreamAdmin, "delete_consumer"),
    (KvBucket, "put"),
    (KvBucket, "delete"),
    (AuditLog, "record"),
)


class Countdown:
    """Lets so many changes happen, and then none."""

    def __init__(self, left: int) -> None:
        self.left = left

    def before(self, owner: type, name: str) -> None:
        """Count the calls of one method."""
        made: Callable[..., Awaitable[Any]] = getattr(owner, name)

        @functools.wraps(made)
        async def counted(*given: Any, **named: Any) -> Any:
            if not _is_lease(given):
                self.left -= 1
                if self.left < 0:
                    print(f"before {name} {given[1:]}", flush=True)
                    await asyncio.Event().wait()
            return await made(*given, **named)

        setattr(owner, name, counted)


def _is_lease(given: tuple[Any, ...]) -> bool:
    return len(given) > 1 and given[1] in ("control", LEASE_KEY)


async def released(_: str) -> None:
    """Have every worker let go at once."""


async def erase(settings: BusSettings, env: str, tenant: str, left: int) -> None:
    """Erase under the lease, as a steward does."""
    bus = await Bus.connect(settings, DeafObserver(), deadline_seconds=10)
    clock = SystemClock()
    audit = await AuditSide.open(bus, env, clock, DeafObserver())
    eraser = open_eraser(bus, env, audit.log, clock, Hands(released, settle_seconds=0.0))
    countdown = Countdown(left)
    for owner, name in CHANGES:
        countdown.before(owner, name)
    lease: Lease
    async with hold_lease(KvBucket(bus, names.leases_bucket(env)), LEASE_KEY, "child") as lease:
        await eraser.erase_tenant(tenant, lease.check)
    print(f"done after {left - countdown.left} changes", flush=True)


if __name__ == "__main__":
    url, user, password, in_env, of, nth = sys.argv[1:]
    asyncio.run(erase(BusSettings(url, user, password), in_env, of, int(nth)))

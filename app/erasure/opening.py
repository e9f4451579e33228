"""An eraser, and a steward, on a connection to NATS.

In: a connection, an env, what the process brings of its own. Out: an eraser; a steward to be
started. Refuses nothing.
"""

from collections.abc import Awaitable, Callable, Sequence

from actors.ports import Clock
from app.accounts.logins import KvBusLogins
from app.audit.log import AuditLog
from app.bus.connection import Bus
from app.control import names
from app.control.erasing import OutsideStore, TenantStores
from app.erasure.eraser import RELEASE_SECONDS, Credentials, Hands, TenantEraser
from app.erasure.steward import EraseSteward, Sweeping
from app.fleet.fleet import Fleet
from app.stores.api_keys import KvApiKeys
from app.stores.kv import KvBucket
from app.tenancy.directory import TenantDirectory
from app.tenancy.store import TenantStore


def released_by(fleet: Fleet, deployments: KvBucket) -> Callable[[str], Awaitable[None]]:
    """Give what waits until every live worker has converged on a tenant's end (`Hands.released`).

    An eraser deletes the tenant's deployment first: who has acknowledged that write has let go.
    """

    async def released(tenant: str) -> None:
        revision = await deployments.last_revision()
        said = await fleet.wait_acknowledged(revision, RELEASE_SECONDS)
        if said.missing or said.reasons_of(tenant):
            raise TimeoutError

    return released


def open_eraser(
    bus: Bus,
    env: str,
    audit: AuditLog,
    clock: Clock,
    hands: Hands,
    outside: Sequence[OutsideStore] = (),
) -> TenantEraser:
    """Give the eraser of an env; ``outside`` are the stores of this process beside NATS."""
    credentials = Credentials(
        logins=KvBusLogins(KvBucket(bus, names.bus_logins_bucket(env)), clock),
        api_keys=KvApiKeys(KvBucket(bus, names.api_keys_bucket(env)), clock),
        deployments=KvBucket(bus, names.deployments_bucket(env)),
    )
    tenants = TenantStore(KvBucket(bus, names.tenants_bucket(env)), clock)
    stores = TenantStores(bus, env, outside)
    return TenantEraser(stores, tenants, credentials, hands, audit, clock)


def open_steward(
    bus: Bus,
    env: str,
    directory: TenantDirectory,
    eraser: TenantEraser,
    clock: Clock,
    sweeping: Sweeping,
) -> EraseSteward:
    """Give the steward of a process."""
    leases = KvBucket(bus, names.leases_bucket(env))
    return EraseSteward(directory, eraser, TenantStores(bus, env), leases, clock, sweeping)

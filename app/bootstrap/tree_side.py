"""The tenants' trees of one process, with everything that they need of the world.

In: the adapters that hang on the bus. Out: a host without tenants; they come with a deployment.
"""

import random
from collections.abc import Awaitable, Callable

from actors.kernel.ports import KernelPorts
from actors.tenants.children import TreePorts
from actors.tenants.host import TenantHost
from actors.tenants.tree import Roles
from app.bootstrap.bus_side import BusSide
from app.bootstrap.past import KeptDeployments
from app.bootstrap.plans import PlanBook
from app.control.names import events_stream, leases_bucket, timers_bucket
from app.stores.kv import KvBucket
from app.stores.pauses import KvTimerPauses
from app.stores.state import KvStateStore
from app.stores.ticks import LastTicks

Confirm = Callable[[str], Awaitable[None]]


def build_host(
    side: BusSide, roles: Roles, kept: KeptDeployments, plans: PlanBook, confirm: Confirm
) -> TenantHost:
    """Make the host; it starts nothing yet."""
    ports = TreePorts(
        world=side.world,
        sinks=side.sinks,
        ticks=LastTicks(side.bus, env=side.env, stream_of=events_stream),
        pauses=KvTimerPauses(KvBucket(side.bus, timers_bucket(side.env))),
        leases=KvStateStore(KvBucket(side.bus, leases_bucket(side.env)), side.clock),
        open_deliveries=side.open_deliveries,
        open_lane=side.open_lane,
        redriver=side.desk,
        past=kept,
        shares=plans.shares,
        quotas=side.quotas,
        confirm=confirm,
    )
    chance = random.Random()  # noqa: S311 - spreads restarts, hides nothing
    kernel = KernelPorts(side.clock, chance.random, side.observer.observe)
    return TenantHost(roles, ports, kernel)

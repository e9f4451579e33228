"""A process opens the lanes of its deployment, and is not ready while one of them is silent."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from actors.outcomes import Settlement
from actors.ports import LaneName, NoProviderActions, NoScriptPool, NoSecrets
from actors.testing.observer import RecordingObserver
from app.bootstrap.bus_side import BusSide, NodePorts
from app.bootstrap.pull_watch import SILENT_SECONDS_MAX
from app.bus.backlog import BacklogLimits
from app.bus.pull_health import PullState
from app.bus.server_folder import Endpoint
from app.control.control import Control, TenantSubscriptions
from app.outbound import EgressPolicy
from tests.support.bus import connected
from tests.support.lane_rig import LANE, TENANT, a_continuation

PATIENCE_SECONDS = 10.0
ORDERS = LaneName(TENANT, LANE, is_exclusive=True)
ISOLATED = LaneName(TENANT, "reports", is_exclusive=False)


@pytest.fixture
async def side(nats_server: Endpoint, fresh_env: str) -> AsyncIterator[BusSide]:
    async with connected(nats_server) as bus:
        lanes = {ORDERS.lane: True, ISOLATED.lane: False}
        await Control(bus, fresh_env).ensure([TenantSubscriptions(TENANT, {"a": "a"}, lanes)])
        side = await BusSide.open(
            bus,
            env=fresh_env,
            observer=RecordingObserver(),
            nodes=NodePorts(NoProviderActions(), NoScriptPool(), NoSecrets()),
            egress=EgressPolicy(),
            backlog=BacklogLimits(),
        )
        yield side
        await side.close(2)


@pytest.mark.parametrize("name", [ORDERS, ISOLATED], ids=["exclusive", "shared"])
async def test_continuation_on_a_lane_comes_to_who_opened_it(side: BusSide, name: LaneName) -> None:
    deliveries = side.open_lane(name)
    await side.world.continuations.schedule(TENANT, a_continuation(1), lane=name.lane)
    async with asyncio.timeout(PATIENCE_SECONDS):
        [delivery] = await deliveries.pull(8)
    assert delivery.continuation == a_continuation(1)
    assert list(await deliveries.outstanding()) == [delivery.sequence]
    delivery.settle(Settlement.ACK)
    with pytest.raises(ValueError, match="already"):
        side.open_lane(name)
    await deliveries.close()
    again = side.open_lane(name)
    await side.world.continuations.schedule(TENANT, a_continuation(2), lane=name.lane)
    async with asyncio.timeout(PATIENCE_SECONDS):
        [delivery] = await again.pull(8)
    assert delivery.continuation == a_continuation(2)


async def test_silent_lane_makes_its_tenant_silent_until_it_is_closed(side: BusSide) -> None:
    deliveries = side.open_deliveries(TENANT)
    lane = side.open_lane(ORDERS)
    waiting = [asyncio.ensure_future(pull.pull(8)) for pull in (deliveries, lane)]
    await asyncio.sleep(0.1)
    tenants = frozenset({TENANT, "other"})
    states = side.pull_states(tenants, SILENT_SECONDS_MAX)
    assert states == {TENANT: PullState.POLLING, "other": PullState.STOPPED}
    side.lanes[ORDERS]._pull.answered_at -= 2 * SILENT_SECONDS_MAX
    assert side.pull_states(tenants, SILENT_SECONDS_MAX)[TENANT] is PullState.SILENT
    await lane.close()
    assert side.pull_states(tenants, SILENT_SECONDS_MAX)[TENANT] is PullState.POLLING
    assert side.lanes == {}
    await deliveries.close()
    await asyncio.gather(*waiting)

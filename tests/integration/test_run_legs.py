"""Legs of runs on a real server: due ones, waiting ones, settled ones, other tenants'."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import pytest_asyncio

from actors.outcomes import Settlement
from app.bus.continuations import JetStreamContinuations
from app.bus.run_legs import JetStreamRunLegs
from app.bus.server_folder import Endpoint
from app.control import names
from app.system import SystemClock
from tests.support.builders import a_continuation
from tests.support.bus_rig import TENANT, BusRig, a_rig

pytestmark = pytest.mark.server


@pytest_asyncio.fixture
async def rig(nats_server: Endpoint, fresh_env: str) -> AsyncIterator[BusRig]:
    async with a_rig(nats_server, fresh_env) as opened:
        yield opened


async def test_the_latest_leg_is_found_until_it_is_settled(rig: BusRig) -> None:
    clock = SystemClock()
    continuations = JetStreamContinuations(rig.acked, env=rig.env, clock=clock)
    legs = JetStreamRunLegs(rig.bus, env=rig.env, stream_of=lambda _: rig.work_stream)
    assert await legs.latest(TENANT, "r1") is None

    first = a_continuation(run_id="r1", leg=1)
    await continuations.schedule(TENANT, first)
    assert await legs.latest(TENANT, "r1") == first
    assert await legs.latest("other", "r1") is None
    assert await legs.latest(TENANT, "r2") is None

    [delivery] = await rig.deliveries().pull(1)
    assert await legs.latest(TENANT, "r1") == first, "handed out is not settled"
    second = replace(first, leg=2, due_ms=clock.now_ms() + 60_000)
    await continuations.schedule(TENANT, second)
    assert await legs.latest(TENANT, "r1") == second

    delivery.settle(Settlement.ACK)
    await rig.wait_settled(rig.work_stream, names.work_durable(TENANT))
    assert await legs.latest(TENANT, "r1") == second

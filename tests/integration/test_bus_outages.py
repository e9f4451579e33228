"""SIGKILL of the server under load: nothing that was acknowledged is lost, pulls go on."""

import asyncio
from dataclasses import dataclass, field

import pytest

from actors.errors import UnavailableError
from actors.events import Event
from actors.outcomes import Settlement
from actors.ports import Envelope
from app.bus.observations import BusConnected
from app.control.limits import StreamLimits
from tests.support.bus_rig import PATIENCE_SECONDS, TENANT, BusRig, a_rig
from tests.support.nats_server import KillableServer

KILLS = 3
IN_FLIGHT = 50


@dataclass
class Traffic:
    """A publisher and a puller that go on through outages."""

    rig: BusRig
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    acked: set[str] = field(default_factory=set)
    refused: int = 0
    seen: set[str] = field(default_factory=set)

    async def publish(self) -> None:
        number = 0
        while not self.stopping.is_set():
            await asyncio.gather(*(self._publish(number + more) for more in range(IN_FLIGHT)))
            number += IN_FLIGHT

    async def _publish(self, number: int) -> None:
        event = Event(f"e{number}", "order.created", "webhook", 1, {"n": number})
        try:
            ack = await self.rig.publisher.publish(Envelope(TENANT, event, f"m{number}"))
        except UnavailableError:
            self.refused += 1
        else:
            assert ack.event_id == event.id
            assert not ack.is_duplicate, "our own repeat is no duplicate"
            self.acked.add(event.id)

    async def pull(self) -> None:
        deliveries = self.rig.deliveries()
        while True:
            for delivery in await deliveries.pull(64):
                self.seen.add(delivery.event.id)
                delivery.settle(Settlement.ACK)

    async def wait_progress(self) -> None:
        """Wait until both have gone on for a while."""
        acked, seen = len(self.acked) + 500, len(self.seen) + 500
        async with asyncio.timeout(PATIENCE_SECONDS):
            while len(self.acked) < acked or len(self.seen) < seen:
                await asyncio.sleep(0.02)


async def test_killed_server_loses_nothing_acknowledged_and_pulls_go_on(
    killable_server: KillableServer, fresh_env: str
) -> None:
    endpoint = killable_server.endpoint
    # What was on its way to us when the server died comes again after its ack wait.
    limits = StreamLimits(ack_wait_seconds=2)
    async with a_rig(endpoint, fresh_env, limits=limits, deadline_seconds=20) as rig:
        traffic = Traffic(rig)
        publishing = asyncio.ensure_future(traffic.publish())
        pulling = asyncio.ensure_future(traffic.pull())
        await traffic.wait_progress()
        for _ in range(KILLS):
            await killable_server.restart()
            await traffic.wait_progress()
        traffic.stopping.set()
        await publishing
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not traffic.acked <= traffic.seen:
                await asyncio.sleep(0.02)
        pulling.cancel()
        await asyncio.gather(pulling, return_exceptions=True)
        assert traffic.refused == 0, "a publish waits through an outage within its deadline"
        assert len(rig.observer.of(BusConnected)) == KILLS + 1


async def test_publish_without_a_server_is_unavailable_and_never_hangs(
    killable_server: KillableServer, fresh_env: str
) -> None:
    async with a_rig(killable_server.endpoint, fresh_env, deadline_seconds=0.5) as rig:
        await killable_server.kill()
        event = Event("e1", "order.created", "webhook", 1, None)
        async with asyncio.timeout(PATIENCE_SECONDS):
            with pytest.raises(UnavailableError) as failed:
                await rig.publisher.publish(Envelope(TENANT, event, "m1"))
        assert failed.value.retry_after_seconds is not None
        await killable_server.start()

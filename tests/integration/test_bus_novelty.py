"""A killed server forgets what it delivered; no delivery it repeats is called a new one."""

import asyncio
import json
from dataclasses import dataclass, field
from pathlib import Path

from actors.events import Event
from actors.outcomes import Settlement
from actors.ports import Continuation, Envelope
from actors.testing.observer import RecordingObserver
from app.bus.connection import Bus, BusSettings
from app.bus.continuations import JetStreamContinuations
from app.bus.delivery import BusDelivery
from app.bus.server_folder import Endpoint
from app.bus.server_process import find_binary
from app.control.limits import StreamLimits
from app.system import SystemClock
from tests.support.bus import connected
from tests.support.bus_rig import PATIENCE_SECONDS, TENANT, BusRig, a_rig
from tests.support.nats_server import KillableServer

ROUNDS_MAX = 8
BURST = 1500


@dataclass
class Worker:
    """Pulls and acks at once, and remembers what it was told of every delivery."""

    rig: BusRig
    handed: dict[str, int] = field(default_factory=dict)
    """How often each event came."""
    forgotten: list[str] = field(default_factory=list)
    """Events that came again as if for the first time."""
    wrongly_new: list[str] = field(default_factory=list)
    new: int = 0

    async def work(self) -> None:
        deliveries = self.rig.deliveries()
        while True:
            for delivery in await deliveries.pull(256):
                self.take(delivery)
                delivery.settle(Settlement.ACK)

    def take(self, delivery: BusDelivery) -> None:
        event_id = delivery.event.id
        times = self.handed[event_id] = self.handed.get(event_id, 0) + 1
        self.new += not delivery.may_be_repeated
        if times > 1 and delivery.num_delivered == 1:
            self.forgotten.append(event_id)
        if times > 1 and not delivery.may_be_repeated:
            self.wrongly_new.append(event_id)

    async def wait_handed(self, count: int) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while len(self.handed) < count:
                await asyncio.sleep(0.001)


async def publish(rig: BusRig, first: int, count: int) -> None:
    await asyncio.gather(
        *(
            rig.publisher.publish(
                Envelope(TENANT, Event(f"e{number}", "a", "test", 1, None), f"m{number}")
            )
            for number in range(first, first + count)
        )
    )


async def test_what_a_killed_server_forgot_comes_again_as_perhaps_repeated(
    killable_server: KillableServer, fresh_env: str
) -> None:
    limits = StreamLimits(ack_wait_seconds=2)
    async with a_rig(
        killable_server.endpoint, fresh_env, limits=limits, deadline_seconds=20
    ) as rig:
        worker = Worker(rig)
        working = asyncio.ensure_future(worker.work())
        # The first delivery of a connection lets the worker look how far the stream is.
        await publish(rig, 0, 1)
        await worker.wait_handed(1)
        stored = 1
        for _ in range(ROUNDS_MAX):
            # Whatever was settled in its last 100 ms is what the server forgets.
            await publish(rig, stored, BURST)
            stored += BURST
            await worker.wait_handed(stored)
            await killable_server.restart()
            await publish(rig, stored, 1)
            stored += 1
            await worker.wait_handed(stored)
            if worker.forgotten:
                break
        await asyncio.sleep(0.2)
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
        assert worker.forgotten, (
            "the server forgot nothing in so many kills: the test shows nothing"
        )
        assert worker.wrongly_new == []
        assert worker.new > BURST / 2, "most of a burst is new, or knowing it would be no use"


async def test_delivery_in_hand_may_be_repeated_once_the_server_is_gone(
    killable_server: KillableServer, fresh_env: str
) -> None:
    async with a_rig(killable_server.endpoint, fresh_env) as rig:
        deliveries = rig.deliveries()
        await publish(rig, 0, 1)
        [first] = await deliveries.pull(8)
        first.settle(Settlement.ACK)
        await publish(rig, 1, 1)
        [delivery] = await deliveries.pull(8)
        seen = [delivery.may_be_repeated]
        await killable_server.kill()
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not seen[-1]:
                await asyncio.sleep(0.01)
                seen.append(delivery.may_be_repeated)
        assert seen[0] is False
        await killable_server.start()
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not rig.bus.is_connected:
                await asyncio.sleep(0.01)
        assert delivery.may_be_repeated


async def test_continuation_that_was_worked_on_comes_again_as_a_first_delivery(
    killable_server: KillableServer, fresh_env: str
) -> None:
    """Why a continuation always may be repeated: WORK forgets the ids of what it has given out."""
    again = Continuation("r1", "orders", Event("e1", "a", "test", 1, None))
    async with a_rig(killable_server.endpoint, fresh_env, deadline_seconds=20) as rig:
        continuations = JetStreamContinuations(rig.acked, env=fresh_env, clock=SystemClock())
        deliveries = rig.deliveries()
        seen = []
        for _ in range(2):
            await continuations.schedule(TENANT, again)
            async with asyncio.timeout(PATIENCE_SECONDS):
                [delivery] = await deliveries.pull(8)
            seen.append(delivery)
            delivery.settle(Settlement.ACK)
            await rig.bus.flush(5)
            await asyncio.sleep(0.3)  # past the moment in which the server writes it down
            await killable_server.restart()
        assert [delivery.num_delivered for delivery in seen] == [1, 1]
        assert seen[1].sequence > seen[0].sequence
        assert all(delivery.may_be_repeated for delivery in seen)


async def test_lone_server_is_known_by_its_name(nats_server: Endpoint) -> None:
    async with connected(nats_server) as bus:
        assert bus.lone_server == "greentic-embedded"


async def test_server_of_a_cluster_is_not_alone(tmp_path: Path) -> None:
    config = tmp_path / "cluster.conf"
    config.write_text(
        'server_name: a\nlisten: "127.0.0.1:-1"\n'
        f'ports_file_dir: "{tmp_path}"\n'
        'cluster { name: c, listen: "127.0.0.1:-1" }\n'
    )
    process = await asyncio.create_subprocess_exec(
        find_binary(), "-c", config, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not (ports := list(tmp_path.glob("*.ports"))):
                await asyncio.sleep(0.02)
            [url] = json.loads(ports[0].read_text())["nats"]
            bus = await Bus.connect(BusSettings(url), RecordingObserver(), deadline_seconds=10)
            assert bus.lone_server is None
            await bus.drain_and_close(2)
    finally:
        process.kill()
        await process.wait()

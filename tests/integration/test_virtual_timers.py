"""Two schedulers on a real stream, five virtual minutes apart: one event per tick."""

import asyncio
from typing import Any

from actors.flows.compiled import CompiledFlow, CompiledTrigger, TimerSchedule
from actors.kernel.ports import KernelPorts
from actors.kernel.specs import ChildSpec, SupervisorSpec
from actors.kernel.supervisor import Supervisor
from actors.ports import Envelope, PublishAck
from actors.tenants.scheduler import SchedulerActor, SchedulerPorts
from actors.testing.clock import VirtualClock
from actors.testing.observer import RecordingObserver
from app.bus.acked_publisher import AckedPublisher
from app.bus.connection import Bus, BusSettings
from app.bus.publisher import JetStreamEventPublisher
from app.control.control import Control, TenantSubscriptions
from app.control.names import events_stream, timers_bucket
from app.stores.kv import KvBucket
from app.stores.pauses import KvTimerPauses
from app.stores.ticks import LastTicks

FLOW = CompiledFlow(
    name="pulse",
    version="1",
    digest="d",
    nodes={},
    triggers=(
        CompiledTrigger(
            number=1,
            type="timer",
            target="done",
            pattern="timer.pulse.1",
            schedule=TimerSchedule("*/10 * * * * *", "UTC"),
        ),
    ),
    variables={},
    timeout_seconds=1.0,
    can_answer=False,
)
MINUTES = 5
TICKS_PER_MINUTE = 6


class Remembering:
    """Passes publishes on and keeps what the stream answered."""

    def __init__(self, inner: JetStreamEventPublisher) -> None:
        self._inner = inner
        self.acks: list[asyncio.Future[PublishAck]] = []

    def publish(self, envelope: Envelope) -> "asyncio.Future[PublishAck]":
        future = self._inner.publish(envelope)
        self.acks.append(future)
        return future

    async def wait_acked(self, count: int) -> None:
        async with asyncio.timeout(20):
            while len(self.acks) < count or not all(ack.done() for ack in self.acks):
                await asyncio.sleep(0.002)


async def start_scheduler(
    bus: Bus, env: str, publisher: Remembering, clock: VirtualClock
) -> Supervisor:
    ports = SchedulerPorts(
        publisher=publisher,
        ticks=LastTicks(bus, env=env, stream_of=events_stream),
        pauses=KvTimerPauses(KvBucket(bus, timers_bucket(env))),
        observer=RecordingObserver(),
        clock=clock,
    )
    spec: ChildSpec[Any] = ChildSpec("scheduler", lambda _: SchedulerActor("demo", [FLOW], ports))
    root = Supervisor(SupervisorSpec("root", (spec,)), KernelPorts(clock, lambda: 0.5))
    await root.start()
    return root


async def test_scheduler_paused_for_five_minutes_repeats_no_tick(
    nats_server: Any, fresh_env: str
) -> None:
    settings = BusSettings(nats_server.url, nats_server.user, nats_server.password)
    bus = await Bus.connect(settings, RecordingObserver(), deadline_seconds=10)
    await Control(bus, fresh_env).apply([TenantSubscriptions("demo", {"pulse#1": "timer.pulse.1"})])
    inner = JetStreamEventPublisher(await AckedPublisher.start(bus), env=fresh_env)
    clocks = VirtualClock(), VirtualClock()
    publishers = Remembering(inner), Remembering(inner)
    roots = [
        await start_scheduler(bus, fresh_env, publisher, clock)
        for publisher, clock in zip(publishers, clocks, strict=True)
    ]
    await asyncio.sleep(0.2)  # both have asked the stream for the last tick
    for tick in range(1, MINUTES * TICKS_PER_MINUTE + 1):
        await clocks[0].advance(10)
        await publishers[0].wait_acked(tick)
    await clocks[1].jump(MINUTES * 60)  # it was paused all the while, and wakes
    await asyncio.sleep(0.2)
    assert len(publishers[1].acks) <= 1, "the stream tells it that others have fired meanwhile"
    await clocks[1].advance(10)
    await clocks[0].advance(10)
    await publishers[0].wait_acked(MINUTES * TICKS_PER_MINUTE + 1)
    await publishers[1].wait_acked(1)

    stored = [
        ack.result().event_id
        for publisher in publishers
        for ack in publisher.acks
        if not ack.result().is_duplicate
    ]
    assert len(stored) == len(set(stored)) == MINUTES * TICKS_PER_MINUTE + 1
    for root in roots:
        await root.stop()
    await bus.drain_and_close(5)

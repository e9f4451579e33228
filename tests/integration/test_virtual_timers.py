"""Two schedulers on a real stream and virtual clocks: one event per tick, whatever they slept."""

import asyncio
from collections.abc import Sequence
from typing import Any, Literal

import pytest

from actors.flows.compiled import CompiledFlow, CompiledTrigger, TimerSchedule
from actors.ids import tick_id
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


def a_flow_with(schedule: TimerSchedule) -> CompiledFlow:
    timer = CompiledTrigger(1, "timer", "done", pattern="timer.pulse.1", schedule=schedule)
    return CompiledFlow(
        name="pulse",
        version="1",
        digest="d",
        nodes={},
        triggers=(timer,),
        variables={},
        timeout_seconds=1.0,
        can_answer=False,
    )


FLOW = a_flow_with(TimerSchedule("*/10 * * * * *", "UTC"))
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
    bus: Bus, env: str, publisher: Remembering, clock: VirtualClock, flow: CompiledFlow = FLOW
) -> Supervisor:
    ports = SchedulerPorts(
        publisher=publisher,
        ticks=LastTicks(bus, env=env, stream_of=events_stream),
        pauses=KvTimerPauses(KvBucket(bus, timers_bucket(env))),
        observer=RecordingObserver(),
        clock=clock,
    )
    spec: ChildSpec[Any] = ChildSpec("scheduler", lambda _: SchedulerActor("demo", [flow], ports))
    root = Supervisor(SupervisorSpec("root", (spec,)), KernelPorts(clock, lambda: 0.5))
    await root.start()
    return root


async def test_scheduler_paused_for_five_minutes_repeats_no_tick(
    nats_server: Any, fresh_env: str
) -> None:
    settings = BusSettings(nats_server.url, nats_server.user, nats_server.password)
    bus = await Bus.connect(settings, RecordingObserver(), deadline_seconds=10)
    await Control(bus, fresh_env).ensure(
        [TenantSubscriptions("demo", {"pulse#1": "timer.pulse.1"})]
    )
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


async def wait_stored(publishers: Sequence[Remembering], count: int) -> list[PublishAck]:
    """Wait for so many stored events of all schedulers, and a little for one too many."""
    async with asyncio.timeout(20):
        while True:
            await asyncio.sleep(0.2)
            futures = [ack for publisher in publishers for ack in publisher.acks]
            acks = [ack.result() for ack in futures if ack.done()]
            if sum(not ack.is_duplicate for ack in acks) >= count and len(acks) == len(futures):
                return acks


TEN_MINUTES_MS = 600_000
TO_THE_FIRST_TICK_SECONDS = 400
"""The clock begins at 22:13:20."""
SLEPT_SECONDS = 3 * 3600
"""Until 01:20: the ticks since 00:20 are within the window of an hour."""


@pytest.mark.parametrize(
    ("misfire", "jitter_ms", "caught_up"),
    [
        ("skip", 0, []),
        ("last", 0, [17]),
        ("all", 0, [12, 13, 14, 15, 16, 17]),
        ("last", 60_000, [17]),
    ],
)
async def test_a_system_that_slept_as_a_whole_catches_up_by_the_misfire(
    nats_server: Any,
    fresh_env: str,
    misfire: Literal["skip", "last", "all"],
    jitter_ms: int,
    caught_up: list[int],
) -> None:
    settings = BusSettings(nats_server.url, nats_server.user, nats_server.password)
    bus = await Bus.connect(settings, RecordingObserver(), deadline_seconds=10)
    await Control(bus, fresh_env).ensure(
        [TenantSubscriptions("demo", {"pulse#1": "timer.pulse.1"})]
    )
    inner = JetStreamEventPublisher(await AckedPublisher.start(bus), env=fresh_env)
    clock, publishers = VirtualClock(), (Remembering(inner), Remembering(inner))
    schedule = TimerSchedule("*/10 * * * *", "UTC", misfire=misfire, jitter_ms=jitter_ms)
    flow = a_flow_with(schedule)
    roots = [
        await start_scheduler(bus, fresh_env, publisher, clock, flow) for publisher in publishers
    ]
    await asyncio.sleep(0.2)  # both have asked the stream for the last tick
    await clock.advance(TO_THE_FIRST_TICK_SECONDS + jitter_ms / 1000)
    for publisher in publishers:
        await publisher.wait_acked(1)
    first_ms = clock.now_ms() - clock.now_ms() % TEN_MINUTES_MS
    await clock.jump(SLEPT_SECONDS - 200 - jitter_ms / 1000)  # until 01:16:40
    await wait_stored(publishers, 1 + len(caught_up))
    await clock.advance(200 + jitter_ms / 1000)
    acks = await wait_stored(publishers, 2 + len(caught_up))
    stored = [ack.event_id for ack in acks if not ack.is_duplicate]
    expected = [first_ms + number * TEN_MINUTES_MS for number in [0, *caught_up, 18]]
    assert sorted(stored) == [tick_id("pulse", 1, tick_ms) for tick_ms in expected]
    assert len(acks) <= 2 * len(expected)
    for root in roots:
        await root.stop()
    await bus.drain_and_close(5)

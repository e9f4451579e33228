"""A tenant's backlog by the word of a real server, and what is refused when it is full."""

import asyncio
import dataclasses
from collections.abc import Callable

import pytest

from actors.errors import QuotaExceededError, TransientError, UnavailableError
from actors.events import Event
from actors.observations import BacklogMeasured
from actors.outcomes import Settlement
from actors.ports import Continuation, Envelope
from actors.subjects import work_lane_subject
from app.bus.admin import JetStreamAdmin
from app.bus.backlog import BacklogLimits, BacklogQuota, Pace
from app.bus.backlog_reading import BacklogMemory, BacklogReader
from app.bus.continuations import JetStreamContinuations
from app.bus.deliveries import TenantDeliveries
from app.bus.observations import EventsLost
from app.bus.publisher import JetStreamEventPublisher
from app.bus.pull_health import PullState, state_of
from app.bus.server_folder import Endpoint
from app.control import names, streams
from app.control.limits import StreamLimits
from app.errors import BusError
from app.system import SystemClock
from tests.support.bus_rig import TENANT, BusRig, a_rig
from tests.support.nats_server import KillableServer

PLAIN = b"NATS/1.0\r\n\r\n"
QUICK = Pace(usual=0.05, calm=0.1, pressed=0.02)


def an_envelope(number: int, payload: object = None, hops: int = 0) -> Envelope:
    event = Event(f"e{number}", "order.created", "webhook", 5, payload)
    return Envelope(TENANT, event, f"m{number}", hops=hops)


def a_quota(rig: BusRig, limits: BacklogLimits) -> BacklogQuota:
    return BacklogQuota(
        limits,
        lambda _: rig.consumers(),
        reader=BacklogReader(rig.bus),
        observer=rig.observer,
        clock=SystemClock(),
        pace=QUICK,
    )


async def wait_until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not is_so():
            await asyncio.sleep(0.01)


async def publish_until_refused(publisher: JetStreamEventPublisher) -> int:
    for number in range(500):
        try:
            await publisher.publish(an_envelope(number))
        except QuotaExceededError:
            return number
    raise AssertionError("nothing was refused")


async def test_backlog_is_what_is_neither_handed_out_nor_settled(
    nats_server: Endpoint, fresh_env: str
) -> None:
    async with a_rig(nats_server, fresh_env) as rig:
        reader, memory = BacklogReader(rig.bus), BacklogMemory()
        assert (await reader.read(rig.consumers(), memory)).events == 0
        for number in range(20):
            await rig.publisher.publish(an_envelope(number, "x" * 1000))
        deliveries = rig.deliveries()
        pulled = list(await deliveries.pull(8))
        figures = await reader.read(rig.consumers(), memory)
        assert figures.events == 20, "handed out is not done"
        assert 20_000 < figures.bytes < 30_000
        assert figures.lost == 0
        for delivery in pulled:
            delivery.settle(Settlement.ACK)
        await rig.bus.flush(5)
        await asyncio.sleep(0.2)
        figures = await reader.read(rig.consumers(), memory)
        assert figures.events == 20 - len(pulled)
        await deliveries.close()


async def test_large_events_behind_small_ones_count_with_their_own_size(
    nats_server: Endpoint, fresh_env: str
) -> None:
    async with a_rig(nats_server, fresh_env) as rig:
        reader, memory = BacklogReader(rig.bus), BacklogMemory()
        subject = f"greentic.events.{fresh_env}.{TENANT}.a"
        await asyncio.gather(*(rig.acked.publish(subject, b"{}", PLAIN) for _ in range(3000)))
        await reader.read(rig.consumers(), memory)
        admin = JetStreamAdmin(rig.bus)
        await admin.delete_consumer(rig.events_stream, names.FLOWS_DURABLE)
        await admin.ensure_consumer(
            streams.flows_consumer(fresh_env, TENANT, [">"], StreamLimits(), first_sequence=3001)
        )
        for _ in range(10):
            await rig.acked.publish(subject, b"x" * 100_000, PLAIN)
        figures = await reader.read(rig.consumers(), memory)
        assert figures.events == 10
        assert 1_000_000 <= figures.bytes < 1_050_000


async def test_lanes_and_due_continuations_are_backlog_and_waiting_ones_are_not(
    nats_server: Endpoint, fresh_env: str
) -> None:
    async with a_rig(nats_server, fresh_env) as rig:
        clock = SystemClock()
        continuations = JetStreamContinuations(rig.acked, env=fresh_env, clock=clock)
        event = Event("e1", "order.created", "webhook", 5, None)
        await continuations.schedule(TENANT, Continuation("due", "orders", event))
        due_ms = clock.now_ms() + 3_600_000
        later = Continuation("later", "orders", event, due_ms=due_ms)
        await continuations.schedule(TENANT, later)
        for lane in ("orders", "mails"):
            subject = work_lane_subject(fresh_env, TENANT, lane)
            await rig.acked.publish(subject, b"x" * 500, PLAIN)
        other = work_lane_subject(fresh_env, "other", "orders")
        await rig.acked.publish(other, b"x", PLAIN)
        figures = await BacklogReader(rig.bus).read(rig.consumers(), BacklogMemory())
        assert figures.events == 3
        assert figures.bytes > 0
        without = dataclasses.replace(rig.consumers(), work=None)
        assert (await BacklogReader(rig.bus).read(without, BacklogMemory())).events == 0


async def test_what_the_stream_lets_go_unprocessed_is_counted(
    nats_server: Endpoint, fresh_env: str
) -> None:
    limits = StreamLimits(events_bytes=200_000)
    async with a_rig(nats_server, fresh_env, limits=limits) as rig:
        quota = a_quota(rig, BacklogLimits())
        publisher = JetStreamEventPublisher(rig.acked, env=fresh_env, quota=quota)
        for number in range(100):
            await publisher.publish(an_envelope(number, "x" * 1000))
        await asyncio.sleep(0.2)
        assert rig.observer.of(EventsLost) == []
        for number in range(100, 400):
            await publisher.publish(an_envelope(number, "x" * 1000))
        info = await JetStreamAdmin(rig.bus).stream_info(rig.events_stream)
        assert info is not None
        gone = info.first_sequence - 1
        assert gone > 100
        await wait_until(lambda: sum(told.events for told in rig.observer.of(EventsLost)) >= gone)
        await asyncio.sleep(0.2)
        assert rig.observer.of(EventsLost)[-1].total == gone
        assert rig.observer.of(BacklogMeasured)[-1].lost == gone
        await quota.close()


async def test_what_a_burst_pushes_out_between_two_looks_at_an_idle_stream_is_lost(
    nats_server: Endpoint, fresh_env: str
) -> None:
    limits = StreamLimits(events_bytes=200_000)
    async with a_rig(nats_server, fresh_env, limits=limits) as rig:
        reader, memory = BacklogReader(rig.bus), BacklogMemory()
        assert (await reader.read(rig.consumers(), memory)).lost == 0
        for number in range(300):
            await rig.publisher.publish(an_envelope(number, "x" * 1000))
        info = await JetStreamAdmin(rig.bus).stream_info(rig.events_stream)
        assert info is not None
        assert (await reader.read(rig.consumers(), memory)).lost == info.first_sequence - 1 > 50


async def test_what_was_handed_out_before_it_went_is_not_lost(
    nats_server: Endpoint, fresh_env: str
) -> None:
    limits = StreamLimits(events_bytes=200_000)
    async with a_rig(nats_server, fresh_env, limits=limits) as rig:
        reader, memory = BacklogReader(rig.bus), BacklogMemory()
        deliveries = rig.deliveries()
        for number in range(400):
            await rig.publisher.publish(an_envelope(number, "x" * 1000))
            if number % 40 == 39:
                for delivery in await deliveries.pull(128):
                    delivery.settle(Settlement.ACK)
                assert (await reader.read(rig.consumers(), memory)).lost == 0
        await deliveries.close()


async def test_full_backlog_is_refused_and_taken_in_again_once_it_is_done(
    nats_server: Endpoint, fresh_env: str
) -> None:
    async with a_rig(nats_server, fresh_env) as rig:
        quota = a_quota(rig, BacklogLimits(events=50))
        publisher = JetStreamEventPublisher(rig.acked, env=fresh_env, quota=quota)
        stored = await publish_until_refused(publisher)
        assert 50 <= stored <= 55, "what this process published counts before the server tells"
        await wait_until(lambda: rig.observer.of(BacklogMeasured)[-1].events == stored)
        with pytest.raises(TransientError):
            await publisher.publish(an_envelope(600, hops=1))
        deliveries = rig.deliveries()
        done = 0
        while done < stored:
            for delivery in await deliveries.pull(64):
                delivery.settle(Settlement.ACK)
                done += 1

        async def insist() -> None:
            while True:
                try:
                    await publisher.publish(an_envelope(700))
                except QuotaExceededError:
                    await asyncio.sleep(0.01)
                else:
                    return

        await asyncio.wait_for(insist(), 10)
        await deliveries.close()
        await quota.close()


async def test_server_that_does_not_know_the_stream_is_an_error(
    nats_server: Endpoint, fresh_env: str
) -> None:
    async with a_rig(nats_server, fresh_env) as rig:
        await JetStreamAdmin(rig.bus).delete_stream(rig.events_stream)
        with pytest.raises(BusError):
            await BacklogReader(rig.bus).read(rig.consumers(), BacklogMemory())


async def test_server_that_is_gone_is_unavailable(
    killable_server: KillableServer, fresh_env: str
) -> None:
    async with a_rig(killable_server.endpoint, fresh_env) as rig:
        await killable_server.kill()
        with pytest.raises(UnavailableError):
            await BacklogReader(rig.bus).read(rig.consumers(), BacklogMemory())


async def test_pull_whose_consumer_is_gone_goes_silent_and_comes_back(
    nats_server: Endpoint, fresh_env: str
) -> None:
    """Asking is no proof of life: a consumer that was deleted is asked every second."""
    grace = 1.5
    async with a_rig(nats_server, fresh_env) as rig:
        admin, clock = JetStreamAdmin(rig.bus), SystemClock()
        only_events = dataclasses.replace(rig.consumers(), work=None)
        deliveries = TenantDeliveries(
            rig.hub, only_events, dead_letters=rig.dead_letters, observer=rig.observer
        )
        pulling = asyncio.create_task(deliveries.pull(8))

        def state() -> PullState:
            return state_of(deliveries, clock.monotonic(), grace)

        await wait_until(lambda: state() is PullState.POLLING)
        await admin.delete_consumer(rig.events_stream, names.FLOWS_DURABLE)
        await wait_until(lambda: state() is PullState.SILENT)
        await admin.ensure_consumer(
            streams.flows_consumer(fresh_env, TENANT, [">"], StreamLimits())
        )
        await rig.publisher.publish(an_envelope(1))
        [delivery] = await asyncio.wait_for(pulling, 10)
        assert state() is PullState.POLLING
        await wait_until(lambda: state() is not PullState.POLLING)
        assert state() is PullState.BUSY, "its flows have it in hand, and nobody asks for more"
        delivery.settle(Settlement.ACK)
        await deliveries.close()
        assert state() is PullState.STOPPED

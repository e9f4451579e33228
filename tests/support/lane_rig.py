"""Workers of one private lane on a real server, each with a connection of its own."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from actors.events import Event
from actors.outcomes import Settlement
from actors.ports import Continuation, LaneName
from actors.testing.observer import RecordingObserver
from app.bus.acked_publisher import AckedPublisher
from app.bus.admin import JetStreamAdmin
from app.bus.admin_specs import PinnedGroup
from app.bus.connection import Bus, BusSettings
from app.bus.continuations import JetStreamContinuations
from app.bus.dead_letters import JetStreamDeadLetters
from app.bus.direct import DirectReader
from app.bus.lane_deliveries import JetStreamLaneDeliveries, LaneDelivery, LanePlace
from app.bus.pinned import PIN_TTL_SECONDS, PRIORITY_GROUP
from app.bus.pulls import ConsumerName, PullHub
from app.bus.server_folder import Endpoint
from app.control import names, streams
from app.control.limits import StreamLimits
from app.system import SystemClock

TENANT = "acme"
LANE = "auth.login"
PATIENCE_SECONDS = 20.0


def a_continuation(number: int) -> Continuation:
    event = Event(f"e{number}", "order.created", "webhook", 5, {"n": number})
    return Continuation(f"r{number}", "auth/login", event, trigger=1)


@dataclass
class Worker:
    """One process's worth of client for one lane."""

    rig: "LaneRig"
    bus: Bus
    hub: PullHub
    reader: DirectReader
    acked: AckedPublisher
    observer: RecordingObserver
    is_dead: bool = False

    def lane(self, name: LaneName | None = None) -> JetStreamLaneDeliveries:
        name = name or self.rig.name
        durable = names.lane_durable(name.tenant, name.lane)
        place = LanePlace(
            self.rig.env,
            name,
            ConsumerName(self.rig.stream, durable),
            self.rig.limits.ack_wait_seconds,
        )
        return JetStreamLaneDeliveries(
            self.hub,
            place,
            reader=self.reader,
            dead_letters=JetStreamDeadLetters(self.acked, env=self.rig.env, observer=self.observer),
            observer=self.observer,
        )

    async def store(self, numbers: Sequence[int]) -> None:
        continuations = JetStreamContinuations(self.acked, env=self.rig.env, clock=SystemClock())
        for number in numbers:
            await continuations.schedule(TENANT, a_continuation(number), lane=self.rig.name.lane)

    async def info(self) -> dict[str, Any]:
        """What the server says of the lane's consumer."""
        answer = await self.bus.request(
            f"$JS.API.CONSUMER.INFO.{self.rig.stream}.{self.rig.durable}", b"", timeout_seconds=5
        )
        document: dict[str, Any] = json.loads(answer.data)
        return document

    async def pinned_id(self) -> str | None:
        [group] = (await self.info())["priority_groups"]
        pin: str | None = group.get("pinned_client_id")
        return pin

    async def unpin(self) -> None:
        """Take the pin from whoever has it, as an operator may."""
        await self.bus.request(
            f"$JS.API.CONSUMER.UNPIN.{self.rig.stream}.{self.rig.durable}",
            json.dumps({"group": PRIORITY_GROUP}).encode(),
            timeout_seconds=5,
        )

    async def die(self) -> None:
        """Vanish without a word: no nak, no unpin."""
        self.is_dead = True
        assert self.hub._upkeep is not None
        self.hub._upkeep.cancel()
        await self.bus.drain_and_close(0)

    async def close(self) -> None:
        if self.is_dead:
            return
        await self.hub.close()
        await self.reader.close()
        self.acked.close()
        await self.bus.drain_and_close(2)


@dataclass
class LaneRig:
    """A lane, and the workers that a test gave it."""

    endpoint: Endpoint
    env: str
    name: LaneName
    limits: StreamLimits
    pin_ttl_seconds: int
    workers: list[Worker] = field(default_factory=list)

    @property
    def stream(self) -> str:
        return names.work_stream(self.env, 0)

    @property
    def durable(self) -> str:
        return names.lane_durable(self.name.tenant, self.name.lane)

    async def worker(self) -> Worker:
        observer = RecordingObserver()
        settings = BusSettings(self.endpoint.url, self.endpoint.user, self.endpoint.password)
        bus = await Bus.connect(settings, observer, deadline_seconds=10)
        hub = await PullHub.start(bus, SystemClock(), observer)
        reader = await DirectReader.start(bus)
        acked = await AckedPublisher.start(bus, deadline_seconds=5)
        worker = Worker(self, bus, hub, reader, acked, observer)
        self.workers.append(worker)
        return worker

    async def ensure(self, bus: Bus) -> None:
        admin, env = JetStreamAdmin(bus), self.env
        work = streams.work_spec(env, 0, (f"greentic.work.{env}.>",), self.limits)
        for one in (work, *streams.shared_specs(env, self.limits)):
            await admin.ensure_stream(replace(one, replicas=self.limits.replicas))
        lane = names.TenantLane(self.name.tenant, self.name.lane)
        spec = streams.lane_consumer(env, lane, 0, self.limits, is_exclusive=self.name.is_exclusive)
        if spec.pinned is not None:
            spec = replace(spec, pinned=PinnedGroup(PRIORITY_GROUP, self.pin_ttl_seconds))
        await admin.ensure_consumer(spec)


@contextlib.asynccontextmanager
async def a_lane(
    endpoint: Endpoint,
    env: str,
    *,
    is_exclusive: bool = True,
    limits: StreamLimits | None = None,
    pin_ttl_seconds: int = PIN_TTL_SECONDS,
) -> AsyncIterator[LaneRig]:
    """Give a rig with its streams and its lane, and close its workers afterwards."""
    name = LaneName(TENANT, LANE, is_exclusive)
    rig = LaneRig(endpoint, env, name, limits or StreamLimits(), pin_ttl_seconds)
    maker = await rig.worker()
    try:
        await rig.ensure(maker.bus)
        yield rig
    finally:
        for worker in rig.workers:
            await worker.close()


async def pull(lane: JetStreamLaneDeliveries, messages_max: int = 100) -> list[LaneDelivery]:
    async with asyncio.timeout(PATIENCE_SECONDS):
        return list(await lane.pull(messages_max))


async def pull_all(lane: JetStreamLaneDeliveries, count: int) -> list[LaneDelivery]:
    """Pull until so many have come."""
    taken: list[LaneDelivery] = []
    while len(taken) < count:
        taken += await pull(lane)
    return taken


def numbers(deliveries: Sequence[LaneDelivery]) -> list[int]:
    return [delivery.event.payload["n"] for delivery in deliveries]


def settle(deliveries: Sequence[LaneDelivery], settlement: Settlement = Settlement.ACK) -> None:
    for delivery in deliveries:
        delivery.settle(settlement)

"""A tenant's streams, consumers and adapters on a real server, as the program sets them up."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from actors.ports import DeadLetters
from actors.testing.observer import RecordingObserver
from app.bus.acked_publisher import AckedPublisher
from app.bus.admin import JetStreamAdmin
from app.bus.connection import Bus, BusSettings
from app.bus.dead_letters import JetStreamDeadLetters
from app.bus.deliveries import TenantConsumers, TenantDeliveries
from app.bus.publisher import JetStreamEventPublisher
from app.bus.pulls import ConsumerName, PullHub
from app.bus.server_folder import Endpoint
from app.control import names, streams
from app.control.limits import StreamLimits
from app.system import SystemClock

TENANT = "acme"
PATIENCE_SECONDS = 20.0


@dataclass
class BusRig:
    """Everything of one process for one env with one tenant."""

    env: str
    bus: Bus
    observer: RecordingObserver
    acked: AckedPublisher
    hub: PullHub
    dead_letters: DeadLetters

    @property
    def publisher(self) -> JetStreamEventPublisher:
        return JetStreamEventPublisher(self.acked, env=self.env)

    @property
    def events_stream(self) -> str:
        return names.events_stream(self.env, TENANT)

    @property
    def work_stream(self) -> str:
        return names.work_stream(self.env, 0)

    def consumers(self) -> TenantConsumers:
        events = ConsumerName(self.events_stream, names.FLOWS_DURABLE)
        work = ConsumerName(self.work_stream, names.work_durable(TENANT))
        return TenantConsumers(self.env, TENANT, events, work)

    def deliveries(self) -> TenantDeliveries:
        return TenantDeliveries(
            self.hub, self.consumers(), dead_letters=self.dead_letters, observer=self.observer
        )

    async def ensure_streams(self, limits: StreamLimits | None = None) -> None:
        """Make the streams and consumers of the tenant."""
        limits = limits or StreamLimits()
        admin, env = JetStreamAdmin(self.bus), self.env
        await admin.ensure_stream(streams.events_spec(env, TENANT, limits))
        await admin.ensure_stream(streams.work_spec(env, 0, (f"greentic.work.{env}.>",), limits))
        await admin.ensure_stream(streams.runs_spec(env, 0, (f"greentic.runs.{env}.>",), limits))
        for spec in streams.shared_specs(env, limits):
            await admin.ensure_stream(spec)
        await admin.ensure_consumer(streams.flows_consumer(env, TENANT, [">"], limits))
        await admin.ensure_consumer(streams.work_consumer(env, TENANT, 0, limits))

    async def stored(self, stream: str) -> list[tuple[str, dict[str, str], Any]]:
        """Read a stream whole, message by message: subject, headers, document."""
        read = await self.stored_raw(stream)
        return [(subject, headers, json.loads(data)) for subject, headers, data in read]

    async def stored_raw(self, stream: str) -> list[tuple[str, dict[str, str], bytes]]:
        """Read a stream whole: subject, headers, data."""
        info = await JetStreamAdmin(self.bus).stream_info(stream)
        assert info is not None
        read = []
        for sequence in range(info.first_sequence, info.last_sequence + 1):
            question = json.dumps({"seq": sequence}).encode()
            answer = await self.bus.request(
                f"$JS.API.DIRECT.GET.{stream}", question, timeout_seconds=5
            )
            headers = answer.headers or {}
            if "Status" not in headers:
                read.append((headers["Nats-Subject"], headers, answer.data))
        return read

    async def wait_settled(self, stream: str, durable: str) -> None:
        """Wait until the consumer has nothing pending and nothing unsettled."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                info = await JetStreamAdmin(self.bus).consumer_info(stream, durable)
                if info is not None and info.pending == info.ack_pending == 0:
                    return
                await asyncio.sleep(0.02)

    async def ack_pending(self) -> int:
        """How many events the server has handed out that are not settled."""
        info = await JetStreamAdmin(self.bus).consumer_info(self.events_stream, names.FLOWS_DURABLE)
        assert info is not None
        return info.ack_pending


@contextlib.asynccontextmanager
async def a_rig(
    endpoint: Endpoint, env: str, *, limits: StreamLimits | None = None, deadline_seconds: float = 5
) -> AsyncIterator[BusRig]:
    """Give a rig with its streams, and close it afterwards."""
    observer = RecordingObserver()
    settings = BusSettings(endpoint.url, endpoint.user, endpoint.password, name=f"test-{env}")
    bus = await Bus.connect(settings, observer, deadline_seconds=10)
    acked = await AckedPublisher.start(bus, deadline_seconds=deadline_seconds)
    hub = await PullHub.start(bus, SystemClock(), observer)
    rig = BusRig(env, bus, observer, acked, hub, JetStreamDeadLetters(acked, env=env))
    try:
        await rig.ensure_streams(limits)
        yield rig
    finally:
        await hub.close()
        acked.close()
        await bus.drain_and_close(2)

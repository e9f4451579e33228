"""Everything that hangs on one connection to NATS: the adapters behind the core's ports.

In: a connection and an env. Out: a `BusSide` whose parts `program` hands to the trees and the
ingress. It opens nothing that `close` does not close.
"""

import uuid
from dataclasses import dataclass, field
from typing import Final, Self

from actors.nodes.step import World
from actors.ports import (
    Deliveries,
    LaneDeliveries,
    LaneName,
    Observer,
    ProviderActions,
    ScriptPool,
    Secrets,
)
from actors.quotas.quota import Quotas
from actors.runs.conclude import RunSinks
from app.bus.acked_publisher import PATIENT_SECONDS, AckedPublisher
from app.bus.answers import AnswerInbox, NatsAnswers
from app.bus.backlog import BacklogLimits, BacklogQuota
from app.bus.backlog_reading import BacklogReader
from app.bus.cancelling import RunCanceller
from app.bus.connection import Bus
from app.bus.continuations import JetStreamContinuations
from app.bus.dead_letters import JetStreamDeadLetters
from app.bus.deliveries import TenantConsumers, TenantDeliveries
from app.bus.direct import DirectReader
from app.bus.journal import JetStreamJournal
from app.bus.lane_deliveries import JetStreamLaneDeliveries, LanePlace
from app.bus.publisher import JetStreamEventPublisher
from app.bus.pull_health import PullState, state_of, with_lanes
from app.bus.pulls import ConsumerName, PullHub
from app.bus.rates import PacedActions, PacedHttpCaller, PlannedBacklog
from app.bus.records import JetStreamRunRecords
from app.bus.results import JetStreamResults
from app.bus.run_legs import JetStreamRunLegs
from app.bus.server_clock import ClockKeeper, ServerClock
from app.control.limits import StreamLimits
from app.control.names import (
    FLOWS_DURABLE,
    bucket_stream,
    dead_stream,
    events_stream,
    journal_stream,
    lane_durable,
    leases_bucket,
    state_bucket,
    work_durable,
    work_shard,
    work_stream,
)
from app.dead_letters.desk import DeadLetterDesk
from app.outbound import EgressPolicy, GuardedCaller
from app.stores.kv import KvBucket
from app.stores.state import KvStateStore
from app.system import SystemClock, UlidIds

WORK_SHARDS: Final = 1
"""Fixed when an env is created (DESIGN 3); more of them come with placement."""


@dataclass(frozen=True, slots=True)
class NodePorts:
    """Ports of nodes that are more than an adapter of the bus."""

    actions: ProviderActions
    scripts: ScriptPool
    secrets: Secrets


@dataclass(slots=True)
class BusSide:
    """The adapters of one process. Make one with `BusSide.open`."""

    bus: Bus
    env: str
    observer: Observer
    clock: SystemClock
    publisher: AckedPublisher
    """Of events: whoever sends them waits, and repeats."""
    patient: AckedPublisher
    """Of what workers store: it outlasts the election of a leader."""
    quota: BacklogQuota
    quotas: Quotas
    hub: PullHub
    reader: DirectReader
    inbox: AnswerInbox
    world: World
    sinks: RunSinks
    desk: DeadLetterDesk
    http: GuardedCaller
    keeper: ClockKeeper
    pulls: dict[str, TenantDeliveries] = field(default_factory=dict)
    """The open pull of each tenant, for readiness."""
    lanes: dict[LaneName, JetStreamLaneDeliveries] = field(default_factory=dict)
    """The pulls of private lanes, for readiness; one that has ended is nobody's concern."""

    @classmethod
    async def open(
        cls,
        bus: Bus,
        *,
        env: str,
        observer: Observer,
        nodes: NodePorts,
        egress: EgressPolicy,
        backlog: BacklogLimits,
    ) -> Self:
        """Subscribe to what the process needs."""
        clock = ServerClock()
        keeper = await ClockKeeper.start(clock, bus, bucket_stream(leases_bucket(env)))
        http = GuardedCaller(egress, clock=clock, observer=observer)
        publisher = await AckedPublisher.start(bus)
        patient = await AckedPublisher.start(bus, deadline_seconds=PATIENT_SECONDS)
        quotas = Quotas(clock, observer)
        quota = BacklogQuota(
            PlannedBacklog(backlog, quotas),
            lambda tenant: consumers_of(env, tenant),
            reader=BacklogReader(bus),
            observer=observer,
            clock=clock,
        )
        reader = await DirectReader.start(bus)
        world = World(
            env=env,
            publisher=JetStreamEventPublisher(publisher, env=env, quota=quota, quotas=quotas),
            continuations=JetStreamContinuations(patient, env=env, clock=clock),
            state=open_state(bus, env, clock),
            http=PacedHttpCaller(http, quotas),
            answers=NatsAnswers(bus),
            observer=observer,
            clock=clock,
            ids=UlidIds(),
            actions=PacedActions(nodes.actions, quotas),
            scripts=nodes.scripts,
            secrets=nodes.secrets,
            journal=open_journal(patient, reader, env),
            legs=JetStreamRunLegs(bus, env=env, stream_of=lambda tenant: work_of(env, tenant)),
            meter=quotas,
        )
        return cls(
            bus=bus,
            env=env,
            observer=observer,
            clock=clock,
            publisher=publisher,
            patient=patient,
            quota=quota,
            quotas=quotas,
            hub=await PullHub.start(bus, clock, observer),
            reader=reader,
            inbox=await AnswerInbox.start(bus, uuid.uuid4().hex),
            world=world,
            sinks=open_sinks(patient, env, observer),
            desk=open_desk(reader, world),
            http=http,
            keeper=keeper,
        )

    def open_deliveries(self, tenant: str) -> Deliveries:
        """Begin a fresh pull of a tenant's events and continuations."""
        deliveries = TenantDeliveries(
            self.hub,
            consumers_of(self.env, tenant),
            dead_letters=self.sinks.dead_letters,
            observer=self.observer,
        )
        self.pulls[tenant] = deliveries
        return deliveries

    def open_lane(self, name: LaneName) -> LaneDeliveries:
        """Begin a fresh pull of a private lane; ValueError while an earlier one is open."""
        stream = work_stream(self.env, work_shard(name.tenant, WORK_SHARDS))
        place = LanePlace(
            env=self.env,
            name=name,
            consumer=ConsumerName(stream, lane_durable(name.tenant, name.lane)),
            ack_wait_seconds=StreamLimits().ack_wait_seconds,
        )
        deliveries = JetStreamLaneDeliveries(
            self.hub,
            place,
            reader=self.reader,
            dead_letters=self.sinks.dead_letters,
            observer=self.observer,
        )
        self.lanes[name] = deliveries
        return deliveries

    def pull_states(
        self, tenants: frozenset[str], silent_seconds_max: float
    ) -> dict[str, PullState]:
        """Tell how the pulls of each of these tenants are doing, its lanes among them."""
        now = self.clock.monotonic()
        lanes: dict[str, list[PullState]] = {tenant: [] for tenant in tenants}
        for name, lane in list(self.lanes.items()):
            if lane.is_closed:
                del self.lanes[name]
            elif name.tenant in lanes:
                lanes[name.tenant].append(state_of(lane, now, silent_seconds_max))
        return {
            tenant: with_lanes(
                state_of(self.pulls.get(tenant), now, silent_seconds_max), lanes[tenant]
            )
            for tenant in sorted(tenants)
        }

    async def close(self, timeout_seconds: float) -> None:
        """Close what was opened; publishes under way are flushed first."""
        await self.quota.close()
        await self.keeper.close()
        await self.hub.close()
        await self.inbox.close()
        await self.reader.close()
        await self.http.close()
        await self.bus.flush(timeout_seconds)
        self.publisher.close()
        self.patient.close()
        await self.bus.drain_and_close(timeout_seconds)


def open_state(bus: Bus, env: str, clock: SystemClock) -> KvStateStore:
    """Give the state of an env's flows."""
    bucket = KvBucket(bus, state_bucket(env))
    return KvStateStore(bucket, clock, is_replicated=lambda: bus.lone_server is None)


def open_journal(publisher: AckedPublisher, reader: DirectReader, env: str) -> JetStreamJournal:
    """Give the journals of an env's runs."""

    def stream_of(tenant: str) -> str:
        return journal_stream(env, work_shard(tenant, WORK_SHARDS))

    return JetStreamJournal(publisher, reader, env=env, stream_of=stream_of)


def open_sinks(publisher: AckedPublisher, env: str, observer: Observer) -> RunSinks:
    """Give the places where ended runs go."""
    return RunSinks(
        results=JetStreamResults(publisher, env=env),
        records=JetStreamRunRecords(publisher, env=env),
        dead_letters=JetStreamDeadLetters(publisher, env=env, observer=observer),
    )


def open_desk(reader: DirectReader, world: World) -> DeadLetterDesk:
    """Give the desk of the env's dead letters."""
    return DeadLetterDesk(
        reader, world.continuations, world.clock, env=world.env, stream=dead_stream(world.env)
    )


def consumers_of(env: str, tenant: str) -> TenantConsumers:
    """Name the consumers of a tenant."""
    work = work_stream(env, work_shard(tenant, WORK_SHARDS))
    return TenantConsumers(
        env=env,
        tenant=tenant,
        events=ConsumerName(events_stream(env, tenant), FLOWS_DURABLE),
        work=ConsumerName(work, work_durable(tenant)),
    )


async def open_canceller(bus: Bus, env: str) -> RunCanceller:
    """Make what cancels runs, for a process that runs none itself."""
    publisher, reader = await AckedPublisher.start(bus), await DirectReader.start(bus)
    journal = open_journal(publisher, reader, env)
    return RunCanceller(
        publisher,
        journal,
        SystemClock(),
        env=env,
        stream_of=lambda tenant: work_of(env, tenant),
    )


def work_of(env: str, tenant: str) -> str:
    """Name the stream of a tenant's continuations."""
    return work_stream(env, work_shard(tenant, WORK_SHARDS))

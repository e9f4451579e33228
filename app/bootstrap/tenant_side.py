"""The desks for a tenant's own things, over the adapters of the process: what its API works with.

In: the adapters, the audit log, the secrets, what is in force. Out: `TenantDesks`. Refuses nothing.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from actors.tenants.deployment import Deployment
from app.accounts.desk import LoginDesk
from app.accounts.logins import KvBusLogins
from app.audit.log import AuditLog
from app.bootstrap.bus_side import WORK_SHARDS, BusSide, work_of
from app.bus.cancelling import RunCanceller
from app.control.credentials import tombstone_gate
from app.control.event_desk import EventDesk, EventPorts
from app.control.flow_desk import FlowDesk
from app.control.names import (
    bus_logins_bucket,
    events_stream,
    runs_stream,
    timers_bucket,
    work_shard,
)
from app.control.run_desk import RunDesk, RunHistory, RunPorts
from app.control.secret_desk import SecretDesk
from app.control.timer_desk import TimerDesk, TimerStarter
from app.history.metering.reading import UsageWindows
from app.stores.kv import KvBucket
from app.stores.pauses import KvTimerPauses
from app.stores.secrets import KvSecrets
from app.stores.ticks import LastTicks


@dataclass(frozen=True, slots=True)
class InForce:
    """`DeployedFlows` of this process."""

    deployments: Callable[[], Mapping[str, Deployment]]

    def find(self, tenant: str) -> Deployment | None:
        """Give a tenant's deployment in force here."""
        return self.deployments().get(tenant)


@dataclass(frozen=True, slots=True)
class TenantDesks:
    """A desk for each kind of thing. Make them with `open_tenant_desks`."""

    events: EventDesk
    runs: RunDesk
    timers: TimerDesk
    starter: TimerStarter
    secrets: SecretDesk
    logins: LoginDesk
    flows: FlowDesk
    usage: UsageWindows


def open_tenant_desks(
    side: BusSide,
    audit: AuditLog,
    secrets: KvSecrets,
    deployments: Callable[[], Mapping[str, Deployment]],
    history: RunHistory | None = None,
) -> TenantDesks:
    """Make the desks; ``deployments`` gives what is in force in this process, by tenant."""
    world, clock = side.world, side.clock
    logins = KvBusLogins(KvBucket(side.bus, bus_logins_bucket(side.env)), clock)
    pauses = KvTimerPauses(KvBucket(side.bus, timers_bucket(side.env)))
    ticks = LastTicks(side.bus, env=side.env, stream_of=events_stream)
    in_force = InForce(deployments)
    gate = tombstone_gate(side.bus, side.env)
    events = EventPorts(
        reader=side.reader,
        publisher=world.publisher,
        audit=audit,
        clock=clock,
        ids=world.ids,
        is_served=lambda tenant: in_force.find(tenant) is not None,
    )
    return TenantDesks(
        events=EventDesk(events, env=side.env),
        runs=RunDesk(_run_ports(side, audit, history), env=side.env),
        timers=TimerDesk(pauses, ticks, audit, clock),
        starter=TimerStarter(world.publisher, audit, clock, world.ids),
        secrets=SecretDesk(secrets, audit, gate),
        logins=LoginDesk(logins, audit, gate),
        flows=FlowDesk(in_force),
        usage=UsageWindows(side.reader, side.env),
    )


def _run_ports(side: BusSide, audit: AuditLog, history: RunHistory | None) -> RunPorts:
    env, world = side.env, side.world
    canceller = RunCanceller(
        side.patient,
        world.journal,
        side.clock,
        env=env,
        stream_of=lambda tenant: work_of(env, tenant),
    )
    return RunPorts(
        reader=side.reader,
        journal=world.journal,
        legs=world.legs,
        canceller=canceller,
        audit=audit,
        clock=side.clock,
        stream_of=lambda tenant: runs_stream(env, work_shard(tenant, WORK_SHARDS)),
        history=history,
    )

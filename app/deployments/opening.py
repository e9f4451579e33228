"""A desk of deployments on a connection to NATS.

In: a connection, an env, what the process brings of its own. Out: the store, the desk. Refuses
(NotFoundError) an env that the server does not have.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from actors.ports import Clock
from app.audit.log import AuditLog
from app.bundle.flow_cache import FlowCache
from app.bundle.reading import Bundle
from app.bus.admin import JetStreamAdmin
from app.bus.connection import Bus
from app.control import names
from app.control.control import Control
from app.deployments.desk import DeploymentDesk
from app.deployments.parts import DeskParts, Workers
from app.deployments.reading import DeploymentReader
from app.deployments.store import DeploymentStore
from app.errors import NotFoundError
from app.stores.archives import ArchiveObjects
from app.stores.kv import KvBucket
from app.stores.secrets import KvSecrets
from app.tenancy.store import TenantStore


@dataclass(frozen=True, slots=True)
class DeskNeeds:
    """What a process brings to a desk of its own."""

    audit: AuditLog
    secrets: KvSecrets
    clock: Clock
    check: Callable[[Bundle], None] = lambda _: None
    workers: Workers | None = None
    environment: Mapping[str, str] | None = field(default=None, repr=False)
    """Of the operator, for what a folder owns."""
    stand_ins: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, repr=False)
    flows: FlowCache = field(default_factory=FlowCache, repr=False)


def open_store(bus: Bus, env: str, clock: Clock) -> DeploymentStore:
    """Give the deployments of an env."""
    bucket = KvBucket(bus, names.deployments_bucket(env))
    return DeploymentStore(bucket, ArchiveObjects(bus, names.bundles_bucket(env)), clock)


def open_desk(bus: Bus, env: str, needs: DeskNeeds) -> DeploymentDesk:
    """Give the desk of an env."""
    return DeploymentDesk(
        DeskParts(
            env=env,
            store=open_store(bus, env, needs.clock),
            reader=DeploymentReader(
                env, needs.secrets, needs.environment, needs.stand_ins, needs.flows
            ),
            tenants=TenantStore(KvBucket(bus, names.tenants_bucket(env)), needs.clock),
            events=Control(bus, env),
            audit=needs.audit,
            clock=needs.clock,
            check=needs.check,
            workers=needs.workers,
        )
    )


async def check_env(bus: Bus, env: str) -> None:
    """Return if the server has the env. NotFoundError."""
    admin = JetStreamAdmin(bus)
    for bucket in (names.deployments_bucket(env), names.tenants_bucket(env)):
        if await admin.stream_info(names.bucket_stream(bucket)) is None:
            raise NotFoundError(f"the server has no env {env!r}; its first 'start' makes it")
    if await admin.stream_info(names.object_stream(names.bundles_bucket(env))) is None:
        raise NotFoundError(f"env {env!r} keeps no bundles yet; its next 'start' makes room")

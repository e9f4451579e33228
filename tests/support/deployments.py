"""Deployments on a real server: a rig with a desk, tenants and a fleet that says what it is told.

In: an endpoint, an env. Out: the rig. Bundles are made of texts, in memory.
"""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from actors.testing.clock import VirtualClock
from app.audit.entry import AuditEntry, Who
from app.audit.reading import AuditFilter
from app.bootstrap.audit_side import AuditSide
from app.bundle.archive import BundleArchive, open_archive, pack_bundle
from app.bundle.files import MemoryFiles
from app.bundle.reading import Bundle, read_bundle
from app.bus.connection import Bus
from app.bus.server_folder import Endpoint
from app.control.control import Control
from app.control.credentials import ensure_credential_buckets
from app.control.names import secrets_bucket, tenants_bucket
from app.deployments.desk import DeploymentDesk
from app.deployments.opening import DeskNeeds, open_desk, open_store
from app.deployments.provider_check import provider_check
from app.deployments.store import DeploymentStore
from app.fleet.fleet import Acknowledgement
from app.settings.sealing_key import format_key
from app.settings.secrets import SecretsSection
from app.stores.key_source import KeySource
from app.stores.kv import KvBucket
from app.stores.secrets import KvSecrets
from app.system import SystemClock
from app.tenancy.desk import NewTenant, TenantDesk
from app.tenancy.store import TenantStore
from tests.support.bus import DeafObserver, connected

ANN = Who("cli:ann@desk", "cli")
BEN = Who("cli:ben@desk", "cli")
MANIFEST = "name: shop\nversion: '{version}'\n"


def a_flow(name: str, event_type: str = "order.created", script: str = "1") -> str:
    """Write a flow with one trigger and one step."""
    return json.dumps(
        {
            "name": name,
            "version": "1",
            "triggers": [{"type": "event", "event_type": event_type, "target": "one"}],
            "nodes": [{"id": "one", "type": "script", "config": {"script": script}}],
        }
    )


def an_archive(
    version: str = "1",
    flows: Mapping[str, str] | None = None,
    answers: Mapping[str, Any] | None = None,
    manifest: str = "",
) -> BundleArchive:
    """Pack a bundle of flows' texts by their names."""
    texts = {"take": a_flow("take")} if flows is None else flows
    contents = {f"flows/{name}.ygtc": text.encode() for name, text in texts.items()}
    contents["greentic.demo.yaml"] = (MANIFEST.format(version=version) + manifest).encode()
    if answers is not None:
        contents["answers.json"] = json.dumps(answers).encode()
    return pack_bundle(MemoryFiles(contents))


def a_bundle(archive: BundleArchive, tenant: str) -> Bundle:
    """Read an archive as a `start` does."""
    return read_bundle(open_archive(archive.content), environment={}, secrets={}, tenant=tenant)


@dataclass
class ToldFleet:
    """A fleet that answers what it is told, and remembers what it was asked."""

    answer: Acknowledgement = field(default_factory=lambda: Acknowledgement(("w1",), {}, (), 0.1))
    asked: list[tuple[int, float]] = field(default_factory=list)

    async def wait_acknowledged(self, revision: int, timeout_seconds: float) -> Acknowledgement:
        """Answer at once."""
        self.asked.append((revision, timeout_seconds))
        return self.answer


@dataclass
class DeploymentRig:
    """A desk, and ways to look behind it."""

    bus: Bus
    env: str
    clock: VirtualClock
    audit: AuditSide
    control: Control
    secrets: KvSecrets
    tenants: TenantDesk
    store: DeploymentStore
    fleet: ToldFleet
    desk: DeploymentDesk

    async def add(self, tenant: str) -> None:
        """Make a tenant."""
        await self.tenants.add(ANN, NewTenant(tenant))

    async def entries(self) -> list[AuditEntry]:
        """Give the audit log's entries about deployments, the oldest first."""
        page = await self.audit.reader.page(None, AuditFilter(), order="oldest")
        found = [kept.entry for kept in page.entries if kept.entry is not None]
        return [entry for entry in found if entry.action.startswith("deployment.")]


@asynccontextmanager
async def deployment_rig(server: Endpoint, env: str, folder: Path) -> AsyncIterator[DeploymentRig]:
    """Make an env with nothing in it."""
    async with connected(server) as bus:
        control = Control(bus, env)
        await control.ensure([])
        await ensure_credential_buckets(bus, env)
        clock = VirtualClock(epoch_ms=SystemClock().now_ms())
        audit = await AuditSide.open(bus, env, clock, DeafObserver())
        section = SecretsSection(key=SecretStr(format_key(bytes(range(32)))))
        keys = KeySource(section, env, folder)
        secrets = KvSecrets(KvBucket(bus, secrets_bucket(env)), env, keys)
        tenants = TenantStore(KvBucket(bus, tenants_bucket(env)), clock)
        fleet = ToldFleet()
        needs = DeskNeeds(
            audit=audit.log,
            secrets=secrets,
            clock=clock,
            check=provider_check(env, clock),
            workers=fleet,
            environment={"ORDERS_URL": "https://orders.example"},
        )
        try:
            yield DeploymentRig(
                bus=bus,
                env=env,
                clock=clock,
                audit=audit,
                control=control,
                secrets=secrets,
                tenants=TenantDesk(tenants, audit.log, clock, plans=[]),
                store=open_store(bus, env, clock),
                fleet=fleet,
                desk=open_desk(bus, env, needs),
            )
        finally:
            await audit.close()

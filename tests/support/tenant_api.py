"""The API of tenants' own things over a real server, with keys of every kind.

In: a server, an env. Out: a `TenantRig` whose streams are made, with two flows of ``acme`` in
force; nothing runs them.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from starlette.routing import Mount

from actors.flows.compiler import compile_flow
from actors.nodes.resources import FlowResources
from actors.ports import NoProviderActions, NoScriptPool, NoSecrets
from actors.tenants.deployment import Deployment
from app.audit.entry import AuditEntry
from app.audit.reading import AuditFilter
from app.bootstrap.audit_side import AuditSide
from app.bootstrap.bus_side import BusSide, NodePorts
from app.bootstrap.tenant_side import TenantDesks, open_tenant_desks
from app.bundle.yaml import read_yaml
from app.bus.backlog import BacklogLimits
from app.bus.server_folder import Endpoint
from app.control.control import Control, TenantSubscriptions
from app.control.credentials import ensure_credential_buckets
from app.control.names import secrets_bucket
from app.http.api import ROOT, build_api
from app.http.api_access import ApiAccess
from app.http.event_api import EventApi
from app.http.flow_api import FlowApi
from app.http.login_api import LoginApi
from app.http.pages import build_admin_app
from app.http.run_api import RunApi
from app.http.secret_api import SecretApi
from app.http.timer_api import TimerApi
from app.http.usage_windows_api import UsageWindowsApi
from app.identity.authentication import Authenticator
from app.identity.lock_out import LockOut
from app.identity.principal import Principal
from app.outbound import EgressPolicy
from app.settings.secrets import SecretsSection
from app.stores.key_source import KeySource
from app.stores.kv import KvBucket
from app.stores.secrets import KvSecrets
from tests.support.bus import DeafObserver, connected
from tests.support.ingress import Client, Reply

TENANT = "acme"
OTHER = "other"

ORDERS = """
name: orders/new
version: "3"
description: Takes orders.
config:
  timeout: 5000
  concurrency: {limit: 2, key: "payload.customer"}
  retry_policy: {max_retries: 2, backoff: fixed, initial_ms: 1000, max_ms: 1000}
triggers:
  - {type: event, event_type: "order.*", target: big, filter: "payload.total > 1"}
  - {type: timer, cron: "0 4 * * *", timezone: Europe/Riga, target: big}
  - {type: timer, cron: "30 4 * * *", target: big}
nodes:
  - {id: big, type: branch, config: {conditions: [{expression: "payload.total > 100", next: say}], default: done}}
  - {id: say, type: template, config: {template: "big"}}
  - {id: lost, type: template, config: {template: "nobody comes here"}}
"""
NIGHTLY = """
name: nightly
version: "1"
triggers: [{type: timer, cron: "0 0 1 1 *", target: say}]
nodes: [{id: say, type: template, config: {template: "x"}}]
"""

_KEYS = {
    "reader": Principal.of("readkey0", "reader", TENANT, ["tenant-read"]),
    "publisher": Principal.of("publish0", "publisher", TENANT, ["tenant-publish"]),
    "operator": Principal.of("operator", "operator", TENANT, ["tenant-operator"]),
    "admin": Principal.of("adminkey", "admin", TENANT, ["tenant-admin"]),
    "other": Principal.of("otherkey", "other", OTHER, ["tenant-admin"]),
    "platform": Principal.of("platform", "platform", None, ["platform-admin"]),
}


class _Ring:
    def find(self, token: str) -> Principal | None:
        return _KEYS.get(token)


@dataclass
class TenantRig:
    """The API, and what it stands on."""

    env: str
    client: Client
    side: BusSide
    audit: AuditSide
    desks: TenantDesks
    secrets: KvSecrets

    async def ask(
        self, method: str, path: str, body: Any = None, *, key: str = "admin", tenant: str = TENANT
    ) -> Reply:
        """Ask for a path below the tenant's, which may have a query and escapes."""
        path, _, query = path.partition("?")
        data = (
            body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        )
        return await self.client.request(
            method,
            f"{ROOT}/tenants/{tenant}/{unquote(path)}",
            headers={"authorization": f"Bearer {key}"},
            parts=[data],
            query=query.encode(),
        )

    async def audited(self, action: str) -> list[AuditEntry]:
        """Give the tenant's entries of an action, the newest first."""
        page = await self.audit.reader.page(TENANT, AuditFilter(action=action))
        return [kept.entry for kept in page.entries if kept.entry is not None]


@contextlib.asynccontextmanager
async def a_tenant_rig(endpoint: Endpoint, env: str, folder: Path) -> AsyncIterator[TenantRig]:
    """Give the rig, and close it afterwards."""
    async with connected(endpoint) as bus:
        await ensure_credential_buckets(bus, env)
        await Control(bus, env).ensure([TenantSubscriptions(each, {}) for each in (TENANT, OTHER)])
        side = await BusSide.open(
            bus,
            env=env,
            observer=DeafObserver(),
            nodes=NodePorts(NoProviderActions(), NoScriptPool(), NoSecrets()),
            egress=EgressPolicy(),
            backlog=BacklogLimits(),
        )
        audit = await AuditSide.open(bus, env, side.clock, DeafObserver())
        source = KeySource(SecretsSection(), env, folder)
        secrets = KvSecrets(KvBucket(bus, secrets_bucket(env)), env, source)
        flows = [
            compile_flow(read_yaml(text, "flow.ygtc").data, FlowResources())
            for text in (ORDERS, NIGHTLY)
        ]
        deployment = Deployment(
            TENANT, "r1", {flow.name: flow for flow in flows}, {"orders/new#1": 7}
        )
        desks = open_tenant_desks(side, audit.log, secrets, lambda: {TENANT: deployment})
        client = Client(_admin_app(side, desks))
        try:
            yield TenantRig(env, client, side, audit, desks, secrets)
        finally:
            await audit.close()
            await asyncio.wait_for(side.close(2), 10)


def _admin_app(side: BusSide, desks: TenantDesks) -> Any:
    observer, clock = DeafObserver(), side.clock
    access = ApiAccess(Authenticator(_Ring(), LockOut(lambda: 0.0), observer), observer)
    resources = [
        EventApi(desks.events, access, clock).resource(),
        RunApi(desks.runs, access, clock).resource(),
        TimerApi(desks.timers, desks.starter, desks.flows, access, clock).resource(),
        SecretApi(desks.secrets, access).resource(),
        LoginApi(desks.logins, access, clock).resource(),
        FlowApi(desks.flows, access).resource(),
        UsageWindowsApi(desks.usage, access, clock).resource(),
    ]
    api = Mount(ROOT, build_api(resources, access))
    return build_admin_app(lambda: (), lambda: (b"", "text/plain"), [api])

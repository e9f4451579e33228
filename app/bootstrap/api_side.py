"""The API of a process: its resources, one line each, over the desks that do the work.

In: `ApiParts`. Out: what the admin application serves below ``/api/v1``. Refuses nothing.

FastAPI takes a tenth of a second to import, which every command would pay: import this module where
the admin address is served, not at the top of others.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from starlette.routing import BaseRoute, Mount

from actors.ports import Clock
from actors.quotas.quota import Quotas
from app.bootstrap.audit_side import AuditSide
from app.bootstrap.deploy_side import DeploySide
from app.bootstrap.tenant_side import TenantDesks
from app.control.keys import KeyDesk
from app.dead_letters.desk import DeadLetterDesk
from app.deployments.handover import Receiver
from app.http.api import ROOT, build_api
from app.http.api_access import ApiAccess
from app.http.api_route import Resource
from app.http.audit_api import AuditApi
from app.http.dead_letters import DeadLetterApi
from app.http.deployment_api import DeploymentApi
from app.http.event_api import EventApi
from app.http.flow_api import FlowApi
from app.http.key_api import KeyApi
from app.http.login_api import LoginApi
from app.http.run_api import RunApi
from app.http.secret_api import SecretApi
from app.http.tenant_api import TenantApi
from app.http.timer_api import TimerApi
from app.http.usage_api import UsageApi
from app.http.usage_windows_api import UsageWindowsApi
from app.http.worker_api import WorkerApi
from app.tenancy.living import LivingTenants


@dataclass(frozen=True, slots=True)
class ApiParts:
    """What the resources work with."""

    access: ApiAccess
    clock: Clock
    audit: AuditSide
    keys: KeyDesk
    letters: DeadLetterDesk
    quotas: Quotas
    tenants: TenantDesks
    deploys: DeploySide


def api_routes(parts: ApiParts) -> Sequence[BaseRoute]:
    """Give the routes of the API."""
    living = LivingTenants(parts.deploys.directory, parts.deploys.tenants)
    parts = replace(parts, access=replace(parts.access, check_living=living.check))
    return [Mount(ROOT, build_api(api_resources(parts), parts.access))]


def api_resources(parts: ApiParts) -> list[Resource]:
    """Give what there is in the API: a line for each resource."""
    access, clock, desks = parts.access, parts.clock, parts.tenants
    return [
        KeyApi(parts.keys, access, clock).resource(),
        DeadLetterApi(parts.letters, access, parts.audit.log, clock).resource(),
        AuditApi(parts.audit.reader, access, clock).resource(),
        UsageApi(parts.quotas, parts.deploys.control.stored, access).resource(),
        UsageWindowsApi(desks.usage, access, clock).resource(),
        EventApi(desks.events, access, clock).resource(),
        RunApi(desks.runs, access, clock).resource(),
        TimerApi(desks.timers, desks.starter, desks.flows, access, clock).resource(),
        SecretApi(desks.secrets, access).resource(),
        LoginApi(desks.logins, access, clock).resource(),
        FlowApi(desks.flows, access).resource(),
        TenantApi(parts.deploys.tenants, access).resource(),
        WorkerApi(parts.deploys.fleet, access).resource(),
        DeploymentApi(Receiver(parts.deploys.desk, desks.secrets), access).resource(),
    ]

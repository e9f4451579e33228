"""The API of usage, ``/api/v1/tenants/{tenant}/usage``.

    GET …    what the tenant has used of its plan in the process that answers, since it began, and
             what it has stored

In: requests with an API key that has the scope ``tenant-read`` for the tenant. Out: JSON. Refuses
tenants that this process does not have (404), and 503 while nobody tells what is stored.
"""

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Final, Literal

from actors.quotas.quota import Quotas, TenantQuota
from app.control.control import StoredBytes
from app.errors import TenantNotFoundError
from app.http.api_access import ApiAccess
from app.http.api_models import ViewModel
from app.http.api_route import Operation, Resource, Tenant
from app.identity.scopes import TENANT_READ

Stored = Callable[[str], Awaitable[StoredBytes]]
"""Tells what a tenant's events and results take now."""

PATH: Final = "/tenants/{tenant}/usage"


class UsageView(ViewModel):
    """Limits, and what was used of them. docs/plans.md explains their names."""

    tenant: str
    plan: str
    limits: dict[str, int | float | None]
    """Null: there is no such limit."""
    used: dict[str, int | float]
    divided: dict[str, int]
    """Among how many processes rates are: ``takers`` of events, and ``workers`` for the rest."""
    scope: Literal["process"]
    """All but what is stored is counted by the process that answers, since it began."""


class UsageApi:
    """The handler; `resource` gives what the API needs."""

    def __init__(self, quotas: Quotas, stored: Stored, access: ApiAccess) -> None:
        self._quotas = quotas
        self._stored = stored
        self._access = access

    def resource(self) -> Resource:
        """Give the operation."""
        usage = Resource("usage", self._access)
        usage.add("GET", PATH, self.show, Operation(TENANT_READ))
        return usage

    async def show(self, tenant: Tenant) -> UsageView:
        """Give a tenant's limits and what it has used of them."""
        quota = self._quotas.find(tenant)
        if quota is None:
            raise TenantNotFoundError("this process has no such tenant")
        return _view(quota, await self._stored(tenant))


def _view(quota: TenantQuota, stored: StoredBytes) -> UsageView:
    limits = asdict(quota.plan)
    plan = limits.pop("name")
    limits["stored_bytes"] = limits["stored_bytes"] or stored.limit or None
    return UsageView(
        tenant=quota.tenant,
        plan=plan,
        limits=limits,
        used={
            **asdict(quota.usage),
            "concurrent_runs": quota.places.taken,
            "stored_bytes": stored.now,
        },
        divided={"takers": quota.share.takers, "workers": quota.share.workers},
        scope="process",
    )

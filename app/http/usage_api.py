"""The API of usage, ``/api/v1/tenants/{tenant}/usage``.

    GET …    what the tenant has used of its plan in the process that answers, since it began

In: requests with an API key that has the scope ``tenant-read`` for the tenant. Out: JSON. Refuses
tenants that this process does not have (404).
"""

from dataclasses import asdict
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from actors.quotas.quota import Quotas, TenantQuota
from app.errors import TenantNotFoundError
from app.http.api_access import ApiAccess
from app.http.api_input import NO_STORE
from app.identity.scopes import TENANT_READ

PATH: Final = "/api/v1/tenants/{tenant}/usage"


class UsageApi:
    """The handler; `routes` gives what a Starlette application needs."""

    def __init__(self, quotas: Quotas, access: ApiAccess) -> None:
        self._quotas = quotas
        self._access = access

    def routes(self) -> list[Route]:
        """Give the routes."""
        return [Route(PATH, self.show, methods=["GET"])]

    async def show(self, request: Request) -> Response:
        """Answer with a tenant's limits and what it has used of them."""
        tenant = self._access.tenant_of(request, TENANT_READ)
        quota = self._quotas.find(tenant)
        if quota is None:
            raise TenantNotFoundError("this process has no such tenant")
        return JSONResponse(usage_document(quota), headers=NO_STORE)


def usage_document(quota: TenantQuota) -> dict[str, Any]:
    """Write down limits and usage; a limit that is null there is not."""
    limits = asdict(quota.plan)
    plan = limits.pop("name")
    used = asdict(quota.usage)
    return {
        "tenant": quota.tenant,
        "plan": plan,
        "limits": limits,
        "used": {**used, "concurrent_runs": quota.places.taken},
        "scope": "process",
    }

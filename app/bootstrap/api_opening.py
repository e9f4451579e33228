"""Bringing the API up without stopping everything else.

In: what a process has open. Out: the API's routes. Refuses nothing. Importing FastAPI and building
the models takes half a second: that happens in a thread, and only in a process that serves the
admin address.
"""

import asyncio
import importlib
from collections.abc import Sequence

from starlette.routing import BaseRoute

from app.bootstrap.audit_side import AuditSide
from app.bootstrap.bus_side import BusSide
from app.bootstrap.deploy_side import DeploySide
from app.bootstrap.tenant_side import TenantDesks
from app.control.keys import KeyDesk
from app.http.api_access import ApiAccess


async def open_api(
    access: ApiAccess,
    side: BusSide,
    *,
    audit: AuditSide,
    keys: KeyDesk,
    tenants: TenantDesks,
    deploys: DeploySide,
) -> Sequence[BaseRoute]:
    """Give the routes of the API."""
    await asyncio.to_thread(importlib.import_module, "app.bootstrap.api_side")
    from app.bootstrap.api_side import ApiParts, api_routes  # noqa: PLC0415 - there by now

    parts = ApiParts(access, side.clock, audit, keys, side.desk, side.quotas, tenants, deploys)
    return await asyncio.to_thread(api_routes, parts)

"""How `tenant …` reaches the tenants of an env, and what plans it knows of.

In: what was said of where. Out: work done at the desk, or through the API. Refuses nothing of its
own.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from app.bus.connection import Bus
from app.cli.api_client import at_api
from app.cli.api_tenants import ApiTenants, Tenants
from app.cli.auditing import audit_on
from app.cli.connecting import DATA_DIR_DEFAULT, connected
from app.cli.reach import Reach
from app.cli.vault import SETTINGS_FILE
from app.control import names
from app.control.credentials import ensure_tenants_bucket
from app.settings.loading import load_settings
from app.stores.kv import KvBucket
from app.system import SystemClock
from app.tenancy.desk import TenantDesk
from app.tenancy.store import TenantStore

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class TenantsPlace:
    """Where the tenants are kept."""

    reach: Reach

    @property
    def knows_plans(self) -> bool:
        """Tell whether somebody checks plans: the program that is asked, or a file here."""
        return self.reach.api() is not None or self.plans() is not None

    def plans(self) -> Collection[str] | None:
        """Give the plans of the ``greentic.toml`` beside the data folder; None: it has none."""
        folder = self.reach.data or Path(os.environ.get("GREENTIC_DATA_DIR") or DATA_DIR_DEFAULT)
        beside = folder.absolute().parent / SETTINGS_FILE
        return load_settings(beside, os.environ, {}).plans if beside.is_file() else None

    def at_desk(self, work: Callable[[Tenants], Awaitable[T]]) -> T:
        """Do some work with tenants. UnavailableError, and what the desk refuses."""
        if (api := self.reach.api()) is not None:
            return at_api(api, lambda client: work(ApiTenants(client)))
        plans = self.plans()
        settings, env = self.reach.bus(), self.reach.bus_env

        async def run() -> T:
            async with connected(settings) as bus, tenant_desk_on(bus, env, plans) as desk:
                return await work(desk)

        return asyncio.run(run())


@asynccontextmanager
async def tenant_desk_on(
    bus: Bus, env: str, plans: Collection[str] | None
) -> AsyncIterator[TenantDesk]:
    """Give the desk on an open connection."""
    await ensure_tenants_bucket(bus, env)
    clock = SystemClock()
    store = TenantStore(KvBucket(bus, names.tenants_bucket(env)), clock)
    async with audit_on(bus, env) as audit:
        yield TenantDesk(store, audit, clock, plans)

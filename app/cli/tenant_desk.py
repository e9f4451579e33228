"""How `tenant …` reaches the tenants of an env, and what plans it knows of.

In: the options that name a server, a data folder and an env. Out: work done at the desk. Refuses
nothing of its own.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from app.bus.connection import Bus
from app.cli.auditing import audit_on
from app.cli.connecting import DATA_DIR_DEFAULT, bus_settings, chosen_env, connected
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

    data: Path | None
    nats_url: str | None
    env: str | None

    @property
    def env_name(self) -> str:
        """The env that is meant."""
        return chosen_env(self.env, os.environ)

    def plans(self) -> Collection[str] | None:
        """Give the plans of the ``greentic.toml`` beside the data folder; None: it has none."""
        folder = self.data or Path(os.environ.get("GREENTIC_DATA_DIR") or DATA_DIR_DEFAULT)
        beside = folder.absolute().parent / SETTINGS_FILE
        return load_settings(beside, os.environ, {}).plans if beside.is_file() else None

    def at_desk(self, work: Callable[[TenantDesk], Awaitable[T]]) -> T:
        """Do some work at the desk. UnavailableError, and what the desk refuses."""
        plans = self.plans()
        settings = bus_settings(self.nats_url, self.data, os.environ)

        async def run() -> T:
            async with (
                connected(settings) as bus,
                tenant_desk_on(bus, self.env_name, plans) as desk,
            ):
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

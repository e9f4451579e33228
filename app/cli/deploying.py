"""How commands reach the desk of deployments.

In: the options that name a server, a data folder and an env. Out: work done at a bench: the desk,
the tenants' secrets, the workers' answers. Refuses (NotFoundError) an env that the server lacks.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from app.bus.connection import Bus
from app.cli.auditing import audit_on
from app.cli.connecting import chosen_env, connected
from app.cli.vault import Whereabouts, find_whereabouts, secrets_on
from app.control.credentials import tombstone_gate
from app.control.names import leases_bucket
from app.control.secret_desk import SecretDesk
from app.deployments.changes import DeploymentChange, WorkersReport
from app.deployments.desk import DeploymentDesk
from app.deployments.opening import DeskNeeds, check_env, open_desk
from app.deployments.provider_check import provider_check
from app.fleet.fleet import Fleet
from app.stores.kv import KvBucket
from app.system import SystemClock

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Bench:
    """What commands work with, of one env."""

    env: str
    desk: DeploymentDesk
    secrets: SecretDesk
    fleet: Fleet
    bus: Bus

    async def wait(
        self, changes: Sequence[DeploymentChange], seconds: float
    ) -> WorkersReport | None:
        """Wait until the workers run these changes; None without any time."""
        if not seconds or not changes:
            return None
        try:
            await self.fleet.start(self.bus)
            return await self.desk.wait_all(changes, seconds)
        finally:
            await self.fleet.stop()


@dataclass(frozen=True, slots=True)
class DeploymentsPlace:
    """Where the deployments are kept."""

    data: Path | None
    nats_url: str | None
    env: str | None

    @property
    def env_name(self) -> str:
        """The env that is meant."""
        return chosen_env(self.env, os.environ)

    def at_bench(self, work: Callable[[Bench], Awaitable[T]]) -> T:
        """Do some work. UnavailableError, and what the desk refuses."""
        where = find_whereabouts(self.nats_url, self.data, self.env, os.environ)

        async def run() -> T:
            async with connected(where.bus) as bus, bench_on(bus, where) as bench:
                return await work(bench)

        return asyncio.run(run())

    def at_two(self, env: str, work: Callable[[Bench, Bench], Awaitable[T]]) -> T:
        """Do some work at the benches of this env and of another."""
        where = find_whereabouts(self.nats_url, self.data, self.env, os.environ)
        other = replace(where, env=env, keys=replace(where.keys, env=env))

        async def run() -> T:
            async with (
                connected(where.bus) as bus,
                bench_on(bus, where) as one,
                bench_on(bus, other) as two,
            ):
                return await work(one, two)

        return asyncio.run(run())


@asynccontextmanager
async def bench_on(bus: Bus, where: Whereabouts) -> AsyncIterator[Bench]:
    """Give a bench on an open connection."""
    await check_env(bus, where.env)
    clock = SystemClock()
    fleet = Fleet(KvBucket(bus, leases_bucket(where.env)), clock)
    secrets = await secrets_on(bus, where.env, where.keys)
    async with audit_on(bus, where.env) as audit:
        needs = DeskNeeds(
            audit=audit,
            secrets=secrets,
            clock=clock,
            check=provider_check(where.env, clock),
            workers=fleet,
            environment=os.environ,
        )
        desk = open_desk(bus, where.env, needs)
        secret_desk = SecretDesk(secrets, audit, tombstone_gate(bus, where.env))
        yield Bench(where.env, desk, secret_desk, fleet, bus)

"""How commands reach the desk of deployments.

In: what was said of where. Out: work done at a bench (the desk, the tenants' secrets, the workers'
answers), or through the API. Refuses (NotFoundError) an env that the server lacks.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TypeVar

from app.bus.connection import Bus
from app.cli.api_client import at_api
from app.cli.api_deployments import ApiDeployments
from app.cli.auditing import audit_on, cli_who
from app.cli.connecting import connected
from app.cli.reach import Reach
from app.cli.told_deployments import Deployments, ToldChange, ToldDeployments, ToldDocument
from app.cli.vault import Whereabouts, find_whereabouts, secrets_on
from app.control.credentials import tombstone_gate
from app.control.names import leases_bucket
from app.control.secret_desk import SecretDesk
from app.deployments.changes import DeploymentChange, WorkersReport
from app.deployments.desk import DeploymentDesk
from app.deployments.difference import Difference
from app.deployments.handover import Handover, Receiver
from app.deployments.opening import DeskNeeds, check_env, open_desk
from app.deployments.provider_check import provider_check
from app.fleet.fleet import Fleet
from app.stores.kv import KvBucket
from app.system import SystemClock

T = TypeVar("T")


class Bench:
    """What commands work with, of one env on NATS; ``seconds``: how long workers may take."""

    def __init__(
        self, desk: DeploymentDesk, secrets: SecretDesk, fleet: Fleet, bus: Bus, seconds: float
    ) -> None:
        self.desk = desk
        self._receiver = Receiver(desk, secrets)
        self._fleet = fleet
        self._bus = bus
        self._seconds = seconds
        self._changes: list[DeploymentChange] = []

    async def check(self, handover: Handover) -> None:
        """Refuse what `apply` would refuse."""
        await self.desk.check(handover.tenant, handover.archive, handover.secrets)

    async def apply(self, handover: Handover, *, again: bool) -> tuple[ToldChange, Sequence[str]]:
        """Put a bundle in force."""
        done = await self._receiver.receive(cli_who(), handover, again=again)
        return self.note(done.change), done.stored

    async def diff(self, handover: Handover) -> Difference:
        """Say what a bundle would change."""
        return await self.desk.diff(handover.tenant, handover.archive, handover.secrets)

    async def rollback(self, tenant: str, number: int | None) -> ToldChange:
        """Put what was before in force again."""
        return self.note(await self.desk.rollback(cli_who(), tenant, number))

    async def remove(self, tenant: str) -> ToldChange:
        """Take a tenant's flows out of force."""
        return self.note(await self.desk.remove(cli_who(), tenant))

    async def show(self, tenant: str) -> ToldDocument:
        """Give what a tenant has in force, and had before."""
        return ToldDocument.of(*await self.desk.show(tenant))

    async def list(self) -> ToldDeployments:
        """Give what every tenant has in force."""
        found = await self.desk.list()
        documents = {name: ToldDocument.of(each) for name, each in found.documents.items()}
        return ToldDeployments(documents, found.unreadable)

    def note(self, change: DeploymentChange) -> ToldChange:
        """Remember a change, to be waited for."""
        self._changes.append(change)
        return ToldChange.of(change)

    async def wait(self) -> WorkersReport | None:
        """Wait until the workers run the changes so far; None without any time."""
        if not self._seconds or not self._changes:
            return None
        try:
            await self._fleet.start(self._bus)
            return await self.desk.wait_all(self._changes, self._seconds)
        finally:
            await self._fleet.stop()


@dataclass(frozen=True, slots=True)
class DeploymentsPlace:
    """Where the deployments are kept."""

    reach: Reach
    seconds: float = 0.0
    """How long changes wait for the workers."""

    def at_bench(self, work: Callable[[Deployments], Awaitable[T]]) -> T:
        """Do some work. UnavailableError, and what the desk refuses."""
        if (api := self.reach.api()) is not None:
            return at_api(api, lambda client: work(ApiDeployments(client, self.seconds)))
        where = self._whereabouts()

        async def run() -> T:
            async with (
                connected(where.bus) as bus,
                bench_on(bus, where, self.seconds) as bench,
            ):
                return await work(bench)

        return asyncio.run(run())

    def at_two(self, env: str, work: Callable[[Bench, Bench], Awaitable[T]]) -> T:
        """Do some work at the benches of this env and of another, on NATS."""
        where = self._whereabouts()
        other = replace(where, env=env, keys=replace(where.keys, env=env))

        async def run() -> T:
            async with (
                connected(where.bus) as bus,
                bench_on(bus, where) as one,
                bench_on(bus, other, self.seconds) as two,
            ):
                return await work(one, two)

        return asyncio.run(run())

    def _whereabouts(self) -> Whereabouts:
        reach = self.reach
        return find_whereabouts(reach.nats_url, reach.data, reach.env, os.environ)


@asynccontextmanager
async def bench_on(bus: Bus, where: Whereabouts, seconds: float = 0.0) -> AsyncIterator[Bench]:
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
        yield Bench(desk, secret_desk, fleet, bus, seconds)

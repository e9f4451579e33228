"""A whole host on twins: tenants with streams of their own, for tests of trees.

In: deployments and events. Out: what ran, what was settled, and what the supervisors look like.
"""

import asyncio
from collections.abc import Awaitable
from typing import Any, Final, TypeVar

from actors.flows.compiled import CompiledFlow
from actors.kernel.ports import KernelPorts
from actors.kernel.unit import ChildSnapshot
from actors.ports import StateStore
from actors.tenants.children import TreePorts
from actors.tenants.deployment import Deployment
from actors.tenants.host import TenantHost
from actors.tenants.past import NoPastDeployments, PastDeployments
from actors.tenants.tree import Roles
from actors.testing.deliveries import MemoryDeliveries, MemoryEventStream
from tests.support.builders import Yard, a_flow, a_node, an_event, by_name, gives

T = TypeVar("T")
ALL_ROLES: Final = Roles()


class Estate:
    """A host with a stream per tenant."""

    def __init__(
        self,
        yard: Yard,
        roles: Roles = ALL_ROLES,
        leases: StateStore | None = None,
        past: PastDeployments | None = None,
    ) -> None:
        self.yard = yard
        self.streams: dict[str, MemoryEventStream] = {}
        self.opened: list[str] = []
        ports = TreePorts(
            world=yard.stage.world,
            sinks=yard.sinks,
            ticks=yard.ticks,
            pauses=yard.pauses,
            leases=leases or yard.leases,
            open_deliveries=self.open_deliveries,
            past=past or NoPastDeployments(),
        )
        kernel = KernelPorts(yard.clock, lambda: 0.0, yard.observer.observe)
        self.host = TenantHost(roles, ports, kernel)

    def stream(self, tenant: str = "demo") -> MemoryEventStream:
        return self.streams.setdefault(tenant, MemoryEventStream(self.yard.clock))

    def open_deliveries(self, tenant: str) -> MemoryDeliveries:
        self.opened.append(tenant)
        return self.stream(tenant).open()

    async def until(self, work: Awaitable[T], seconds: float = 120) -> T:
        task = asyncio.ensure_future(work)
        await self.yard.clock.advance(seconds)
        assert task.done()
        return await task

    async def deploy(self, *deployments: Deployment) -> None:
        await self.until(self.reconcile(*deployments), 1)

    async def reconcile(self, *deployments: Deployment) -> None:
        """Have exactly these deployments."""
        for deployment in deployments:
            await self.host.deploy(deployment)
        for tenant in self.host.deployments().keys() - {each.tenant for each in deployments}:
            await self.host.remove(tenant)

    async def emit(self, tenant: str = "demo", **fields: Any) -> None:
        self.stream(tenant).add(an_event(**fields))
        await self.yard.clock.settle()

    def children(self, tenant: str = "demo") -> dict[str, ChildSnapshot]:
        (snapshot,) = [s for s in self.host.root.children() if s.name == tenant]
        return {child.name: child for child in snapshot.children}

    def outputs(self) -> list[Any]:
        return [published.result.output for published in self.yard.results.stored]


def deployed(*flows: CompiledFlow, tenant: str = "demo", revision: str = "r1") -> Deployment:
    return Deployment(tenant, revision, by_name(*flows))


def versioned(version: str, *nodes: Any, name: str = "orders", **fields: Any) -> CompiledFlow:
    """A flow that gives its version."""
    nodes = nodes or (a_node("first", gives(version)),)
    return a_flow(*nodes, name=name, version=version, digest=f"{name}-{version}", **fields)

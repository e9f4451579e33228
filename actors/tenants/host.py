"""The host: all tenants of this process under one root.

In: the deployments that should run. Out: trees that match them. One tenant's trouble stays in its
tree: a tenant that spends its restart budget is set aside and tried again, the others run on.
"""

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from actors.kernel.ports import KernelPorts
from actors.kernel.specs import SupervisorSpec
from actors.kernel.supervisor import Supervisor
from actors.tenants.children import TreePorts
from actors.tenants.deployment import Deployment
from actors.tenants.ingress import IngressDoor
from actors.tenants.tree import Roles, TenantTree, tenant_spec


class TenantHost:
    """Owns the root supervisor and one tree per tenant."""

    def __init__(self, roles: Roles, ports: TreePorts, kernel: KernelPorts) -> None:
        self._roles = roles
        self._ports = ports
        self._root = Supervisor(SupervisorSpec(name="root"), kernel)
        self._trees: dict[str, TenantTree] = {}
        self._changing = asyncio.Lock()

    @property
    def root(self) -> Supervisor:
        """The supervisor of the tenants, for snapshots."""
        return self._root

    async def start(self) -> None:
        """Start the root; tenants come with `reconcile`."""
        await self._root.start()

    async def reconcile(self, deployments: Iterable[Deployment]) -> None:
        """Start, change and remove trees until they are exactly these deployments."""
        async with self._changing:
            wanted = {deployment.tenant: deployment for deployment in deployments}
            for tenant, deployment in wanted.items():
                tree = self._trees.get(tenant)
                if tree is None:
                    await self._add(deployment)
                else:
                    await tree.deploy(deployment, self._roles)
                    tree.routes.release()
            for tenant in self._trees.keys() - wanted.keys():
                await self._remove(tenant)

    @contextmanager
    def holding(self) -> Iterator[None]:
        """Keep the routers of today's tenants from dispatching while deployments change.

        Each goes on as soon as `reconcile` has dealt with its tenant.
        """
        held = tuple(self._trees.values())
        for tree in held:
            tree.routes.hold()
        try:
            yield
        finally:
            for tree in held:
                tree.routes.release()

    def door(self, tenant: str) -> IngressDoor | None:
        """Give the way in to a tenant; None for a tenant that is not here."""
        tree = self._trees.get(tenant)
        return None if tree is None else tree.door

    def deployments(self) -> dict[str, Deployment]:
        """Give the deployment in force of every tenant."""
        return {tenant: tree.deployment for tenant, tree in self._trees.items()}

    def cancel(self, tenant: str, run_id: str, reason: str) -> bool:
        """End a run that this process has in hand; False where it has not."""
        tree = self._trees.get(tenant)
        return tree is not None and tree.in_hand.cancel(run_id, reason)

    async def wait_failed(self) -> BaseException:
        """Wait until the root itself has given up."""
        return await self._root.wait_failed()

    async def drain(self) -> None:
        """Let all tenants finish in parallel, then stop the root."""
        async with self._changing:
            await asyncio.gather(*(tree.drain() for tree in self._trees.values()))
            await self._root.stop()

    async def _add(self, deployment: Deployment) -> None:
        supervisor = await self._root.nest(tenant_spec(deployment.tenant))
        tree = TenantTree(supervisor, deployment, self._ports)
        self._trees[deployment.tenant] = tree
        await tree.start(self._roles)

    async def _remove(self, tenant: str) -> None:
        tree = self._trees.pop(tenant)
        tree.routes.release()  # a router that holds still cannot finish what it has
        await tree.drain()
        await self._root.remove(tenant, drain=False)

"""The host: all tenants of this process under one root.

In: deployments, one tenant after the other. Out: trees that match them. One tenant's trouble stays
in its tree: a tenant that spends its restart budget is set aside and tried again, the others run
on.
"""

import asyncio
from dataclasses import replace

from actors.kernel.ports import KernelPorts
from actors.kernel.specs import SupervisorSpec
from actors.kernel.supervisor import Supervisor
from actors.tenants.children import TreePorts
from actors.tenants.deployment import Deployment
from actors.tenants.ingress import IngressDoor
from actors.tenants.tree import Roles, TenantTree, tenant_spec


class TenantHost:
    """Owns the root supervisor and one tree per tenant.

    Whoever changes a tenant's deployment does so one change at a time; tenants do not wait for each
    other.
    """

    def __init__(self, roles: Roles, ports: TreePorts, kernel: KernelPorts) -> None:
        self._roles = roles
        self._ports = ports
        self._root = Supervisor(SupervisorSpec(name="root"), kernel)
        self._trees: dict[str, TenantTree] = {}

    @property
    def root(self) -> Supervisor:
        """The supervisor of the tenants, for snapshots."""
        return self._root

    async def start(self) -> None:
        """Start the root; tenants come with `deploy`."""
        await self._root.start()

    async def deploy(self, deployment: Deployment, *, works: bool = True) -> None:
        """Bring a tenant's deployment into force: a new tree, or a change of the one there is.

        ``works``: False where other workers run its flows; then its requests alone are taken.
        """
        roles = replace(self._roles, worker=self._roles.worker and works)
        tree = self._trees.get(deployment.tenant)
        if tree is not None:
            await tree.deploy(deployment, roles)
        elif roles.ingress or roles.worker:
            await self._add(deployment, roles)

    async def remove(self, tenant: str) -> None:
        """Let a tenant go, after its runs have ended or their time is over; absent is no error."""
        tree = self._trees.pop(tenant, None)
        if tree is not None:
            await tree.drain()
            await self._root.remove(tenant, drain=False)

    def door(self, tenant: str) -> IngressDoor | None:
        """Give the way in to a tenant; None for a tenant that is not here."""
        tree = self._trees.get(tenant)
        return None if tree is None else tree.door

    def deployments(self) -> dict[str, Deployment]:
        """Give the deployment in force of every tenant."""
        return {tenant: tree.deployment for tenant, tree in self._trees.items()}

    def working(self) -> frozenset[str]:
        """Give the tenants whose flows run here."""
        return frozenset(tenant for tenant, tree in self._trees.items() if tree.works)

    def in_flight(self) -> dict[str, int]:
        """Give how many deliveries of every tenant are in hand here."""
        return {tenant: tree.in_flight for tenant, tree in self._trees.items()}

    def cancel(self, tenant: str, run_id: str, reason: str) -> bool:
        """End a run that this process has in hand; False where it has not."""
        tree = self._trees.get(tenant)
        return tree is not None and tree.in_hand.cancel(run_id, reason)

    def cancel_all(self, tenant: str, reason: str) -> int:
        """End all runs of a tenant that this process has in hand, and say how many."""
        tree = self._trees.get(tenant)
        return 0 if tree is None else tree.in_hand.cancel_all(reason)

    async def wait_failed(self) -> BaseException:
        """Wait until the root itself has given up."""
        return await self._root.wait_failed()

    async def drain(self) -> None:
        """Let all tenants finish in parallel, then stop the root."""
        await asyncio.gather(*(tree.drain() for tree in self._trees.values()))
        await self._root.stop()

    async def _add(self, deployment: Deployment, roles: Roles) -> None:
        supervisor = await self._root.nest(tenant_spec(deployment.tenant))
        tree = TenantTree(supervisor, deployment, self._ports)
        self._trees[deployment.tenant] = tree
        await tree.start(roles)

"""What a tenant may use of the worker that runs its flows.

In: the worker's fair shares and quotas. Out: one value that a tenant's executors have in common.
"""

from dataclasses import dataclass
from typing import Self

from actors.nodes.step import World
from actors.quotas.quota import Quotas, TenantQuota
from actors.runs.shares import FairShare, FairShares


@dataclass(frozen=True, slots=True)
class Allowance:
    """One tenant's."""

    share: FairShare
    quota: TenantQuota

    @classmethod
    def alone(cls, tenant: str, world: World) -> Self:
        """Make that of a tenant which has the worker for itself, and no plan."""
        return cls.of(tenant, FairShares(world.clock), Quotas(world.clock, world.observer))

    @classmethod
    def of(cls, tenant: str, shares: FairShares, quotas: Quotas) -> Self:
        """Give a tenant's."""
        return cls(shares.of(tenant), quotas.of(tenant))

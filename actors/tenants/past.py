"""Flows that are no longer in force, for the runs that began with them.

In: a flow's name and version. Out: the deployment that had it. A run that sleeps through a change
of its flow goes on with what it began with (DESIGN 2).
"""

from typing import Protocol

from actors.tenants.deployment import Deployment


class PastDeployments(Protocol):
    """Deployments of earlier revisions."""

    async def find(self, tenant: str, flow: str, version: str) -> Deployment | None:
        """Give one in which the flow has this version; None where none is kept.

        UnavailableError.
        """
        ...


class NoPastDeployments:
    """For worlds in which flows never change."""

    async def find(self, tenant: str, flow: str, version: str) -> Deployment | None:  # noqa: ARG002
        """Keep none."""
        return None

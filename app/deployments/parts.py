"""What a desk of deployments works with, all of one env.

In: stores and ports. Out: one value that holds them. Refuses nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from actors.ports import Clock
from app.audit.log import AuditLog
from app.bundle.reading import Bundle
from app.deployments.reading import DeploymentReader
from app.deployments.store import DeploymentStore
from app.fleet.fleet import Acknowledgement
from app.tenancy.store import TenantStore


class EventsEnd(Protocol):
    """Knows the end of tenants' streams: `app.control.control.Control`."""

    async def last_sequence(self, tenant: str) -> int:
        """Give the number of the last event; 0 where there is no stream."""
        ...


class Workers(Protocol):
    """Those who run what is deployed: `app.fleet`."""

    async def wait_acknowledged(self, revision: int, timeout_seconds: float) -> Acknowledgement:
        """Wait until every live worker has taken a revision up, or for so long."""
        ...


@dataclass(frozen=True, slots=True)
class DeskParts:
    """What a desk works with, all of one env."""

    env: str
    store: DeploymentStore
    reader: DeploymentReader
    tenants: TenantStore
    events: EventsEnd
    audit: AuditLog
    clock: Clock
    check: Callable[[Bundle], None] = lambda _: None
    """Raises SettingsError where a provider cannot be built of its options."""
    workers: Workers | None = None
    """None: nobody is waited for."""

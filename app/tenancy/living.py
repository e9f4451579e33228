"""Whether there is a tenant that something may be made for.

In: a tenant's id. Out: nothing. Refuses a tenant that there is not (NotFoundError) and one that was
deleted (ConflictError): what is made for it after its data was removed would stay for ever.

A process that hears late of a new tenant asks the store; one that hears late of a deletion lets
something through for as long as it takes to hear, and the sweep of app.erasure finds that.
"""

from typing import Protocol

from app.tenancy.directory import TenantDirectory
from app.tenancy.store import StoredTenant, taken


class Finder(Protocol):
    """What reads a tenant's record: `app.tenancy.desk.TenantDesk`."""

    async def find(self, tenant: str) -> StoredTenant:
        """Give a tenant's record, its tombstone too. NotFoundError."""
        ...


class LivingTenants:
    """The tenants there are, as one process knows them."""

    def __init__(self, directory: TenantDirectory, finder: Finder) -> None:
        self._directory = directory
        self._finder = finder

    async def check(self, tenant: str) -> None:
        """Return if there is this tenant. NotFoundError, ConflictError."""
        known = self._directory.records().get(tenant)
        if known is not None and not known.is_deleted:
            return
        record = (await self._finder.find(tenant)).record
        if record.is_deleted:
            raise taken(record)

"""Tenants through the API, as `app.tenancy.desk.TenantDesk` has them on NATS.

In: what the desk takes; who acts is said by the key. Out: what the desk gives. Refuses what the API
refuses.
"""

from dataclasses import dataclass
from typing import Any, Protocol

from app.audit.entry import Who
from app.cli.api_client import ApiClient, below
from app.tenancy.desk import KEEP, NewTenant, TenantChange
from app.tenancy.record import TenantRecord
from app.tenancy.store import StoredTenant, TenantPage


class Tenants(Protocol):
    """What commands do with tenants, whichever way they went."""

    async def find(self, tenant: str, /) -> StoredTenant:
        """Give a tenant."""
        ...

    async def list(
        self, *, after: str | None = None, limit: int = 100, with_deleted: bool = False
    ) -> TenantPage:
        """Give a page of tenants."""
        ...

    async def add(self, who: Who, wanted: NewTenant, /) -> StoredTenant:
        """Make a tenant."""
        ...

    async def change(self, who: Who, tenant: str, change: TenantChange, /) -> StoredTenant:
        """Change what a tenant is."""
        ...

    async def suspend(self, who: Who, tenant: str, /) -> StoredTenant:
        """Stop serving a tenant."""
        ...

    async def resume(self, who: Who, tenant: str, /) -> StoredTenant:
        """Serve it again."""
        ...

    async def remove(
        self, who: Who, tenant: str, /, *, revision: int | None = None
    ) -> StoredTenant:
        """Delete a tenant."""
        ...


@dataclass(frozen=True, slots=True)
class _Page:
    tenants: list[dict[str, Any]]
    next_after: str | None
    unreadable: list[str]


class ApiTenants:
    """Asks for them over HTTP."""

    def __init__(self, client: ApiClient) -> None:
        self._client = client

    async def find(self, tenant: str) -> StoredTenant:
        """Give a tenant, deleted ones too while they are remembered."""
        return self._stored(await self._client.get(below("tenants", tenant)))

    async def list(
        self, *, after: str | None = None, limit: int = 100, with_deleted: bool = False
    ) -> TenantPage:
        """Give a page of tenants."""
        query = {"after": after, "limit": limit, "deleted": with_deleted}
        page = self._client.read(await self._client.get("/tenants", query), _Page)
        tenants = tuple(self._stored(each) for each in page.tenants)
        return TenantPage(tenants, page.next_after, tuple(page.unreadable))

    async def add(self, _who: Who, wanted: NewTenant) -> StoredTenant:
        """Make a tenant."""
        body = {
            "id": wanted.id,
            "name": wanted.name,
            "plan": wanted.plan,
            "settings": wanted.settings.as_mapping(),
            "workers": wanted.workers,
        }
        return self._stored(await self._client.send("POST", "/tenants", body))

    async def change(self, _who: Who, tenant: str, change: TenantChange) -> StoredTenant:
        """Change what a tenant is."""
        fields = {name: getattr(change, name) for name in ("name", "plan", "workers")}
        settings = {name: getattr(change, name) for name in ("timezone", "language")}
        body = {**_named(fields), "settings": _named(settings)}
        return self._stored(await self._client.send("PATCH", below("tenants", tenant), body))

    async def suspend(self, _who: Who, tenant: str) -> StoredTenant:
        """Stop serving a tenant."""
        path = below("tenants", tenant, "suspend")
        return self._stored(await self._client.send("POST", path))

    async def resume(self, _who: Who, tenant: str) -> StoredTenant:
        """Serve it again."""
        return self._stored(await self._client.send("POST", below("tenants", tenant, "resume")))

    async def remove(self, _who: Who, tenant: str, *, revision: int | None = None) -> StoredTenant:
        """Delete a tenant."""
        path = below("tenants", tenant)
        return self._stored(await self._client.send("DELETE", path, revision=revision))

    def _stored(self, document: dict[str, Any]) -> StoredTenant:
        record = self._client.read(document, TenantRecord)
        return StoredTenant(record, self._client.read(document.get("revision"), int))


def _named(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not KEEP}

"""The API of the audit log, ``/api/v1/tenants/{tenant}/audit`` and ``/api/v1/audit``.

    GET …    a page by actor, action (or its first words), since, until; order, after, limit

In: requests of a tenant's ``tenant-admin``, who sees the tenant's entries, and of a
``platform-admin``, who sees all, or those of one ``tenant``. Out: JSON. Refuses unknown parameters
and values out of bounds (400).
"""

from typing import Annotated, Any, Final, Literal

from fastapi import Query
from pydantic import Field

from actors.ports import Clock
from app.audit.reading import PAGE_DEFAULT, PAGE_MAX, PLACE_MAX, AuditFilter, AuditReader
from app.http.api_access import ApiAccess
from app.http.api_models import PageView, Text, ViewModel
from app.http.api_route import Caller, Operation, Resource, Tenant
from app.http.api_times import TimesQuery
from app.identity.scopes import PLATFORM_ADMIN, TENANT_ADMIN

TENANT_PATH: Final = "/tenants/{tenant}/audit"
PATH: Final = "/audit"


class AuditQuery(TimesQuery):
    """Which entries of a tenant are wanted, and which page of them."""

    actor: Text | None = None
    action: Text | None = None
    """An action, or its first words: ``key`` means all that is done to keys."""
    order: Literal["newest", "oldest"] = "newest"
    after: Annotated[int, Field(ge=0, le=PLACE_MAX)] | None = None
    """The former page's ``next_after``."""
    limit: Annotated[int, Field(ge=1, le=PAGE_MAX)] = PAGE_DEFAULT

    def as_filter(self, now_ms: int) -> AuditFilter:
        """Give the reader's filter. BadRequestError: a time is none."""
        return AuditFilter(self.actor, self.action, *self.between(now_ms))


class AuditQueryOfAll(AuditQuery):
    """Which entries of all tenants, and of none, are wanted."""

    tenant: Text | None = None


class EntryView(ViewModel):
    """Who did what. docs/audit.md explains the fields."""

    sequence: int
    """Its place in the log."""
    v: int
    id: str
    at_ms: int
    actor: str
    source: str
    action: str
    tenant: str | None
    target: str
    before: Any
    after: Any
    error: str | None
    of: str | None


class IllegibleView(ViewModel):
    """A message of the log that is no entry."""

    sequence: int
    subject: str
    illegible: Literal[True]


class AuditPageView(PageView):
    """Entries, in the order asked for."""

    entries: list[EntryView | IllegibleView]
    next_after: int | None


class AuditApi:
    """The handlers; `resource` gives what the API needs."""

    def __init__(self, reader: AuditReader, access: ApiAccess, clock: Clock) -> None:
        self._reader = reader
        self._access = access
        self._clock = clock

    def resource(self) -> Resource:
        """Give the operations, a tenant's and the platform's."""
        audit = Resource("audit", self._access)
        audit.add("GET", TENANT_PATH, self.of_tenant, Operation(TENANT_ADMIN))
        audit.add("GET", PATH, self.of_all, Operation(PLATFORM_ADMIN))
        return audit

    async def of_tenant(
        self, caller: Caller, tenant: Tenant, asked: Annotated[AuditQuery, Query()]
    ) -> AuditPageView:
        """Give a page of a tenant's entries; people of the platform have no name there."""
        return await self._page(tenant, asked, as_tenant=caller.tenant is not None)

    async def of_all(self, asked: Annotated[AuditQueryOfAll, Query()]) -> AuditPageView:
        """Give a page of all entries, or of one tenant's."""
        return await self._page(asked.tenant, asked)

    async def _page(
        self, tenant: str | None, asked: AuditQuery, *, as_tenant: bool = False
    ) -> AuditPageView:
        page = await self._reader.page(
            tenant,
            asked.as_filter(self._clock.now_ms()),
            order=asked.order,
            after=asked.after,
            limit=asked.limit,
            as_tenant=as_tenant,
        )
        entries = [kept.as_document() for kept in page.entries]
        return AuditPageView.model_validate({"entries": entries, "next_after": page.next_after})

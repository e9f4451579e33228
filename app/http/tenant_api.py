"""The API of tenants, below ``/api/v1/tenants``.

    GET    /tenants                    tenants by id; after, limit, deleted=true
    POST   /tenants                    {"id", "name", "plan", "settings", "workers"}: 201
    GET    /tenants/{tenant}           one, with its revision as ETag
    PATCH  /tenants/{tenant}           what is to be different; If-Match
    POST   /tenants/{tenant}/suspend   it is not served, and keeps all that it has; If-Match
    POST   /tenants/{tenant}/resume    it is served again; If-Match
    DELETE /tenants/{tenant}           202: its data is removed from now on; If-Match

In: a platform key of ``platform-admin``; to read one tenant, ``tenant-read`` in it. Out: JSON.
Refuses unknown fields (400), plans and time zones that there are not (422), a tenant that is not
there (404), that is there already or was deleted (409), and one that has changed since (412).
"""

from typing import Annotated, Final

from fastapi import Query
from pydantic import Field
from starlette.responses import Response

from actors.quotas.plan import DEFAULT_PLAN
from app.http.api_access import ApiAccess, who_of
from app.http.api_etags import (
    IfMatch,
    IfNoneMatch,
    check_match,
    expected_revision,
    not_modified,
    tag,
)
from app.http.api_models import BodyModel, PageQuery, PageView, ViewModel
from app.http.api_route import Caller, Operation, Resource, Tenant
from app.identity.scopes import PLATFORM_ADMIN, TENANT_READ
from app.tenancy.desk import KEEP, Keep, NewTenant, TenantChange, TenantDesk
from app.tenancy.record import TEXT_CHARS_MAX, WORKERS_MAX, Origin, Status, TenantSettings
from app.tenancy.store import StoredTenant

ROOT: Final = "/tenants"
ONE: Final = "/tenants/{tenant}"

Id = Annotated[str, Field(pattern="^[a-z0-9][a-z0-9_-]{0,62}$")]
Line = Annotated[str, Field(min_length=1, max_length=TEXT_CHARS_MAX)]
Workers = Annotated[int, Field(ge=1, le=WORKERS_MAX)]


class TenantQuery(PageQuery):
    """Which tenants are wanted."""

    deleted: bool = False
    """With those that were deleted in the last 30 days."""


class SettingsWanted(BodyModel):
    """How a tenant reads times and texts; null: as its bundle says."""

    timezone: Line | None = None
    """An IANA name, like ``Europe/Berlin``."""
    language: Line | None = None


class TenantWanted(BodyModel):
    """A tenant to be made."""

    id: Id
    """Stays what it is: it is part of the names of all that belongs to the tenant."""
    name: Line | None = None
    """For people; its id, unless said otherwise."""
    plan: Id = DEFAULT_PLAN
    """What it may use."""
    settings: SettingsWanted = SettingsWanted()
    workers: Workers | None = None
    """How many workers host it; null: as many as usual."""


class TenantChanges(BodyModel):
    """What is to be different; what is left out stays."""

    name: Line = Field(default_factory=str)
    plan: Id = Field(default_factory=str)
    settings: SettingsWanted = Field(default_factory=SettingsWanted)
    workers: Workers | None = None
    """Null: as many as usual."""

    def as_change(self) -> TenantChange:
        """Give the desk's value."""
        given, settings = self.model_fields_set, self.settings
        return TenantChange(
            name=self.name if "name" in given else KEEP,
            plan=self.plan if "plan" in given else KEEP,
            timezone=_given(settings.timezone, "timezone", settings),
            language=_given(settings.language, "language", settings),
            workers=self.workers if "workers" in given else KEEP,
        )


class SettingsView(ViewModel):
    """How a tenant reads times and texts; null: as its bundle says."""

    timezone: str | None
    language: str | None


class TenantView(ViewModel):
    """A tenant. Times are milliseconds since the epoch."""

    id: str
    name: str
    plan: str
    settings: SettingsView
    workers: int | None
    cell: str
    """The NATS cluster that it lives in."""
    status: Status
    origin: Origin
    """``folder``: a bundle that ``start`` looks after named it."""
    created_ms: int
    changed_ms: int
    deleted_ms: int | None
    purged_ms: int | None
    """When the last of a deleted tenant's data was gone; null: it is still being removed."""
    ends_ms: int | None
    """When a deleted tenant's id is free again."""
    revision: int
    """What its ETag says."""

    @classmethod
    def of(cls, stored: StoredTenant) -> "TenantView":
        """Show a tenant."""
        record = stored.record
        return cls(**record.as_mapping(), ends_ms=record.ends_ms, revision=stored.revision)


class TenantsPage(PageView):
    """Tenants, by id."""

    tenants: list[TenantView]
    unreadable: list[str]
    """Ids under which something lies that is no record: nobody serves them."""


class TenantApi:
    """The handlers; `resource` gives what the API needs."""

    def __init__(self, desk: TenantDesk, access: ApiAccess) -> None:
        self._desk = desk
        self._access = access

    def resource(self) -> Resource:
        """Give the operations."""
        tenants = Resource("tenants", self._access)
        change = Operation(PLATFORM_ADMIN, refuses=[409, 412])
        tenants.add("GET", ROOT, self.list, Operation(PLATFORM_ADMIN))
        tenants.add("POST", ROOT, self.add, Operation(PLATFORM_ADMIN, 201, refuses=[409]))
        tenants.add("GET", ONE, self.show, Operation(TENANT_READ, refuses=[304]))
        tenants.add("PATCH", ONE, self.change, change)
        tenants.add("POST", f"{ONE}/suspend", self.suspend, change)
        tenants.add("POST", f"{ONE}/resume", self.resume, change)
        removed = Operation(PLATFORM_ADMIN, 202, refuses=[409, 412])
        tenants.add("DELETE", ONE, self.remove, removed)
        return tenants

    async def list(self, asked: Annotated[TenantQuery, Query()]) -> TenantsPage:
        """Give a page of tenants."""
        page = await self._desk.list(
            after=asked.after, limit=asked.limit, with_deleted=asked.deleted
        )
        return TenantsPage(
            tenants=[TenantView.of(one) for one in page.tenants],
            unreadable=[*page.unreadable],
            next_after=page.next_after,
        )

    async def add(self, caller: Caller, wanted: TenantWanted, response: Response) -> TenantView:
        """Make a tenant. What it runs comes with its first deployment."""
        settings = TenantSettings(wanted.settings.timezone, wanted.settings.language)
        new = NewTenant(wanted.id, wanted.name, wanted.plan, settings, wanted.workers)
        stored = await self._desk.add(who_of(caller), new)
        response.headers["location"] = f"/api/v1{ROOT}/{wanted.id}"
        return _shown(stored, response)

    async def show(
        self, tenant: Tenant, response: Response, if_none_match: IfNoneMatch = None
    ) -> TenantView:
        """Give a tenant, deleted ones too while they are remembered."""
        stored = await self._desk.find(tenant)
        if not_modified(if_none_match, stored.revision) is not None:
            response.status_code = 304
        return _shown(stored, response)

    async def change(
        self,
        caller: Caller,
        tenant: Tenant,
        changes: TenantChanges,
        response: Response,
        if_match: IfMatch = None,
    ) -> TenantView:
        """Change what a tenant is."""
        revision = await self._expected(tenant, if_match)
        stored = await self._desk.change(
            who_of(caller), tenant, changes.as_change(), revision=revision
        )
        return _shown(stored, response)

    async def suspend(
        self, caller: Caller, tenant: Tenant, response: Response, if_match: IfMatch = None
    ) -> TenantView:
        """Stop serving a tenant, and keep all that it has."""
        revision = await self._expected(tenant, if_match)
        stored = await self._desk.suspend(who_of(caller), tenant, revision=revision)
        return _shown(stored, response)

    async def resume(
        self, caller: Caller, tenant: Tenant, response: Response, if_match: IfMatch = None
    ) -> TenantView:
        """Serve a suspended tenant again."""
        revision = await self._expected(tenant, if_match)
        stored = await self._desk.resume(who_of(caller), tenant, revision=revision)
        return _shown(stored, response)

    async def remove(
        self, caller: Caller, tenant: Tenant, response: Response, if_match: IfMatch = None
    ) -> TenantView:
        """Delete a tenant and all that it has, for good. Nothing brings it back.

        Its data is removed after the answer: `purged_ms` says when the last of it was gone. For 30
        days no tenant can have its id. Deleting it again changes nothing.
        """
        revision = await self._expected(tenant, if_match)
        stored = await self._desk.remove(who_of(caller), tenant, revision=revision)
        return _shown(stored, response)

    async def _expected(self, tenant: str, if_match: str | None) -> int | None:
        """Give the revision that a change is for, having told who came too late so (412)."""
        if if_match is None:
            return None
        check_match(if_match, (await self._desk.find(tenant)).revision)
        return expected_revision(if_match)


def _shown(stored: StoredTenant, response: Response) -> TenantView:
    tag(response, stored.revision)
    return TenantView.of(stored)


def _given(value: str | None, name: str, settings: SettingsWanted) -> str | Keep | None:
    return value if name in settings.model_fields_set else KEEP

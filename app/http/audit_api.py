"""The API of the audit log, ``/api/v1/tenants/{tenant}/audit`` and ``/api/v1/audit``.

    GET …    a page by actor, action (or its first words), since, until; order, after, limit

In: requests of a tenant's ``tenant-admin``, who sees the tenant's entries, and of a
``platform-admin``, who sees all, or those of one ``tenant``. Out: JSON. Refuses unknown parameters
and values out of bounds (400).
"""

from typing import Annotated, Final, Literal

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from actors.ports import Clock
from app.audit.reading import PAGE_DEFAULT, PAGE_MAX, PLACE_MAX, AuditFilter, AuditPage, AuditReader
from app.dead_letters.moments import parse_moment
from app.errors import BadRequestError
from app.http.api_access import ApiAccess
from app.http.api_input import NO_STORE, parameters
from app.identity.scopes import PLATFORM_ADMIN, TENANT_ADMIN

TENANT_PATH: Final = "/api/v1/tenants/{tenant}/audit"
PATH: Final = "/api/v1/audit"
TEXT_CHARS_MAX: Final = 256

_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=TEXT_CHARS_MAX)]


class _Listing(msgspec.Struct, forbid_unknown_fields=True):
    actor: _Text | None = None
    action: _Text | None = None
    since: _Text | None = None
    until: _Text | None = None
    order: Literal["newest", "oldest"] = "newest"
    after: Annotated[int, msgspec.Meta(ge=0, le=PLACE_MAX)] | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=PAGE_MAX)] = PAGE_DEFAULT

    def as_filter(self, now_ms: int) -> AuditFilter:
        """Give the reader's filter. BadRequestError: a time is none."""
        try:
            since, until = (
                None if text is None else parse_moment(text, now_ms)
                for text in (self.since, self.until)
            )
        except ValueError as error:
            raise BadRequestError(str(error)) from None
        return AuditFilter(self.actor, self.action, since, until)


class _ListingOfAll(_Listing, forbid_unknown_fields=True):
    tenant: _Text | None = None


class AuditApi:
    """The handlers; `routes` gives what a Starlette application needs."""

    def __init__(self, reader: AuditReader, access: ApiAccess, clock: Clock) -> None:
        self._reader = reader
        self._access = access
        self._clock = clock

    def routes(self) -> list[Route]:
        """Give the routes."""
        return [
            Route(TENANT_PATH, self.of_tenant, methods=["GET"]),
            Route(PATH, self.of_all, methods=["GET"]),
        ]

    async def of_tenant(self, request: Request) -> Response:
        """Answer with a page of a tenant's entries; people of the platform have no name there."""
        tenant: str = request.path_params["tenant"]
        principal = self._access.allowed(request, TENANT_ADMIN, tenant)
        asked = parameters(request, _Listing)
        return _respond(await self._page(tenant, asked, as_tenant=principal.tenant is not None))

    async def of_all(self, request: Request) -> Response:
        """Answer with a page of all entries."""
        self._access.allowed(request, PLATFORM_ADMIN, None)
        asked = parameters(request, _ListingOfAll)
        return _respond(await self._page(asked.tenant, asked))

    async def _page(
        self, tenant: str | None, asked: _Listing, *, as_tenant: bool = False
    ) -> AuditPage:
        which = asked.as_filter(self._clock.now_ms())
        return await self._reader.page(
            tenant,
            which,
            order=asked.order,
            after=asked.after,
            limit=asked.limit,
            as_tenant=as_tenant,
        )


def _respond(page: AuditPage) -> Response:
    entries = [kept.as_document() for kept in page.entries]
    return JSONResponse({"entries": entries, "next_after": page.next_after}, headers=NO_STORE)

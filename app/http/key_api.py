"""The API of API keys, below ``/api/v1/tenants/{tenant}/keys`` and ``/api/v1/keys``.

    GET    …                   keys by prefix; after, limit, revoked=true
    POST   …                   {"name", "scopes", "expires": "90d"}: 201, with the key, this once
    POST   …/{prefix}/rotate   {"overlap": "24h", "expires"}: 201, with the successor
    DELETE …/{prefix}          204: nobody takes it any more within a second

In: a tenant's keys for ``tenant-admin``, the platform's for ``platform-admin``. Out: JSON. Refuses
unknown parameters and fields (400), scopes that there are not or that are above the tenant (400), a
key that is not there (404), and to be the 101st (409).
"""

from typing import Annotated, Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from actors.ports import Clock
from app.control.keys import OVERLAP_MS_DEFAULT, KeyDesk, Rotation
from app.dead_letters.moments import span_ms
from app.errors import BadRequestError, ConflictError, NotFoundError, StoreError
from app.http.api_access import ApiAccess, who_of
from app.http.api_input import NO_STORE, parameters, read_json
from app.identity.principal import Principal
from app.identity.scopes import PLATFORM_ADMIN, SCOPES, TENANT_ADMIN, refusals
from app.stores.api_key import NAME_CHARS_MAX, PLATFORM, ApiKey
from app.stores.api_keys import NewKey

TENANT_ROOT: Final = "/api/v1/tenants/{tenant}/keys"
PLATFORM_ROOT: Final = "/api/v1/keys"
PAGE_MAX: Final = 1000
LIFETIME_MS_MAX: Final = 3650 * 86_400_000

_Span = Annotated[str, msgspec.Meta(min_length=2, max_length=7)]


class _Listing(msgspec.Struct, forbid_unknown_fields=True):
    after: Annotated[str, msgspec.Meta(max_length=20)] = ""
    limit: Annotated[int, msgspec.Meta(ge=1, le=PAGE_MAX)] = 100
    revoked: bool = False


class _NewKey(msgspec.Struct, forbid_unknown_fields=True):
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=NAME_CHARS_MAX)]
    scopes: Annotated[list[str], msgspec.Meta(min_length=1, max_length=len(SCOPES))]
    expires: _Span | None = None


class _Rotation(msgspec.Struct, forbid_unknown_fields=True):
    overlap: _Span | None = None
    expires: _Span | None = None


class KeyApi:
    """The handlers; `routes` gives what a Starlette application needs."""

    def __init__(self, desk: KeyDesk, access: ApiAccess, clock: Clock) -> None:
        self._desk = desk
        self._access = access
        self._clock = clock

    def routes(self) -> list[Route]:
        """Give the routes."""
        return [
            route
            for root in (TENANT_ROOT, PLATFORM_ROOT)
            for route in (
                Route(root, self.list, methods=["GET"]),
                Route(root, self.add, methods=["POST"]),
                Route(root + "/{prefix}/rotate", self.rotate, methods=["POST"]),
                Route(root + "/{prefix}", self.revoke, methods=["DELETE"]),
            )
        ]

    async def list(self, request: Request) -> Response:
        """Answer with a page of keys; the keys themselves are not known."""
        owner, _ = self._owner_of(request)
        asked = parameters(request, _Listing)
        keys = await self._desk.list(owner, with_revoked=asked.revoked)
        further = sorted(
            (key for key in keys if key.prefix > asked.after), key=lambda key: key.prefix
        )
        page = further[: asked.limit]
        document = {
            "keys": [key.as_mapping() for key in page],
            "next_after": page[-1].prefix if len(further) > len(page) else None,
        }
        return JSONResponse(document, headers=NO_STORE)

    async def add(self, request: Request) -> Response:
        """Make a key and answer with it."""
        owner, principal = self._owner_of(request)
        wanted = await read_json(request, _NewKey)
        if not wanted.name.isprintable():
            raise BadRequestError("a key's name is printable characters")
        for refusal in refusals(wanted.scopes, is_platform=owner == PLATFORM):
            raise BadRequestError(refusal)
        expires_ms = None
        if wanted.expires is not None:
            expires_ms = self._clock.now_ms() + _span(wanted.expires, "expires")
        new = NewKey(owner, wanted.name, wanted.scopes, expires_ms)
        try:
            key, text = await self._desk.add(who_of(principal), new)
        except ConflictError:
            raise
        except StoreError as error:
            raise ConflictError(str(error)) from error
        return _made(key, str(text))

    async def rotate(self, request: Request) -> Response:
        """Make a key's successor and answer with it."""
        owner, principal = self._owner_of(request)
        wanted = await read_json(request, _Rotation)
        rotation = Rotation(
            OVERLAP_MS_DEFAULT if wanted.overlap is None else _span(wanted.overlap, "overlap"),
            None if wanted.expires is None else _span(wanted.expires, "expires"),
        )
        prefix = request.path_params["prefix"]
        try:
            key, text, old = await self._desk.rotate(who_of(principal), owner, prefix, rotation)
        except (ConflictError, NotFoundError):
            raise
        except StoreError as error:
            raise ConflictError(str(error)) from error
        return _made(key, str(text), old=old.as_mapping())

    async def revoke(self, request: Request) -> Response:
        """End a key."""
        owner, principal = self._owner_of(request)
        await self._desk.revoke(who_of(principal), owner, request.path_params["prefix"])
        return Response(status_code=204, headers=NO_STORE)

    def _owner_of(self, request: Request) -> tuple[str, Principal]:
        tenant = request.path_params.get("tenant")
        if tenant is None:
            return PLATFORM, self._access.allowed(request, PLATFORM_ADMIN, None)
        return tenant, self._access.allowed(request, TENANT_ADMIN, tenant)


def _made(key: ApiKey, text: str, **more: Any) -> Response:
    return JSONResponse({**key.as_mapping(), "key": text, **more}, 201, headers=NO_STORE)


def _span(text: str, name: str) -> int:
    try:
        milliseconds = span_ms(text)
    except ValueError as error:
        raise BadRequestError(f"{name}: {error}") from None
    if milliseconds > LIFETIME_MS_MAX:
        raise BadRequestError(f"{name}: at most 3650d")
    return milliseconds

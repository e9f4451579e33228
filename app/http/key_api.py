"""The API of API keys, below ``/api/v1/tenants/{tenant}/keys`` and ``/api/v1/keys``.

    GET    …                   keys by prefix; after, limit, revoked=true
    POST   …                   {"name", "scopes", "expires": "90d"}: 201, with the key, this once
    POST   …/{prefix}/rotate   {"overlap": "24h", "expires"}: 201, with the successor
    DELETE …/{prefix}          204: nobody takes it any more within a second

In: a tenant's keys for ``tenant-admin``, the platform's for ``platform-admin``. Out: JSON. Refuses
unknown parameters and fields (400), scopes that there are not or that are above the tenant (400), a
key that is not there (404), and to be the 101st (409).
"""

from typing import Annotated, Final

from fastapi import Query
from pydantic import Field

from actors.ports import Clock
from app.control.keys import OVERLAP_MS_DEFAULT, KeyDesk, Rotation
from app.dead_letters.moments import span_ms
from app.errors import BadRequestError, ConflictError, NotFoundError, StoreError
from app.http.api_access import ApiAccess, who_of
from app.http.api_models import BodyModel, PageQuery, PageView, ViewModel
from app.http.api_route import Caller, MaybeTenant, Operation, Resource
from app.identity.scopes import PLATFORM_ADMIN, SCOPES, TENANT_ADMIN, refusals
from app.stores.api_key import NAME_CHARS_MAX, PLATFORM, ApiKey
from app.stores.api_keys import NewKey

TENANT_ROOT: Final = "/tenants/{tenant}/keys"
PLATFORM_ROOT: Final = "/keys"
LIFETIME_MS_MAX: Final = 3650 * 86_400_000

Span = Annotated[str, Field(min_length=2, max_length=7, pattern="^[0-9]{1,6}[smhdw]$")]

ScopeName = Annotated[str, Field(json_schema_extra={"enum": list(SCOPES)})]


class KeyQuery(PageQuery):
    """Which keys are wanted."""

    revoked: bool = False
    """With those that were revoked."""


class KeyWanted(BodyModel):
    """A key to be made."""

    name: Annotated[str, Field(min_length=1, max_length=NAME_CHARS_MAX)]
    """Printable characters."""
    scopes: Annotated[list[ScopeName], Field(min_length=1, max_length=len(SCOPES))]
    expires: Span | None = None
    """How long it lives: ``90d``; without it, it has no end."""


class RotationWanted(BodyModel):
    """How a key gives way to its successor."""

    overlap: Span | None = None
    """How long the old one goes on: a day, unless said otherwise."""
    expires: Span | None = None
    """How long the new one lives; as long as the old one was made for, unless said otherwise."""


class KeyView(ViewModel):
    """A key, but not the key itself. Times are milliseconds since the epoch, null: never."""

    prefix: str
    """Names it."""
    tenant: str
    """Or ``*``: the platform's."""
    name: str
    scopes: list[str]
    created_ms: int
    created_by: str
    expires_ms: int | None
    last_used_ms: int | None
    rotated_from: str | None
    revoked_ms: int | None

    @classmethod
    def of(cls, key: ApiKey) -> "KeyView":
        """Show a key."""
        return cls(**key.as_mapping())


class KeyPage(PageView):
    """Keys, by prefix."""

    keys: list[KeyView]


class KeyMade(KeyView):
    """A new key."""

    key: str
    """What its owner sends. Told this once, and kept nowhere."""


class KeyRotated(KeyMade):
    """A new key in place of another."""

    old: KeyView


class KeyApi:
    """The handlers; `resource` gives what the API needs."""

    def __init__(self, desk: KeyDesk, access: ApiAccess, clock: Clock) -> None:
        self._desk = desk
        self._access = access
        self._clock = clock

    def resource(self) -> Resource:
        """Give the operations, a tenant's and the platform's."""
        keys = Resource("keys", self._access)
        for root, scope, owner in (
            (TENANT_ROOT, TENANT_ADMIN, "keys"),
            (PLATFORM_ROOT, PLATFORM_ADMIN, "platform_keys"),
        ):
            made = Operation(scope, status=201, refuses=[409])
            rotated = Operation(scope, status=201, refuses=[409], is_body_optional=True)
            one = root + "/{prefix}"
            keys.add("GET", root, self.list, Operation(scope), operation_id=f"{owner}_list")
            keys.add("POST", root, self.add, made, operation_id=f"{owner}_add")
            keys.add("POST", f"{one}/rotate", self.rotate, rotated, operation_id=f"{owner}_rotate")
            keys.add(
                "DELETE", one, self.revoke, Operation(scope, 204), operation_id=f"{owner}_revoke"
            )
        return keys

    async def list(self, tenant: MaybeTenant, asked: Annotated[KeyQuery, Query()]) -> KeyPage:
        """Give a page of keys; the keys themselves are not known."""
        keys = await self._desk.list(tenant or PLATFORM, with_revoked=asked.revoked)
        further = sorted(
            (key for key in keys if key.prefix > asked.after), key=lambda key: key.prefix
        )
        page = further[: asked.limit]
        return KeyPage(
            keys=[KeyView.of(key) for key in page],
            next_after=page[-1].prefix if len(further) > len(page) else None,
        )

    async def add(self, caller: Caller, tenant: MaybeTenant, wanted: KeyWanted) -> KeyMade:
        """Make a key. It is in the answer, this once."""
        if not wanted.name.isprintable():
            raise BadRequestError("a key's name is printable characters")
        for refusal in refusals(wanted.scopes, is_platform=tenant is None):
            raise BadRequestError(refusal)
        expires_ms = None
        if wanted.expires is not None:
            expires_ms = self._clock.now_ms() + _span(wanted.expires, "expires")
        new = NewKey(tenant or PLATFORM, wanted.name, wanted.scopes, expires_ms)
        try:
            key, text = await self._desk.add(who_of(caller), new)
        except ConflictError:
            raise
        except StoreError as error:
            raise ConflictError(str(error)) from error
        return KeyMade(**key.as_mapping(), key=str(text))

    async def rotate(
        self, caller: Caller, tenant: MaybeTenant, prefix: str, wanted: RotationWanted
    ) -> KeyRotated:
        """Make a key's successor; both work until the overlap ends."""
        rotation = Rotation(
            OVERLAP_MS_DEFAULT if wanted.overlap is None else _span(wanted.overlap, "overlap"),
            None if wanted.expires is None else _span(wanted.expires, "expires"),
        )
        owner = tenant or PLATFORM
        try:
            key, text, old = await self._desk.rotate(who_of(caller), owner, prefix, rotation)
        except (ConflictError, NotFoundError):
            raise
        except StoreError as error:
            raise ConflictError(str(error)) from error
        return KeyRotated(**key.as_mapping(), key=str(text), old=KeyView.of(old))

    async def revoke(self, caller: Caller, tenant: MaybeTenant, prefix: str) -> None:
        """End a key: nobody takes it any more within a second."""
        await self._desk.revoke(who_of(caller), tenant or PLATFORM, prefix)


def _span(text: str, name: str) -> int:
    try:
        milliseconds = span_ms(text)
    except ValueError as error:
        raise BadRequestError(f"{name}: {error}") from None
    if milliseconds > LIFETIME_MS_MAX:
        raise BadRequestError(f"{name}: at most 3650d")
    return milliseconds

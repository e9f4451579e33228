"""The API of a tenant's logins to NATS, below ``/api/v1/tenants/{tenant}/logins``.

    GET    …        logins by id, those that ended too; after, limit
    POST   …        {"name", "expires": "90d" or "never"}: 201, with the seed, this once
    DELETE …/{id}   204: within two seconds its connections are cut

In: ``tenant-admin``. Out: JSON. Refuses names and times that make no sense (422), one login too
many (409), a login that is not there (404). A login works where the server's accounts are kept by
greentic-events; for a cluster that trusts an operator's key, ``tenant creds issue`` signs one.
"""

from typing import Annotated, Final

from fastapi import Query
from pydantic import Field

from actors.ports import Clock
from app.accounts.desk import LoginDesk
from app.accounts.login import NAME_CHARS_MAX, BusLogin
from app.dead_letters.moments import span_ms
from app.errors import (
    BadRequestError,
    ConflictError,
    NotFoundError,
    StoreError,
    ValueRefusedError,
)
from app.http.api_access import ApiAccess, who_of
from app.http.api_models import BodyModel, PageQuery, PageView, ViewModel
from app.http.api_route import Caller, Operation, Resource, Tenant
from app.identity.scopes import TENANT_ADMIN

ROOT: Final = "/tenants/{tenant}/logins"
ONE: Final = ROOT + "/{login_id}"
NEVER: Final = "never"
LIFETIME_DEFAULT: Final = "90d"
LIFETIME_MS_MAX: Final = 3650 * 86_400_000


class LoginWanted(BodyModel):
    """A login to be made."""

    name: Annotated[str, Field(min_length=1, max_length=NAME_CHARS_MAX)] = "client"
    """Who uses it, for people: printable characters."""
    expires: Annotated[str, Field(pattern="^([0-9]{1,6}[smhdw]|never)$")] = LIFETIME_DEFAULT
    """How long it lives."""


class LoginView(ViewModel):
    """A login. Times are milliseconds since the epoch, null: never."""

    id: str
    tenant: str
    name: str
    public_key: str
    created_ms: int
    expires_ms: int | None
    revoked_ms: int | None

    @classmethod
    def of(cls, login: BusLogin) -> "LoginView":
        """Show a login."""
        return cls(**login.as_mapping())


class LoginMade(LoginView):
    """A new login."""

    seed: str
    """What its owner logs in with (an nkey). Told this once, and kept nowhere."""


class LoginPage(PageView):
    """Logins, by id."""

    logins: list[LoginView]


class LoginApi:
    """The handlers; `resource` gives what the API needs."""

    def __init__(self, desk: LoginDesk, access: ApiAccess, clock: Clock) -> None:
        self._desk = desk
        self._access = access
        self._clock = clock

    def resource(self) -> Resource:
        """Give the operations."""
        logins = Resource("logins", self._access)
        issuing = Operation(TENANT_ADMIN, status=201, refuses=[409], is_body_optional=True)
        logins.add("GET", ROOT, self.list, Operation(TENANT_ADMIN))
        logins.add("POST", ROOT, self.issue, issuing)
        logins.add("DELETE", ONE, self.revoke, Operation(TENANT_ADMIN, 204))
        return logins

    async def list(self, tenant: Tenant, asked: Annotated[PageQuery, Query()]) -> LoginPage:
        """Give a page of logins; their seeds are not known."""
        found = await self._desk.logins.list(tenant)
        further = sorted(
            (login for login in found if login.id > asked.after), key=lambda login: login.id
        )
        page = further[: asked.limit]
        return LoginPage(
            logins=[LoginView.of(login) for login in page],
            next_after=page[-1].id if len(further) > len(page) else None,
        )

    async def issue(self, caller: Caller, tenant: Tenant, wanted: LoginWanted) -> LoginMade:
        """Make a login. Its seed is in the answer, this once; it works within two seconds."""
        expires_ms = None
        if wanted.expires != NEVER:
            expires_ms = self._clock.now_ms() + _span(wanted.expires)
        try:
            login, key = await self._desk.issue(
                who_of(caller), tenant, wanted.name, expires_ms=expires_ms
            )
        except (ConflictError, NotFoundError, ValueRefusedError):
            raise
        except StoreError as error:
            raise ConflictError(str(error)) from error
        return LoginMade(**login.as_mapping(), seed=key.seed)

    async def revoke(self, caller: Caller, tenant: Tenant, login_id: str) -> None:
        """End a login: within two seconds its connections are cut and nobody takes it any more."""
        await self._desk.revoke(who_of(caller), tenant, login_id)


def _span(text: str) -> int:
    try:
        milliseconds = span_ms(text)
    except ValueError as error:
        raise BadRequestError(f"expires: {error}") from None
    if not 0 < milliseconds <= LIFETIME_MS_MAX:
        raise BadRequestError("expires: more than nothing, and at most 3650d")
    return milliseconds

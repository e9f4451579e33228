"""Who may use the API: whoever has a key with the scope for the very tenant, on loopback too.

In: a request with ``Authorization: Bearer gte_…``. Out: the `Principal` behind it. Refuses with
ApiKeyError (401) what is no key in force; with WrongTenantError (403) the key of another tenant,
whether or not there is that tenant; with ForbiddenError (403) one that lacks the scope; with
LockedOutError (429) who has guessed too often. The work is the same whatever is wrong with a key
(`app.stores.api_key`).
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from starlette.requests import Request

from actors.ports import Observer
from actors.subjects import check_token
from app.audit.entry import Who
from app.errors import ForbiddenError, WrongTenantError
from app.http.client_address import Network, client_address
from app.identity.observations import KeyRefused
from app.identity.principal import Principal

FORWARDED: Final = "x-forwarded-for"


class Authentication(Protocol):
    """What judges keys: `app.identity.authentication.Authenticator`."""

    def authenticate(self, authorization: Sequence[str], address: str) -> Principal:
        """Give who sent these headers. ApiKeyError, LockedOutError, UnavailableError."""
        ...


@dataclass(frozen=True, slots=True)
class ApiAccess:
    """The API's one way in."""

    keys: Authentication
    observer: Observer
    trusted_proxies: Sequence[Network] = ()
    check_living: Callable[[str], Awaitable[None]] | None = None
    """Refuses a tenant that there is not, or no more; None: nobody knows here."""

    def principal(self, request: Request) -> Principal:
        """Give whoever has the request's key."""
        forwarded = {FORWARDED: ",".join(request.headers.getlist(FORWARDED))}
        address = client_address(request.scope, forwarded, self.trusted_proxies)
        return self.keys.authenticate(request.headers.getlist("authorization"), address)

    def allowed(self, request: Request, scope: str, tenant: str | None) -> Principal:
        """Give whoever may do this in that tenant, or with None above all of them."""
        principal = self.principal(request)
        if not principal.is_of(tenant):
            self.observer.observe(KeyRefused("tenant"))
            if tenant is None:
                raise ForbiddenError("this takes a platform key")
            raise WrongTenantError("the API key is not this tenant's")
        if tenant is not None:
            # A platform key reaches every tenant, but nothing that only looks like one.
            check_token(tenant, "tenant")
        if not principal.may(scope, tenant):
            self.observer.observe(KeyRefused("scope"))
            raise ForbiddenError(f"the API key lacks the scope {scope}")
        return principal

    async def check_tenant(self, tenant: str) -> None:
        """Return if something may be made for the tenant. NotFoundError, ConflictError."""
        if self.check_living is not None:
            await self.check_living(tenant)


def who_of(principal: Principal) -> Who:
    """Name whoever has a key, for the audit log."""
    return Who(principal.actor, "platform-api" if principal.tenant is None else "api")

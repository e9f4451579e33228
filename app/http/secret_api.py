"""The API of a tenant's secrets, below ``/api/v1/tenants/{tenant}/secrets``.

    GET    …          names, sorted; after, limit
    PUT    …/{name}   {"value"}: 204; over whatever was there
    DELETE …/{name}   204

In: ``tenant-admin``. Out: names, and never a value: what was stored is read by flows alone. Refuses
names and values that cannot be one (422), one secret too many, and to store where there is no key
to seal with (409); a secret that is not there (404).
"""

from typing import Annotated, Final

from fastapi import Query
from pydantic import Field, SecretStr

from actors.errors import PermanentError
from app.control.secret_desk import SecretDesk
from app.errors import ConflictError, SettingsError, ValueRefusedError
from app.http.api_access import ApiAccess, who_of
from app.http.api_models import BodyModel, PageQuery, PageView
from app.http.api_route import Caller, Operation, Resource, Tenant
from app.identity.scopes import TENANT_ADMIN

ROOT: Final = "/tenants/{tenant}/secrets"
ONE: Final = ROOT + "/{name}"
BODY_BYTES_MAX: Final = 512 * 1024
"""Of 64 KiB in JSON, which may write a character in six."""
LIMIT: Final = "secret.limit"


class SecretWanted(BodyModel):
    """A secret's value."""

    value: Annotated[SecretStr, Field(min_length=1, max_length=64 * 1024)]
    """Text, up to 64 KiB. It is never told again."""


class SecretPage(PageView):
    """Names, sorted."""

    secrets: list[str]


class SecretApi:
    """The handlers; `resource` gives what the API needs."""

    def __init__(self, desk: SecretDesk, access: ApiAccess) -> None:
        self._desk = desk
        self._access = access

    def resource(self) -> Resource:
        """Give the operations."""
        secrets = Resource("secrets", self._access)
        setting = Operation(TENANT_ADMIN, 204, refuses=[409], body_bytes_max=BODY_BYTES_MAX)
        secrets.add("GET", ROOT, self.list, Operation(TENANT_ADMIN))
        secrets.add("PUT", ONE, self.set, setting)
        secrets.add("DELETE", ONE, self.remove, Operation(TENANT_ADMIN, 204))
        return secrets

    async def list(self, tenant: Tenant, asked: Annotated[PageQuery, Query()]) -> SecretPage:
        """Name a tenant's secrets."""
        further = [name for name in await self._desk.store.list(tenant) if name > asked.after]
        page = further[: asked.limit]
        next_after = page[-1] if len(further) > len(page) else None
        return SecretPage(secrets=page, next_after=next_after)

    async def set(self, caller: Caller, tenant: Tenant, name: str, wanted: SecretWanted) -> None:
        """Store a secret over whatever was there. Flows see it within a minute."""
        value = wanted.value.get_secret_value()
        try:
            await self._desk.set(who_of(caller), tenant, name, value)
        except PermanentError as error:
            raise _refusal(error) from None
        except SettingsError as error:
            raise ConflictError(f"secrets cannot be stored here: {error}") from None

    async def remove(self, caller: Caller, tenant: Tenant, name: str) -> None:
        """Forget a secret."""
        try:
            await self._desk.remove(who_of(caller), tenant, name)
        except PermanentError as error:
            raise _refusal(error) from None


def _refusal(error: PermanentError) -> ConflictError | ValueRefusedError:
    """Tell what the store says of a name or a value; its texts never repeat a value."""
    return ConflictError(str(error)) if error.reason == LIMIT else ValueRefusedError(str(error))

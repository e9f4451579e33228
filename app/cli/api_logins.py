"""Tenants' logins to NATS through the API, which issues those that its server lists.

In: a tenant. Out: logins; a new one's seed, once. Refuses what the API refuses.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from app.accounts.login import BusLogin
from app.cli.api_client import ApiClient, below
from app.errors import NotFoundError


class ApiLogins:
    """Asks for them over HTTP."""

    def __init__(self, client: ApiClient, tenant: str) -> None:
        self._client = client
        self._tenant = tenant

    async def issue(self, name: str, expires: str) -> tuple[BusLogin, str]:
        """Make a login that lives so long (``90d``, ``never``); gives its seed, too."""
        body = {"name": name, "expires": expires}
        made = await self._client.send("POST", self._path(), body)
        return self._client.read(made, BusLogin), self._client.read(made, _Made).seed

    async def list(self) -> Sequence[BusLogin]:
        """Give the logins, the oldest first."""
        found: list[BusLogin] = []
        async for page in self._client.walk(self._path()):
            found += self._client.read(page, _Page).logins
        return sorted(found, key=lambda login: (login.created_ms, login.id))

    async def revoke(self, login_id: str) -> BusLogin:
        """End a login."""
        await self._client.send("DELETE", self._path(login_id))
        for login in await self.list():
            if login.id == login_id:
                return login
        raise NotFoundError(f"{self._tenant} has no login {login_id!r} any more")

    def _path(self, *names: str) -> str:
        return below("tenants", self._tenant, "logins", *names)


@dataclass(frozen=True, slots=True)
class _Made:
    seed: str

    def __repr__(self) -> str:
        """Show nothing."""
        return "_Made()"


@dataclass(frozen=True, slots=True)
class _Page:
    logins: list[BusLogin]

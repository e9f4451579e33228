"""How `secret …` reaches a tenant's secrets: on NATS itself, or through the API.

In: what was said of where. Out: work done with secrets. Refuses what `app.stores.secrets` and the
API refuse.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from app.audit.entry import Who
from app.cli.api_client import ApiClient, at_api, below
from app.cli.auditing import open_secret_desk
from app.cli.reach import Reach
from app.cli.vault import find_whereabouts
from app.control.secret_desk import SecretDesk

T = TypeVar("T")


class Secrets(Protocol):
    """What commands do with secrets, whichever way they went."""

    async def set(self, who: Who, tenant: str, name: str, value: str, /) -> None:
        """Store a secret."""
        ...

    async def list(self, tenant: str, /) -> Sequence[str]:
        """Name a tenant's secrets."""
        ...

    async def remove(self, who: Who, tenant: str, name: str, /) -> None:
        """Forget a secret."""
        ...


class DeskSecrets:
    """Has them from the desk and its store."""

    def __init__(self, desk: SecretDesk) -> None:
        self.set = desk.set
        self.remove = desk.remove
        self.list = desk.store.list


class ApiSecrets:
    """Asks for them over HTTP."""

    def __init__(self, client: ApiClient) -> None:
        self._client = client

    async def set(self, _who: Who, tenant: str, name: str, value: str) -> None:
        """Store a secret."""
        await self._client.send("PUT", _path(tenant, name), {"value": value})

    async def list(self, tenant: str) -> Sequence[str]:
        """Name a tenant's secrets."""
        names: list[str] = []
        async for page in self._client.walk(_path(tenant)):
            names += self._client.read(page, _Page).secrets
        return names

    async def remove(self, _who: Who, tenant: str, name: str) -> None:
        """Forget a secret."""
        await self._client.send("DELETE", _path(tenant, name))


def at_secrets(reach: Reach, work: Callable[[Secrets], Awaitable[T]]) -> T:
    """Do some work with secrets. CommandError, SettingsError, UnavailableError."""
    if (api := reach.api()) is not None:
        return at_api(api, lambda client: work(ApiSecrets(client)))
    where = find_whereabouts(reach.nats_url, reach.data, reach.env, os.environ)

    async def run() -> T:
        async with open_secret_desk(where) as desk:
            return await work(DeskSecrets(desk))

    return asyncio.run(run())


@dataclass(frozen=True, slots=True)
class _Page:
    secrets: list[str]


def _path(tenant: str, *names: str) -> str:
    return below("tenants", tenant, "secrets", *names)

"""How `tenant key …` and `platform key …` reach API keys: on NATS itself, or through the API.

In: whose keys; lengths of time as people write them. Out: keys; a new key's text, once. Refuses
what `app.control.keys` and the API refuse.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from app.bus.connection import Bus
from app.cli.api_client import ApiClient, at_api, below
from app.cli.auditing import audit_on, cli_who
from app.cli.connecting import connected
from app.cli.reach import Reach
from app.control import names
from app.control.credentials import ensure_credential_buckets, tombstone_gate
from app.control.keys import OVERLAP_MS_DEFAULT, KeyDesk, Rotation
from app.dead_letters.moments import span_ms
from app.stores.api_key import PLATFORM, ApiKey, bare_prefix
from app.stores.api_keys import KvApiKeys, NewKey
from app.stores.key_uses import KeyUses
from app.stores.kv import KvBucket
from app.system import SystemClock

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """How long keys live, like ``90d``; None: as usual."""

    expires: str | None = None
    overlap: str | None = None
    """How long one that gives way to another goes on."""


@dataclass(frozen=True, slots=True)
class MadeKey:
    """A new key."""

    key: ApiKey
    text: str
    """What its owner sends. It is known this once."""
    old: ApiKey | None = None
    """The one whose place it takes."""

    def __repr__(self) -> str:
        """Name it without its text."""
        return f"MadeKey({self.key.prefix})"


class Keys(Protocol):
    """What commands do with an owner's keys, whichever way they went."""

    async def add(self, name: str, scopes: Sequence[str], lifetimes: Lifetimes, /) -> MadeKey:
        """Make a key."""
        ...

    async def list(self, *, with_revoked: bool) -> Sequence[ApiKey]:
        """Give the keys, the oldest first."""
        ...

    async def rotate(self, prefix: str, lifetimes: Lifetimes, /) -> MadeKey:
        """Make a key's successor."""
        ...

    async def revoke(self, prefix: str, /) -> str:
        """End a key; gives its prefix alone."""
        ...


class DeskKeys:
    """Has them from the desk."""

    def __init__(self, desk: KeyDesk, owner: str) -> None:
        self._desk = desk
        self._owner = owner

    async def add(self, name: str, scopes: Sequence[str], lifetimes: Lifetimes) -> MadeKey:
        """Make a key."""
        lives_ms = _span(lifetimes.expires)
        expires_ms = None if lives_ms is None else SystemClock().now_ms() + lives_ms
        key, text = await self._desk.add(cli_who(), NewKey(self._owner, name, scopes, expires_ms))
        return MadeKey(key, str(text))

    async def list(self, *, with_revoked: bool) -> Sequence[ApiKey]:
        """Give the keys, the oldest first."""
        return await self._desk.list(self._owner, with_revoked=with_revoked)

    async def rotate(self, prefix: str, lifetimes: Lifetimes) -> MadeKey:
        """Make a key's successor."""
        overlap_ms = _span(lifetimes.overlap)
        rotation = Rotation(
            OVERLAP_MS_DEFAULT if overlap_ms is None else overlap_ms, _span(lifetimes.expires)
        )
        key, text, old = await self._desk.rotate(cli_who(), self._owner, prefix, rotation)
        return MadeKey(key, str(text), old)

    async def revoke(self, prefix: str) -> str:
        """End a key."""
        return (await self._desk.revoke(cli_who(), self._owner, prefix)).prefix


class ApiKeys:
    """Asks for them over HTTP."""

    def __init__(self, client: ApiClient, owner: str) -> None:
        self._client = client
        self._root = ("keys",) if owner == PLATFORM else ("tenants", owner, "keys")

    async def add(self, name: str, scopes: Sequence[str], lifetimes: Lifetimes) -> MadeKey:
        """Make a key."""
        body = {"name": name, "scopes": list(scopes), "expires": lifetimes.expires}
        return self._made(await self._client.send("POST", below(*self._root), body))

    async def list(self, *, with_revoked: bool) -> Sequence[ApiKey]:
        """Give the keys, the oldest first."""
        found: list[ApiKey] = []
        async for page in self._client.walk(below(*self._root), {"revoked": with_revoked}):
            found += [self._key(each) for each in self._client.read(page, _Page).keys]
        return sorted(found, key=lambda key: (key.created_ms, key.prefix))

    async def rotate(self, prefix: str, lifetimes: Lifetimes) -> MadeKey:
        """Make a key's successor."""
        body = {"overlap": lifetimes.overlap, "expires": lifetimes.expires}
        path = below(*self._root, bare_prefix(prefix), "rotate")
        return self._made(await self._client.send("POST", path, body))

    async def revoke(self, prefix: str) -> str:
        """End a key."""
        await self._client.send("DELETE", below(*self._root, bare_prefix(prefix)))
        return bare_prefix(prefix)

    def _made(self, document: dict[str, Any]) -> MadeKey:
        told = self._client.read(document, _Made)
        old = None if told.old is None else self._key(told.old)
        return MadeKey(self._key(document), told.key, old)

    def _key(self, document: dict[str, Any]) -> ApiKey:
        return self._client.read({**document, "digest": ""}, ApiKey)


@dataclass(frozen=True, slots=True)
class _Page:
    keys: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class _Made:
    key: str
    old: dict[str, Any] | None = None


def at_keys(reach: Reach, owner: str, work: Callable[[Keys], Awaitable[T]]) -> T:
    """Do some work with an owner's keys."""
    if (api := reach.api()) is not None:
        return at_api(api, lambda client: work(ApiKeys(client, owner)))
    settings, env = reach.bus(), reach.bus_env

    async def run() -> T:
        async with connected(settings) as bus, key_desk_on(bus, env) as desk:
            return await work(DeskKeys(desk, owner))

    return asyncio.run(run())


@asynccontextmanager
async def key_desk_on(bus: Bus, env: str) -> AsyncIterator[KeyDesk]:
    """Give the desk on an open connection."""
    await ensure_credential_buckets(bus, env)
    clock = SystemClock()
    store = KvApiKeys(KvBucket(bus, names.api_keys_bucket(env)), clock)
    uses = KeyUses(KvBucket(bus, names.key_uses_bucket(env)), clock)
    async with audit_on(bus, env) as audit:
        yield KeyDesk(store, uses, audit, clock, tombstone_gate(bus, env))


def _span(text: str | None) -> int | None:
    return None if text is None else span_ms(text)

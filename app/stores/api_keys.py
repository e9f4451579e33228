"""API keys in a bucket, and the ring of them that a process checks tokens against.

In: tenants, names, scopes; tokens. Out: keys; the tenant of a token. Refuses tokens that are of no
key, of an expired one, or for another scope, all in the same way.

Keys of the bucket are ``{tenant}.{prefix}``; a record that says another tenant or prefix than its
key does is no key, so that nothing is won by copying one.
"""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from typing import Final

import structlog

from actors.errors import UnavailableError
from actors.ports import Clock
from actors.subjects import check_token
from app.errors import NotFoundError, StoreError
from app.stores.api_key import (
    NAME_CHARS_MAX,
    SCOPES,
    ApiKey,
    KeyText,
    matches,
    new_text,
    parse_text,
    read_record,
)
from app.stores.kv import KvBucket

REFRESH_SECONDS: Final = 1.0
"""How long a new key may be unknown, and a revoked one still work, in the other processes."""

KEYS_MAX: Final = 100
"""Keys of one tenant."""

_READS_AT_ONCE: Final = 50

_log = structlog.get_logger("app.api_keys")


class KvApiKeys:
    """The keys of one env, for those who manage them."""

    def __init__(self, bucket: KvBucket, clock: Clock) -> None:
        self._bucket = bucket
        self._clock = clock

    async def add(
        self, tenant: str, name: str, scopes: Sequence[str], *, expires_ms: int | None = None
    ) -> tuple[ApiKey, KeyText]:
        """Make a key. Its text is given here and never again. StoreError, InvalidSubjectError."""
        _check(name, scopes)
        if len(await self._bucket.keys(check_token(tenant, "tenant"))) >= KEYS_MAX:
            raise StoreError(f"tenant {tenant} has {KEYS_MAX} keys, which is the most")
        text = new_text()
        key = ApiKey(
            prefix=text.prefix,
            tenant=tenant,
            name=name,
            scopes=tuple(dict.fromkeys(scopes)),
            created_ms=self._clock.now_ms(),
            expires_ms=expires_ms,
            digest=text.digest,
        )
        # Revision 0: a prefix that is taken, however unlikely, is refused and never written over.
        await self._bucket.put(f"{tenant}.{text.prefix}", key.as_bytes(), revision=0)
        return key, text

    async def list(self, tenant: str) -> tuple[ApiKey, ...]:
        """Give a tenant's keys, the oldest first, the expired ones too."""
        keys = await _read(self._bucket, check_token(tenant, "tenant"))
        return tuple(sorted(keys, key=lambda key: (key.created_ms, key.prefix)))

    async def revoke(self, tenant: str, prefix: str) -> None:
        """Forget a key; NotFoundError where there is none."""
        text = parse_text(prefix)
        bare = text.prefix if text is not None else prefix.removeprefix("gte_")
        keys = [key.prefix for key in await self.list(tenant)]
        if bare not in keys:
            raise NotFoundError(f"tenant {tenant} has no key {bare[:20]!r}")
        await self._bucket.delete(f"{tenant}.{bare}")


class ApiKeyRing:
    """All keys of the env, kept fresh: `app.providers.provider.ApiKeys`.

    While the bus is away it goes on with what it knew: nothing can be stored then anyway.
    """

    def __init__(self, bucket: KvBucket, clock: Clock) -> None:
        self._bucket = bucket
        self._clock = clock
        self._by_prefix: Mapping[str, tuple[ApiKey, ...]] = {}
        self._revision: int | None = None
        self._task: asyncio.Task[None] | None = None

    def find_tenant(self, token: str, scope: str) -> str | None:
        """Give the tenant that a key with this scope belongs to; None: no such key. Never waits."""
        text = parse_text(token)
        if text is None:
            return None
        key = matches(text, self._by_prefix.get(text.prefix, ()))
        if key is None or not key.allows(scope, self._clock.now_ms()):
            return None
        return key.tenant

    async def start(self) -> None:
        """Read the keys and keep them fresh until `stop`. UnavailableError, StoreError."""
        await self.refresh()
        self._task = asyncio.create_task(self._keep_fresh(), name="api-keys")

    async def stop(self) -> None:
        """Let them be; tokens are still checked against what was read last."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None

    async def refresh(self) -> None:
        """Read the keys again if anything was written since the last time."""
        revision = await self._bucket.last_revision()
        if revision == self._revision:
            return
        by_prefix: dict[str, tuple[ApiKey, ...]] = {}
        for key in await _read(self._bucket):
            by_prefix[key.prefix] = (*by_prefix.get(key.prefix, ()), key)
        # What was written during the reading has a later revision: the next refresh reads again.
        self._by_prefix, self._revision = by_prefix, revision

    async def _keep_fresh(self) -> None:
        while True:
            await self._clock.sleep(REFRESH_SECONDS)
            with contextlib.suppress(UnavailableError):
                try:
                    await self.refresh()
                except StoreError as error:
                    _log.warning("api_keys.not_refreshed", error_code=error.code)


def _check(name: str, scopes: Sequence[str]) -> None:
    if not name.isprintable() or not 0 < len(name) <= NAME_CHARS_MAX:
        raise StoreError(f"a key's name is 1 to {NAME_CHARS_MAX} printable characters")
    unknown = sorted(set(scopes) - set(SCOPES))
    if unknown or not scopes:
        known = ", ".join(SCOPES)
        raise StoreError(f"{unknown[0] if unknown else ''!r} is no scope; there are: {known}")


async def _read(bucket: KvBucket, tenant: str = "") -> list[ApiKey]:
    limit = asyncio.Semaphore(_READS_AT_ONCE)

    async def read_one(place: str) -> ApiKey | None:
        async with limit:
            # What a replica does not have yet would not be read again before the next write.
            entry = await bucket.get_surely(place)
        if entry.value is None:
            return None
        try:
            key = read_record(entry.value)
        except StoreError:
            return None
        return key if f"{key.tenant}.{key.prefix}" == place else None

    places = sorted(await bucket.keys(tenant))
    found = await asyncio.gather(*(read_one(place) for place in places))
    return [key for key in found if key is not None]

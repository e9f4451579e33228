"""The logins of an env in a bucket: issued, listed, revoked.

In: tenants, names, times. Out: records; the seed of a new login, once. Refuses names that cannot be
shown, more logins than a tenant may have, and records that lie under another's key: nothing is won
by copying one.
"""

import asyncio
import secrets
from dataclasses import replace
from typing import Final

from actors.ports import Clock
from actors.subjects import check_token
from app.accounts.login import (
    NAME_CHARS_MAX,
    BusLogin,
    UserKey,
    new_user_key,
    read_login,
)
from app.errors import NotFoundError, StoreError
from app.stores.kv import KvBucket, KvEntry

LOGINS_MAX: Final = 50
"""Live ones of one tenant: each costs 1.4 KB of the server's configuration."""
KEPT_MS: Final = 30 * 86_400_000
"""How long a login is still listed after its end. One without an end is kept once revoked: where
logins are signed, its revocation is what keeps it out."""
ID_CHARS: Final = 8

_ALPHABET: Final = "abcdefghijklmnopqrstuvwxyz0123456789"
_READS_AT_ONCE: Final = 50


class KvBusLogins:
    """The logins of one env."""

    def __init__(self, bucket: KvBucket, clock: Clock) -> None:
        self._bucket = bucket
        self._clock = clock

    async def issue(
        self, tenant: str, name: str, *, expires_ms: int | None = None
    ) -> tuple[BusLogin, UserKey]:
        """Make a login. Its seed is given here and never again. StoreError, InvalidSubjectError."""
        login, key = await self.draft(tenant, name, expires_ms=expires_ms)
        await self.add(login)
        return login, key

    async def draft(
        self, tenant: str, name: str, *, expires_ms: int | None = None
    ) -> tuple[BusLogin, UserKey]:
        """Make a login that is not in force: `add` stores it."""
        check_token(tenant, "tenant")
        if not name.isprintable() or not 0 < len(name) <= NAME_CHARS_MAX:
            raise StoreError(f"a login's name is 1 to {NAME_CHARS_MAX} printable characters")
        now_ms = self._clock.now_ms()
        if expires_ms is not None and expires_ms <= now_ms:
            raise StoreError("a login must end in the future")
        await self._make_room(tenant, now_ms)
        key = new_user_key()
        login = BusLogin(
            id="".join(secrets.choice(_ALPHABET) for _ in range(ID_CHARS)),
            tenant=tenant,
            name=name,
            public_key=key.public_key,
            created_ms=now_ms,
            expires_ms=expires_ms,
        )
        return login, key

    async def add(self, login: BusLogin) -> None:
        """Store a new login."""
        # Revision 0: an id that is taken, however unlikely, is refused and never written over.
        await self._bucket.put(login.place, login.as_bytes(), revision=0)

    async def list(self, tenant: str) -> tuple[BusLogin, ...]:
        """Give a tenant's logins, the oldest first, those that ended too."""
        return await self._read(check_token(tenant, "tenant"))

    async def all(self) -> tuple[BusLogin, ...]:
        """Give the logins of all tenants, those that ended too."""
        return await self._read("")

    async def revision(self) -> int:
        """Give a number that is another one after each change."""
        return await self._bucket.last_revision()

    async def find(self, tenant: str, login_id: str) -> BusLogin:
        """Give a login; NotFoundError where there is none."""
        for login in await self.list(tenant):
            if login.id == login_id:
                return login
        raise NotFoundError(f"tenant {tenant} has no login {login_id[:20]!r}")

    async def revoke(self, tenant: str, login_id: str) -> BusLogin:
        """End a login; NotFoundError where there is none. One that was revoked stays as it is."""
        return await self._end(await self.find(tenant, login_id))

    async def revoke_all(self, tenant: str) -> tuple[BusLogin, ...]:
        """End all logins of a tenant, as its deletion does, and give those that lived."""
        now_ms = self._clock.now_ms()
        live = [login for login in await self.list(tenant) if login.is_live(now_ms)]
        return tuple([await self._end(login) for login in live])

    async def _end(self, login: BusLogin) -> BusLogin:
        entry = await self._bucket.get_surely(login.place)
        current = _read_at(login.place, entry) or login
        if current.revoked_ms is not None:
            return current
        ended = replace(current, revoked_ms=self._clock.now_ms())
        await self._bucket.put(ended.place, ended.as_bytes(), revision=entry.revision)
        return ended

    async def _make_room(self, tenant: str, now_ms: int) -> None:
        logins = await self.list(tenant)
        for login in logins:
            if login.expires_ms is not None and login.expires_ms + KEPT_MS <= now_ms:
                await self._bucket.delete(login.place)
        if sum(login.is_live(now_ms) for login in logins) >= LOGINS_MAX:
            raise StoreError(f"tenant {tenant} has {LOGINS_MAX} logins, which is the most")

    async def _read(self, tenant: str) -> tuple[BusLogin, ...]:
        limit = asyncio.Semaphore(_READS_AT_ONCE)

        async def read_one(place: str) -> BusLogin | None:
            async with limit:
                # From the leader: a login that was revoked must not live on in a late follower.
                return _read_at(place, await self._bucket.get_surely(place))

        places = await self._bucket.keys(tenant)
        found = await asyncio.gather(*(read_one(place) for place in sorted(places)))
        logins = [login for login in found if login is not None]
        return tuple(sorted(logins, key=lambda login: (login.created_ms, login.place)))


def _read_at(place: str, entry: KvEntry) -> BusLogin | None:
    if entry.value is None:
        return None
    try:
        login = read_login(entry.value)
    except StoreError:
        return None
    return login if login.place == place else None

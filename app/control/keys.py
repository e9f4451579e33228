"""Changing API keys, each change in the audit log first.

In: who acts, a tenant (or `PLATFORM`), what is wanted. Out: keys; a new key's text, once. Refuses
what `app.stores.api_keys` refuses, and any change but a revocation that the audit log does not take
(UnavailableError).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from actors.ports import Clock
from app.audit.entry import Who
from app.audit.log import AuditLog, Change
from app.stores.api_key import PLATFORM, ApiKey, KeyText
from app.stores.api_keys import KvApiKeys, NewKey
from app.stores.key_uses import KeyUses
from app.tenancy.store import Gate, open_gate

OVERLAP_MS_DEFAULT: Final = 24 * 3600 * 1000


@dataclass(frozen=True, slots=True)
class Rotation:
    """How a key gives way to another."""

    overlap_ms: int = OVERLAP_MS_DEFAULT
    """How long the old key goes on beside its successor."""
    lifetime_ms: int | None = None
    """Of the successor; None: as long as the old one was made for, without an end if that has
    none."""


class KeyDesk:
    """The keys of one env, for those who manage them."""

    def __init__(
        self,
        store: KvApiKeys,
        uses: KeyUses,
        audit: AuditLog,
        clock: Clock,
        gate: Gate = open_gate,
    ) -> None:
        self._gate = gate
        self._store = store
        self._uses = uses
        self._audit = audit
        self._clock = clock

    async def list(self, tenant: str, *, with_revoked: bool = False) -> Sequence[ApiKey]:
        """Give a tenant's keys with their last uses, the oldest first."""
        keys = await self._store.list(tenant, with_revoked=with_revoked)
        used = await self._uses.read(tenant)
        return [replace(key, last_used_ms=used.get(key.prefix)) for key in keys]

    async def add(self, who: Who, wanted: NewKey) -> tuple[ApiKey, KeyText]:
        """Make a key. StoreError, InvalidSubjectError; ConflictError: the tenant was deleted."""
        await self._check(wanted.tenant)
        key, text = await self._store.draft(replace(wanted, made_by=who.actor))
        async with self._audit.change(who, _change("key.add", key, None, _shown(key))):
            await self._store.store(key)
        return key, text

    async def rotate(
        self, who: Who, tenant: str, prefix: str, rotation: Rotation
    ) -> tuple[ApiKey, KeyText, ApiKey]:
        """Make a key's successor, and let the old one end; gives both. NotFoundError.

        A crash in between leaves both without an end: rotating again is right.
        """
        await self._check(tenant)
        stored = await self._store.find(tenant, prefix)
        old, now_ms = stored.key, self._clock.now_ms()
        wanted = NewKey(
            tenant=tenant,
            name=old.name,
            scopes=old.scopes,
            expires_ms=_end_of(old, rotation, now_ms),
            made_by=who.actor,
            rotated_from=old.prefix,
        )
        key, text = await self._store.draft(wanted)
        end_ms = now_ms + rotation.overlap_ms
        ending = replace(old, expires_ms=min(old.expires_ms or end_ms, end_ms))
        after = {"successor": _shown(key), "expires_ms": ending.expires_ms}
        async with self._audit.change(who, _change("key.rotate", old, _shown(old), after)):
            await self._store.store(key)
            await self._store.change(stored, ending)
        return key, text, ending

    async def revoke(self, who: Who, tenant: str, prefix: str) -> ApiKey:
        """Revoke a key, also where the audit log does not take it. NotFoundError."""
        key = (await self._store.find(tenant, prefix)).key
        change = _change("key.revoke", key, _shown(key), {"revoked": True})
        async with self._audit.change(who, change, is_urgent=True):
            return await self._store.revoke(tenant, key.prefix)

    async def _check(self, tenant: str) -> None:
        if tenant != PLATFORM:
            await self._gate(tenant)


def _end_of(old: ApiKey, rotation: Rotation, now_ms: int) -> int | None:
    lifetime_ms = rotation.lifetime_ms
    if lifetime_ms is None and old.expires_ms is not None:
        lifetime_ms = old.expires_ms - old.created_ms
    return None if lifetime_ms is None else now_ms + lifetime_ms


def _change(action: str, key: ApiKey, before: Any, after: Any) -> Change:
    tenant = None if key.tenant == PLATFORM else key.tenant
    return Change(action, tenant, key.prefix, before, after)


def _shown(key: ApiKey) -> dict[str, Any]:
    return {"name": key.name, "scopes": list(key.scopes), "expires_ms": key.expires_ms}

"""API keys in a bucket, for those who manage them; `app.stores.key_ring` checks tokens.

In: tenants (or `PLATFORM`), names, scopes. Out: keys. Refuses scopes that there are not, names of
no sense, and more keys of one tenant than anybody needs (StoreError); a key that is not there, or
is revoked (NotFoundError); a key that somebody else changed meanwhile (ConflictError).

Keys of the bucket are ``{tenant}.{prefix}``; a record that says another tenant or prefix than its
key does is no key, so that nothing is won by copying one. A revoked key's record stays for a while,
so that people can see what it was.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from actors.ports import Clock
from app.errors import NotFoundError, StoreError
from app.identity.scopes import refusals
from app.stores.api_key import (
    MAKER_CHARS_MAX,
    NAME_CHARS_MAX,
    PLATFORM,
    ApiKey,
    KeyText,
    bare_prefix,
    check_key_owner,
    is_prefix,
    new_text,
    place_of,
    read_record,
)
from app.stores.kv import KvBucket, KvEntry

KEYS_MAX: Final = 100
"""Keys of one tenant that are not revoked."""
RECORDS_MAX: Final = 1000
"""And with the revoked ones that are still remembered."""
REVOKED_SECONDS: Final = 30 * 24 * 3600
"""How long the record of a revoked key stays."""


@dataclass(frozen=True, slots=True)
class NewKey:
    """What is wanted of a new key."""

    tenant: str
    """Or `PLATFORM`."""
    name: str
    scopes: Sequence[str]
    expires_ms: int | None = None
    made_by: str = ""
    rotated_from: str | None = None


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A key with the revision that it was read at."""

    key: ApiKey
    revision: int


class KvApiKeys:
    """The keys of one env."""

    def __init__(self, bucket: KvBucket, clock: Clock) -> None:
        self._bucket = bucket
        self._clock = clock

    async def draft(self, wanted: NewKey) -> tuple[ApiKey, KeyText]:
        """Make a key that works once it is stored. StoreError, InvalidSubjectError.

        Its text is given here and never again.
        """
        _check(wanted)
        kept = await self._read(wanted.tenant)
        in_use = sum(one.key.revoked_ms is None for one in kept)
        if in_use >= KEYS_MAX or len(kept) >= RECORDS_MAX:
            raise StoreError(f"{_owner(wanted.tenant)} has {in_use} keys, which is the most")
        text = new_text()
        key = ApiKey(
            prefix=text.prefix,
            tenant=wanted.tenant,
            name=wanted.name,
            scopes=tuple(dict.fromkeys(wanted.scopes)),
            created_ms=self._clock.now_ms(),
            expires_ms=wanted.expires_ms,
            digest=text.digest,
            created_by=wanted.made_by[:MAKER_CHARS_MAX],
            rotated_from=wanted.rotated_from,
        )
        return key, text

    async def store(self, key: ApiKey) -> None:
        """Store a new key. ConflictError: the prefix is taken, however unlikely."""
        await self._bucket.put(key.place, key.as_bytes(), revision=0)

    async def change(self, stored: StoredKey, changed: ApiKey) -> None:
        """Write a key's record over what it was. ConflictError: it is not that any more."""
        seconds = None if changed.revoked_ms is None else REVOKED_SECONDS
        data = changed.as_bytes()
        await self._bucket.put(changed.place, data, revision=stored.revision, ttl_seconds=seconds)

    async def add(
        self, tenant: str, name: str, scopes: Sequence[str], *, expires_ms: int | None = None
    ) -> tuple[ApiKey, KeyText]:
        """Make a key and store it."""
        key, text = await self.draft(NewKey(tenant, name, scopes, expires_ms))
        await self.store(key)
        return key, text

    async def list(self, tenant: str, *, with_revoked: bool = False) -> tuple[ApiKey, ...]:
        """Give a tenant's keys, the oldest first, the expired ones too."""
        keys = [one.key for one in await self._read(tenant)]
        wanted = [key for key in keys if with_revoked or key.revoked_ms is None]
        return tuple(sorted(wanted, key=lambda key: (key.created_ms, key.prefix)))

    async def find(self, tenant: str, prefix: str) -> StoredKey:
        """Give a key by its prefix, or its whole text. NotFoundError: there is none in use."""
        bare = bare_prefix(prefix)
        place = f"{place_of(check_key_owner(tenant))}.{bare}"
        entry = await self._bucket.get_surely(place) if is_prefix(bare) else KvEntry(None, 0)
        stored = _stored(place, entry)
        if stored is None or stored.key.revoked_ms is not None:
            raise NotFoundError(f"{_owner(tenant)} has no key {bare[:20]!r}")
        return stored

    async def revoke(self, tenant: str, prefix: str) -> ApiKey:
        """Revoke a key, whoever changes it at the same moment, and give what it is now."""
        stored = await self.find(tenant, prefix)
        revoked = stored.key.revoked(self._clock.now_ms())
        # Not by its revision: a revocation must not lose against a rotation, and nothing undoes it.
        await self._bucket.put(revoked.place, revoked.as_bytes(), ttl_seconds=REVOKED_SECONDS)
        return revoked

    async def _read(self, tenant: str) -> Sequence[StoredKey]:
        entries = await self._bucket.entries(place_of(check_key_owner(tenant)))
        found = [_stored(place, entry) for place, entry in entries.items()]
        return [one for one in found if one is not None]


def key_at(place: str, entry: KvEntry) -> ApiKey | None:
    """Give the key of an entry of the bucket; None for what is none, or is somebody else's."""
    if entry.value is None:
        return None
    try:
        key = read_record(entry.value)
    except StoreError:
        return None
    return key if key.place == place else None


def _stored(place: str, entry: KvEntry) -> StoredKey | None:
    key = key_at(place, entry)
    return None if key is None else StoredKey(key, entry.revision)


def _check(wanted: NewKey) -> None:
    check_key_owner(wanted.tenant)
    if not wanted.name.isprintable() or not 0 < len(wanted.name) <= NAME_CHARS_MAX:
        raise StoreError(f"a key's name is 1 to {NAME_CHARS_MAX} printable characters")
    for refusal in refusals(wanted.scopes, is_platform=wanted.tenant == PLATFORM):
        raise StoreError(refusal)


def _owner(tenant: str) -> str:
    return "the platform" if tenant == PLATFORM else f"tenant {tenant}"

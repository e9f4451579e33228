"""Tenants' records in a bucket, for those who manage them; `app.tenancy.directory` follows them.

In: records with the revisions that they replace. Out: records with their revisions. Refuses
(ConflictError) a write over what somebody else has changed meanwhile, and whatever would bring a
deleted tenant back while its tombstone stands; StoreError for what is no record.

Keys of the bucket are tenants' ids. All is asked of the bucket's leader: a tombstone that a replica
has not heard of yet must not be overlooked.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from actors.errors import InvalidSubjectError
from actors.ports import Clock
from actors.subjects import check_token
from app.errors import ConflictError, NotFoundError, StoreError
from app.stores.kv import KvBucket, KvEntry
from app.tenancy.record import TenantRecord, read_record

PAGE_MAX: Final = 1000


@dataclass(frozen=True, slots=True)
class StoredTenant:
    """A record with the revision that it was read at, or written as."""

    record: TenantRecord
    revision: int


@dataclass(frozen=True, slots=True)
class TenantPage:
    """Some tenants in the order of their ids."""

    tenants: tuple[StoredTenant, ...]
    next_after: str | None
    """What the next page comes after; None: there is none."""
    unreadable: tuple[str, ...] = ()
    """Ids under which something lies that is no record; nobody serves such a tenant."""


class TenantStore:
    """The tenants of one env: ``KvBucket(bus, app.control.names.tenants_bucket(env))``."""

    def __init__(self, bucket: KvBucket, clock: Clock) -> None:
        self._bucket = bucket
        self._clock = clock

    async def get(self, tenant: str) -> StoredTenant | None:
        """Give a tenant's record, its tombstone too. StoreError: something else is there."""
        return _stored(tenant, await self._entry(tenant))

    async def find(self, tenant: str) -> StoredTenant:
        """Give a tenant's record, its tombstone too. NotFoundError: there is none."""
        stored = await self.get(tenant)
        if stored is None:
            raise NotFoundError(f"there is no tenant {tenant!r}")
        return stored

    async def list(
        self, *, after: str | None = None, limit: int = 100, with_deleted: bool = False
    ) -> TenantPage:
        """Give at most ``limit`` tenants whose ids come after one."""
        wanted = min(max(limit, 1), PAGE_MAX)
        found: list[StoredTenant] = []
        unreadable: list[str] = []
        for tenant in await self._ids(after or ""):
            try:
                stored = await self.get(tenant)
            except StoreError:
                unreadable.append(tenant)
                continue
            if stored is None or (stored.record.is_deleted and not with_deleted):
                continue
            if len(found) == wanted:
                return TenantPage(tuple(found), found[-1].record.id, tuple(unreadable))
            found.append(stored)
        return TenantPage(tuple(found), None, tuple(unreadable))

    async def count(self) -> int:
        """Give how many records there are, tombstones included."""
        return len(await self._ids(""))

    async def create(self, record: TenantRecord) -> StoredTenant:
        """Write a tenant's first record. ConflictError: it has one, or its tombstone stands."""
        entry = await self._entry(record.id)
        stored = _stored(record.id, entry)
        if stored is not None:
            raise taken(stored.record)
        return await self._write(record, entry.revision)

    async def put(self, record: TenantRecord, *, revision: int) -> StoredTenant:
        """Write a record over the one of this revision. ConflictError: it is not that any more.

        A tombstone is written so that it ends when it was to end in the first place.
        """
        stored = await self.find(record.id)
        if stored.revision != revision:
            raise changed_meanwhile(record.id)
        if stored.record.is_deleted and stored.record.deleted_ms != record.deleted_ms:
            raise taken(stored.record)
        return await self._write(record, revision)

    async def _write(self, record: TenantRecord, revision: int) -> StoredTenant:
        ttl_seconds = record.ttl_seconds(self._clock.now_ms())
        try:
            written = await self._bucket.put(
                record.id, record.as_bytes(), revision=revision, ttl_seconds=ttl_seconds
            )
        except ConflictError:
            raise changed_meanwhile(record.id) from None
        return StoredTenant(record, written)

    async def _entry(self, tenant: str) -> KvEntry:
        return await self._bucket.get_surely(check_token(tenant, "tenant"))

    async def _ids(self, after: str) -> Sequence[str]:
        keys = await self._bucket.written_keys()
        return sorted(key for key in keys if after < key and is_tenant_key(key))


async def refuse_tombstone(store: TenantStore, tenant: str) -> None:
    """Return if nothing stands against making something for a tenant.

    Whoever makes anything for one asks first. ConflictError: it was deleted, and not long ago;
    StoreError: what is kept of it cannot be read, so nobody knows.
    """
    stored = await store.get(tenant)
    if stored is not None and stored.record.is_deleted:
        raise taken(stored.record)


Gate = Callable[[str], Awaitable[None]]
"""Raises ConflictError for a tenant for which nothing may be made."""


async def open_gate(_: str) -> None:
    """Let everything be made: for where no tenant is ever deleted."""


def is_tenant_key(key: str) -> bool:
    """Tell whether a key of the bucket can be a tenant's."""
    try:
        check_token(key, "tenant")
    except InvalidSubjectError:
        return False
    return True


def record_at(key: str, entry: KvEntry) -> TenantRecord | None:
    """Give the record of an entry of the bucket; None: there is none. StoreError: no record."""
    if entry.value is None:
        return None
    return read_record(key, entry.value)


def changed_meanwhile(tenant: str) -> ConflictError:
    """Say that a write came too late."""
    return ConflictError(f"somebody else has changed tenant {tenant!r}")


def taken(record: TenantRecord) -> ConflictError:
    """Say why a tenant cannot be made."""
    if not record.is_deleted:
        return ConflictError(f"there is a tenant {record.id!r} already")
    return ConflictError(
        f"tenant {record.id!r} was deleted; nothing can be made for it until {record.end_day}"
    )


def _stored(tenant: str, entry: KvEntry) -> StoredTenant | None:
    record = record_at(tenant, entry)
    return None if record is None else StoredTenant(record, entry.revision)

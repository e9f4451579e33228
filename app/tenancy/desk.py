"""Making, changing, suspending and removing tenants, each change in the audit log first.

In: who acts, a tenant, what is wanted. Out: records as they are stored. Refuses values of no sense,
unknown plans among them (ValueRefusedError), a tenant that is not there (NotFoundError), one that
is there already, was deleted, or that somebody else changed meanwhile (ConflictError), and any
change but a suspension that the audit log does not take (UnavailableError).

Whatever a change comes to (streams, workers, the removal of data) others do, who follow the bucket
(`app.tenancy.directory`).
"""

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, Final
from zoneinfo import ZoneInfo

from actors.ports import Clock
from actors.quotas.plan import DEFAULT_PLAN
from app.audit.entry import Who
from app.audit.log import AuditLog, Change
from app.errors import ConflictError, ValueRefusedError
from app.tenancy.record import DEFAULT_CELL, Origin, Status, TenantRecord, TenantSettings
from app.tenancy.store import StoredTenant, TenantPage, TenantStore, changed_meanwhile, taken

TENANTS_MAX: Final = 20_000
"""Records of one env, tombstones included."""
ENSURE_ATTEMPTS_MAX: Final = 3
_PLANS_SHOWN: Final = 10


class Keep(Enum):
    """Stands where a field of a change is left as it is."""

    KEEP = "keep"


KEEP: Final = Keep.KEEP


@dataclass(frozen=True, slots=True)
class NewTenant:
    """What is wanted of a new tenant."""

    id: str
    name: str | None = None
    """For people; None: its id."""
    plan: str = DEFAULT_PLAN
    settings: TenantSettings = field(default_factory=TenantSettings)
    workers: int | None = None
    cell: str = DEFAULT_CELL
    origin: Origin = "api"


@dataclass(frozen=True, slots=True)
class TenantChange:
    """What is to be different; None in a setting: as the bundle says."""

    name: str | Keep = KEEP
    plan: str | Keep = KEEP
    timezone: str | Keep | None = KEEP
    language: str | Keep | None = KEEP
    workers: int | Keep | None = KEEP
    """None: as many as the operator's settings say."""

    def applied_to(self, record: TenantRecord) -> TenantRecord:
        """Give the record as it is then."""
        settings = TenantSettings(
            _chosen(self.timezone, record.settings.timezone),
            _chosen(self.language, record.settings.language),
        )
        return replace(
            record,
            name=_chosen(self.name, record.name),
            plan=_chosen(self.plan, record.plan),
            workers=_chosen(self.workers, record.workers),
            settings=settings,
        )


class TenantDesk:
    """The tenants of one env, for those who manage them.

    ``plans``: the names of those that there are; None: they are not known here and not checked. The
    plan ``default`` is always there.
    """

    def __init__(
        self,
        store: TenantStore,
        audit: AuditLog,
        clock: Clock,
        plans: Collection[str] | None = None,
    ) -> None:
        self._store = store
        self._audit = audit
        self._clock = clock
        self._plans = None if plans is None else frozenset({DEFAULT_PLAN, *plans})

    async def find(self, tenant: str) -> StoredTenant:
        """Give a tenant, deleted ones too while they are remembered. NotFoundError."""
        return await self._store.find(tenant)

    async def list(
        self, *, after: str | None = None, limit: int = 100, with_deleted: bool = False
    ) -> TenantPage:
        """Give tenants in the order of their ids, page by page."""
        return await self._store.list(after=after, limit=limit, with_deleted=with_deleted)

    async def add(self, who: Who, wanted: NewTenant) -> StoredTenant:
        """Make a tenant. ValueRefusedError, InvalidSubjectError, ConflictError."""
        now_ms = self._clock.now_ms()
        record = self._checked(_new_record(wanted, now_ms), None)
        present = await self._store.get(wanted.id)
        if present is not None:
            raise taken(present.record)
        if await self._store.count() >= TENANTS_MAX:
            raise ConflictError(f"this env has {TENANTS_MAX} tenants, which is the most")
        async with self._audit.change(who, _change("tenant.add", None, record)):
            return await self._store.create(record)

    async def ensure(self, who: Who, wanted: NewTenant) -> StoredTenant:
        """Make a tenant where there is none, for a bundle that names it; idempotent.

        One that a bundle named before becomes what is wanted now; of one that was made otherwise
        nothing is changed, nor is a suspended one resumed. ConflictError: it was deleted.
        """
        for _ in range(ENSURE_ATTEMPTS_MAX - 1):
            try:
                return await self._ensure(who, wanted)
            except ConflictError:
                present = await self._store.get(wanted.id)
                if present is not None and present.record.is_deleted:
                    raise
        return await self._ensure(who, wanted)

    async def _ensure(self, who: Who, wanted: NewTenant) -> StoredTenant:
        present = await self._store.get(wanted.id)
        if present is None:
            return await self.add(who, wanted)
        if present.record.is_deleted:
            raise taken(present.record)
        if present.record.origin != wanted.origin:
            return present
        change = TenantChange(
            name=wanted.id if wanted.name is None else wanted.name,
            plan=wanted.plan,
            timezone=wanted.settings.timezone,
            language=wanted.settings.language,
            workers=KEEP if wanted.workers is None else wanted.workers,
        )
        return await self.change(who, wanted.id, change, revision=present.revision)

    async def change(
        self, who: Who, tenant: str, change: TenantChange, *, revision: int | None = None
    ) -> StoredTenant:
        """Change what a tenant is; where that changes nothing, nothing is written.

        With ``revision`` only if it is still the last one. NotFoundError, ConflictError,
        ValueRefusedError.
        """
        stored = await self._living(tenant, revision)
        record = self._checked(change.applied_to(stored.record), stored.record)
        return await self._replace(who, "tenant.change", stored, record)

    async def suspend(self, who: Who, tenant: str, *, revision: int | None = None) -> StoredTenant:
        """Stop serving a tenant and keep all it has, also where the audit log does not take it."""
        return await self._set_status(who, "tenant.suspend", tenant, "suspended", revision)

    async def resume(self, who: Who, tenant: str, *, revision: int | None = None) -> StoredTenant:
        """Serve a suspended tenant again."""
        return await self._set_status(who, "tenant.resume", tenant, "active", revision)

    async def remove(self, who: Who, tenant: str, *, revision: int | None = None) -> StoredTenant:
        """Delete a tenant for good: its data is removed, its tombstone stays for a while.

        One that was deleted already stays as it is. NotFoundError, ConflictError.
        """
        stored = await self._store.find(tenant)
        if stored.record.is_deleted:
            return stored
        _check_revision(stored, revision)
        tombstone = stored.record.deleted(self._clock.now_ms())
        async with self._audit.change(who, _change("tenant.remove", stored.record, tombstone)):
            return await self._store.put(tombstone, revision=stored.revision)

    async def _set_status(
        self, who: Who, action: str, tenant: str, status: Status, revision: int | None
    ) -> StoredTenant:
        stored = await self._living(tenant, revision)
        return await self._replace(who, action, stored, replace(stored.record, status=status))

    async def _replace(
        self, who: Who, action: str, stored: StoredTenant, record: TenantRecord
    ) -> StoredTenant:
        if record == stored.record:
            return stored
        changed = replace(record, changed_ms=self._clock.now_ms())
        is_urgent = action == "tenant.suspend"
        change = _change(action, stored.record, changed)
        async with self._audit.change(who, change, is_urgent=is_urgent):
            return await self._store.put(changed, revision=stored.revision)

    async def _living(self, tenant: str, revision: int | None) -> StoredTenant:
        stored = await self._store.find(tenant)
        if stored.record.is_deleted:
            raise taken(stored.record)
        _check_revision(stored, revision)
        return stored

    def _checked(self, record: TenantRecord, before: TenantRecord | None) -> TenantRecord:
        """Refuse what the record's form allows and there is not; what was there before may stay."""
        if before is None or before.plan != record.plan:
            self._check_plan(record.plan)
        zone = record.settings.timezone
        if zone is not None and not _is_zone(zone):
            raise ValueRefusedError(f"{zone!r} is no IANA time zone, like 'Europe/Berlin'")
        return record

    def _check_plan(self, plan: str) -> None:
        if self._plans is not None and plan not in self._plans:
            known = ", ".join(sorted(self._plans)[:_PLANS_SHOWN])
            raise ValueRefusedError(f"there is no plan {plan!r}; there are {known}")


def _new_record(wanted: NewTenant, now_ms: int) -> TenantRecord:
    return TenantRecord(
        id=wanted.id,
        name=wanted.id if wanted.name is None else wanted.name,
        plan=wanted.plan,
        settings=wanted.settings,
        workers=wanted.workers,
        cell=wanted.cell,
        origin=wanted.origin,
        created_ms=now_ms,
        changed_ms=now_ms,
    )


def _check_revision(stored: StoredTenant, revision: int | None) -> None:
    if revision is not None and revision != stored.revision:
        raise changed_meanwhile(stored.record.id)


def _change(action: str, before: TenantRecord | None, after: TenantRecord) -> Change:
    return Change(action, after.id, after.id, _shown(before), _shown(after))


def _shown(record: TenantRecord | None) -> Any:
    """Give what the audit log says of a record: no times, it has its own."""
    if record is None:
        return None
    wanted = ("name", "plan", "settings", "workers", "cell", "status", "origin")
    document = record.as_mapping()
    return {name: document[name] for name in wanted}


def _chosen(wanted: Any, present: Any) -> Any:
    return present if wanted is KEEP else wanted


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (LookupError, ValueError, OSError):
        return False
    return True

"""All tenants of an env, kept fresh: what one process goes by.

In: the bucket of tenants. Out: who is a tenant here, and calls when that changes. Refuses with
UnavailableError once the bucket could not be read for `app.stores.following.STALE_SECONDS_MAX`: a
process that is cut off does not hear of a deletion, and must not serve on for ever.

A record that cannot be read is no tenant's: what nobody understands serves nobody. Tombstones are
known until they end, which the bucket tells nobody: the clock does.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

import structlog

from actors.ports import Clock
from app.errors import StoreError
from app.stores.following import BucketFollower
from app.stores.kv import KvBucket, KvChange
from app.tenancy.record import TenantRecord
from app.tenancy.store import is_tenant_key, record_at

RECORDS_MAX: Final = 50_000
"""Tombstones included; tenants beyond are not known here, and so not served."""

OnChange = Callable[[str, TenantRecord | None], None]
"""Called with a tenant and its record; None: it has none any more. Does not wait and not raise."""

_log = structlog.get_logger("app.tenancy")


class TenantDirectory:
    """The tenants of one env, as one process knows them."""

    def __init__(self, bucket: KvBucket, clock: Clock) -> None:
        self._clock = clock
        self._follower = BucketFollower(bucket, clock, self, name="tenants")
        self._records: dict[str, TenantRecord] = {}
        self._ends: dict[str, int] = {}
        """When the tombstones end, in ms."""
        self._unconfirmed: set[str] = set()
        """Tenants of a bucket that was made anew, until they are read in it."""
        self._calls: list[OnChange] = []
        self._is_full = False

    @property
    def revision(self) -> int:
        """The bucket's revision up to which all is known."""
        return self._follower.revision

    @property
    def is_fresh(self) -> bool:
        """Tell whether the bucket was read lately."""
        return self._follower.is_fresh

    def on_change(self, call: OnChange) -> None:
        """Call this at every write from now on; before `start`: for every tenant there is, too."""
        self._calls.append(call)

    def find(self, tenant: str) -> TenantRecord | None:
        """Give a tenant's record, its tombstone too; None: there is none. UnavailableError."""
        self._follower.check_fresh()
        return self._records.get(tenant)

    def active(self) -> tuple[TenantRecord, ...]:
        """Give the tenants that are served, in the order of their ids. UnavailableError."""
        self._follower.check_fresh()
        found = [record for record in self._records.values() if record.is_active]
        return tuple(sorted(found, key=lambda record: record.id))

    def records(self) -> Mapping[str, TenantRecord]:
        """Give all that was read last, tombstones too, however long ago: a view, not a copy."""
        return MappingProxyType(self._records)

    def hear(self, _: object = None) -> None:
        """Look soon: something was written (subscribe this to the bucket's ``pattern``)."""
        self._follower.hear()

    async def start(self) -> None:
        """Read the tenants and keep them fresh until `stop`. UnavailableError, StoreError."""
        await self._follower.start()

    async def stop(self) -> None:
        """Let them be."""
        await self._follower.stop()

    async def refresh(self) -> None:
        """Read what was written since the last look: what was written before this is known then."""
        await self._follower.refresh()

    def take(self, change: KvChange) -> None:
        """See `app.stores.following.Reader`."""
        tenant = change.key
        is_confirmation = tenant in self._unconfirmed
        self._unconfirmed.discard(tenant)
        if not is_tenant_key(tenant):
            return
        try:
            record = record_at(tenant, change.entry)
        except StoreError as error:
            _log.error("tenant.unreadable", tenant=tenant, error_code=error.code)
            record = None
        if not (is_confirmation and record == self._records[tenant]):
            self._put(tenant, record)

    def start_over(self) -> None:
        """See `app.stores.following.Reader`."""
        self._unconfirmed = set(self._records)

    def caught_up(self) -> None:
        """See `app.stores.following.Reader`."""
        now_ms = self._clock.now_ms()
        ended = [tenant for tenant, ends_ms in self._ends.items() if ends_ms <= now_ms]
        for tenant in (*sorted(self._unconfirmed), *ended):
            self._put(tenant, None)
        self._unconfirmed = set()

    def _put(self, tenant: str, record: TenantRecord | None) -> None:
        before = self._records.get(tenant)
        if before is None and (record is None or not self._has_room()):
            return
        self._ends.pop(tenant, None)
        if record is None:
            del self._records[tenant]
        else:
            self._records[tenant] = record
            if record.ends_ms is not None and record.purged_ms is not None:
                self._ends[tenant] = record.ends_ms
        for call in self._calls:
            call(tenant, record)

    def _has_room(self) -> bool:
        is_full = len(self._records) >= RECORDS_MAX
        if is_full and not self._is_full:
            _log.error("tenants.too_many", records_max=RECORDS_MAX)
        self._is_full = is_full
        return not is_full

"""One tenant's record: who it is, what it may use, and whether it still is.

In: fields, or the bytes of a record. Out: a frozen record, its bytes, its document. Refuses values
of no sense (ValueRefusedError, InvalidSubjectError), and reads only what is exactly a record of
this version that lies under the tenant's own key (StoreError).

A deleted tenant's record is its tombstone. It stays for `TOMBSTONE_SECONDS` from the deletion,
whatever is written in it meanwhile, so that a worker that slept cannot make the tenant anew; then
the bucket forgets it.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final, Literal

import msgspec

from actors.errors import InvalidSubjectError
from actors.quotas.plan import DEFAULT_PLAN
from actors.subjects import check_token
from app.errors import StoreError, ValueRefusedError

VERSION: Final = 1
RECORD_BYTES_MAX: Final = 16 * 1024
TOMBSTONE_SECONDS: Final = 30 * 24 * 3600
TEXT_CHARS_MAX: Final = 200
"""Of a name, a language or a time zone."""
WORKERS_MAX: Final = 1000
DEFAULT_CELL: Final = "default"
_MS: Final = 1000
_UNREADABLE: Final = (
    msgspec.DecodeError,
    UnicodeDecodeError,
    RecursionError,
    InvalidSubjectError,
)

Status = Literal["active", "suspended", "deleted"]
Origin = Literal["folder", "api"]
"""``folder``: a bundle that `start` looks after named it; ``api``: the API or the command line."""


@dataclass(frozen=True, slots=True)
class TenantSettings:
    """How a tenant reads times and texts; None: as the bundle says."""

    timezone: str | None = None
    """An IANA name."""
    language: str | None = None

    def as_mapping(self) -> dict[str, str | None]:
        """Give its document."""
        return {"timezone": self.timezone, "language": self.language}


@dataclass(frozen=True, slots=True)
class TenantRecord:
    """A tenant. Times are milliseconds since the epoch."""

    id: str
    name: str
    """For people."""
    created_ms: int
    changed_ms: int
    plan: str = DEFAULT_PLAN
    settings: TenantSettings = field(default_factory=TenantSettings)
    workers: int | None = None
    """How many workers host it; None: as many as the operator's settings say."""
    cell: str = DEFAULT_CELL
    status: Status = "active"
    origin: Origin = "api"
    deleted_ms: int | None = None
    """When it was deleted; for a tombstone only."""
    purged_ms: int | None = None
    """When the last of its data was gone; None: it is still being removed, or not deleted."""

    def __post_init__(self) -> None:
        check_token(self.id, "tenant")
        check_token(self.plan, "plan")
        check_token(self.cell, "cell")
        _check_text(self.name, "a tenant's name")
        for text in (self.settings.timezone, self.settings.language):
            if text is not None:
                _check_text(text, "a tenant's setting")
        if self.workers is not None and not 1 <= self.workers <= WORKERS_MAX:
            raise ValueRefusedError(f"a tenant has 1 to {WORKERS_MAX} workers, or as many as usual")
        if (self.status == "deleted") != (self.deleted_ms is not None):
            raise StoreError("a tenant is deleted, or it has no time of its deletion")
        if self.purged_ms is not None and self.deleted_ms is None:
            raise StoreError("only a deleted tenant can be purged")

    @property
    def is_active(self) -> bool:
        """Tell whether it is served."""
        return self.status == "active"

    @property
    def is_deleted(self) -> bool:
        """Tell whether this is a tombstone."""
        return self.deleted_ms is not None

    @property
    def ends_ms(self) -> int | None:
        """When its tombstone is forgotten; None while it is not deleted."""
        return None if self.deleted_ms is None else self.deleted_ms + TOMBSTONE_SECONDS * _MS

    @property
    def end_day(self) -> str:
        """The day on which its tombstone is forgotten, like ``2026-12-24``; empty without one."""
        ends_ms = self.ends_ms
        return "" if ends_ms is None else f"{datetime.fromtimestamp(ends_ms / _MS, UTC):%Y-%m-%d}"

    def deleted(self, now_ms: int) -> "TenantRecord":
        """Give its tombstone; one that is a tombstone stays what it is."""
        if self.is_deleted:
            return self
        return replace(self, status="deleted", deleted_ms=now_ms, changed_ms=now_ms)

    def purged(self, now_ms: int) -> "TenantRecord":
        """Give its tombstone once nothing of its data is left. StoreError: it is not deleted."""
        return replace(self, purged_ms=now_ms, changed_ms=now_ms)

    def ttl_seconds(self, now_ms: int) -> int | None:
        """Give how long a record written now stays; None: until it is written again.

        A tombstone stays at least until all data is gone: nobody else knows that there is some.
        """
        ends_ms = self.ends_ms
        if ends_ms is None or self.purged_ms is None:
            return None
        return max(1, -(-(ends_ms - now_ms) // _MS))

    def as_mapping(self) -> dict[str, Any]:
        """Give its document."""
        return {
            "id": self.id,
            "name": self.name,
            "plan": self.plan,
            "settings": self.settings.as_mapping(),
            "workers": self.workers,
            "cell": self.cell,
            "status": self.status,
            "origin": self.origin,
            "created_ms": self.created_ms,
            "changed_ms": self.changed_ms,
            "deleted_ms": self.deleted_ms,
            "purged_ms": self.purged_ms,
        }

    def as_bytes(self) -> bytes:
        """Write the record."""
        document = {"v": VERSION, **self.as_mapping()}
        return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()


class _Settings(msgspec.Struct, forbid_unknown_fields=True):
    timezone: str | None
    language: str | None


class _Document(msgspec.Struct, forbid_unknown_fields=True):
    v: int
    id: str
    name: str
    plan: str
    settings: _Settings
    workers: int | None
    cell: str
    status: Status
    origin: Origin
    created_ms: int
    changed_ms: int
    deleted_ms: int | None
    purged_ms: int | None


def read_record(tenant: str, data: bytes) -> TenantRecord:
    """Read the record under a tenant's key. StoreError: it is none, or another tenant's."""
    try:
        return _read(tenant, data)
    except (*_UNREADABLE, StoreError) as error:
        raise StoreError(f"what is kept for tenant {tenant!r} is no record of it") from error


def _read(tenant: str, data: bytes) -> TenantRecord:
    if len(data) > RECORD_BYTES_MAX:
        raise StoreError("a tenant's record is too large")
    found = msgspec.json.decode(data, type=_Document, strict=True)
    if found.v != VERSION or found.id != tenant:
        raise StoreError("it is of another version or another tenant")
    fields: Mapping[str, Any] = msgspec.structs.asdict(found)
    settings = TenantSettings(found.settings.timezone, found.settings.language)
    known = {name: value for name, value in fields.items() if name != "v"}
    return TenantRecord(**{**known, "settings": settings})


def _check_text(text: str, what: str) -> None:
    if not text.isprintable() or not 0 < len(text) <= TEXT_CHARS_MAX:
        raise ValueRefusedError(f"{what} is 1 to {TEXT_CHARS_MAX} printable characters")

"""What a process says of itself: who it is, since when, and what it has taken in.

In: fields, or the bytes under a key of the bucket of leases. Out: a frozen report, its bytes, its
document. Refuses with StoreError whatever is no report of this version, lies under another's key
or is larger than reports are.

Reports grow by fields that may be absent; a reader lets those it does not know be.
"""

import json
import os
import re
import secrets
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final

import msgspec

from app.errors import StoreError

VERSION: Final = 1
TTL_SECONDS: Final = 10
"""How long a report counts."""
BEAT_SECONDS: Final = 2.0
"""Between two of a process."""

KEYS_PREFIX: Final = "WORKER"
"""Of the keys of reports; upper case, so no tenant's: lanes keep their memory there too."""

REPORT_BYTES_MAX: Final = 512 * 1024
FAILED_MAX: Final = 200
"""Tenants told of with their reasons; ``failures`` counts the others too."""
REASON_CHARS_MAX: Final = 200
HOT_MAX: Final = 200
WORKER_ROLE: Final = "worker"

_HOST_CHARS_MAX: Final = 40
_NOT_IN_ID: Final = re.compile(r"[^a-z0-9]+")
_ID: Final = re.compile(r"[a-z0-9-]{1,100}")

_Count = Annotated[int, msgspec.Meta(ge=0)]
_Tenant = Annotated[str, msgspec.Meta(min_length=1, max_length=63)]
_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
_Reason = Annotated[str, msgspec.Meta(max_length=REASON_CHARS_MAX)]


@dataclass(frozen=True, slots=True)
class WorkerIdentity:
    """Who a process is, from its start to its end."""

    id: str
    """Letters, digits and hyphens; no two processes have the same, one after another neither."""
    host: str
    pid: int
    roles: tuple[str, ...]
    version: str
    """Of the program."""

    @classmethod
    def of_this_process(cls, roles: Iterable[str], version: str) -> "WorkerIdentity":
        """Give this process an identity, another one at every call."""
        host, pid = socket.gethostname() or "localhost", os.getpid()
        name = _NOT_IN_ID.sub("-", host.lower())[:_HOST_CHARS_MAX].strip("-") or "host"
        return cls(f"{name}-{pid}-{secrets.token_hex(4)}", host[:255], pid, tuple(roles), version)


class WorkerReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a process last said. Times are milliseconds since the epoch, by the bus's clock."""

    id: _Text
    host: _Text
    pid: _Count
    roles: Annotated[tuple[_Text, ...], msgspec.Meta(max_length=10)]
    version: _Text
    started_ms: _Count
    beat: _Count
    """How many reports it has written: what came later says more."""
    acknowledged: _Count | None
    """The revision of the bucket of deployments up to which it has converged; None: not yet."""
    failed: Annotated[dict[_Tenant, _Reason], msgspec.Meta(max_length=FAILED_MAX)]
    """Tenants it cannot serve as they are deployed, and why."""
    failures: _Count
    """How many those are in all."""
    tenants: _Count
    """How many it serves."""
    hot: Annotated[tuple[_Tenant, ...], msgspec.Meta(max_length=HOT_MAX)]
    """Tenants for which it alone is too slow."""

    @property
    def is_worker(self) -> bool:
        """Tell whether it runs flows."""
        return WORKER_ROLE in self.roles

    def has_acknowledged(self, revision: int) -> bool:
        """Tell whether it has converged up to a revision."""
        return self.acknowledged is not None and self.acknowledged >= revision

    def says_more_than(self, other: "WorkerReport") -> bool:
        """Tell whether something besides the count of reports differs."""
        return msgspec.structs.replace(self, beat=other.beat) != other

    def as_mapping(self) -> dict[str, Any]:
        """Give its document."""
        document: dict[str, Any] = msgspec.to_builtins(self)
        return {**document, "roles": list(self.roles), "hot": list(self.hot)}

    def as_bytes(self) -> bytes:
        """Write the report."""
        document = {"v": VERSION, **self.as_mapping()}
        return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()


class _Versioned(msgspec.Struct):
    v: int


def worker_key(worker_id: str) -> str:
    """Give the key of a process's reports. StoreError: no process has such an id."""
    if not _ID.fullmatch(worker_id):
        raise StoreError(f"{worker_id!r} is no worker's id")
    return f"{KEYS_PREFIX}.{worker_id}"


def read_report(worker_id: str, data: bytes) -> WorkerReport:
    """Read the report under a process's key. StoreError: it is none, or another's."""
    wrong = f"what {worker_id[:100]!r} wrote is no report"
    if len(data) > REPORT_BYTES_MAX or not _ID.fullmatch(worker_id):
        raise StoreError(wrong)
    try:
        if msgspec.json.decode(data, type=_Versioned).v != VERSION:
            raise StoreError(f"{wrong} of this version")
        report = msgspec.json.decode(data, type=WorkerReport)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise StoreError(wrong) from error
    if report.id != worker_id:
        raise StoreError(f"{wrong} of its own")
    return report


def cut_failed(failed: Mapping[str, str], told_before: Iterable[str]) -> dict[str, str]:
    """Choose the failures that a report has room for: those that are new go first."""
    known = frozenset(told_before)
    chosen = sorted(failed, key=lambda tenant: (tenant in known, tenant))[:FAILED_MAX]
    return {tenant: _writable(failed[tenant])[:REASON_CHARS_MAX] for tenant in sorted(chosen)}


def _writable(text: str) -> str:
    """Make it text that UTF-8 can hold: an error may quote what is none."""
    return text.encode("utf-8", "replace").decode()

"""What people read of tenants: lines of `tenant list` and `tenant show`, and what a removal means.

In: records. Out: texts, and the document of ``--json``.
"""

from datetime import UTC, datetime
from typing import Any, Final

from app.tenancy.record import TOMBSTONE_SECONDS, TenantRecord
from app.tenancy.store import StoredTenant

_DAY_SECONDS: Final = 24 * 3600
_MAKERS: Final = {"folder": "a bundle that named it", "api": "the API or the command line"}


def tenant_document(stored: StoredTenant, env: str | None) -> dict[str, Any]:
    """Give what ``--json`` prints of a tenant."""
    return {**stored.record.as_mapping(), "env": env, "revision": stored.revision}


def tenant_line(record: TenantRecord) -> str:
    """Write a tenant on one line."""
    return f"{record.id}  {status_text(record)}  plan {record.plan}  {record.name}"


def status_text(record: TenantRecord) -> str:
    """Say whether a tenant is served."""
    if record.deleted_ms is None:
        return record.status
    left = "its data is gone" if record.purged_ms is not None else "its data is being removed"
    return f"deleted {_minute(record.deleted_ms)}, {left}, remembered until {record.end_day}"


def tenant_lines(record: TenantRecord) -> list[str]:
    """Write all that is known of a tenant."""
    settings = record.settings
    rows = [
        ("name", record.name),
        ("status", status_text(record)),
        ("plan", record.plan),
        ("timezone", settings.timezone or "as the bundle says"),
        ("language", settings.language or "as the bundle says"),
        ("workers", "as many as usual" if record.workers is None else str(record.workers)),
        ("cell", record.cell),
        ("made", f"{_minute(record.created_ms)} by {_MAKERS[record.origin]}"),
        ("changed", _minute(record.changed_ms)),
    ]
    return [f"tenant {record.id}", *(f"  {name:<10}{text}" for name, text in rows)]


def removal_lines(record: TenantRecord, place: str) -> list[str]:
    """Say what removing a tenant does."""
    days = TOMBSTONE_SECONDS // _DAY_SECONDS
    return [
        f"this deletes tenant {record.id} ({record.name}) {place} for good:",
        "  its webhooks answer 404, its timers stop, and its runs are cancelled;",
        "  its API keys and its logins to NATS are revoked;",
        "  its events, runs, dead letters, state, secrets and deployments are removed.",
        f"Nothing brings them back. For {days} days no tenant can have this id;",
        "the audit log stays.",
    ]


def _minute(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%d %H:%MZ")

"""A change of a deployment before it is made: what it replaces, and whether it may.

In: a tenant's document, what is wanted. Out: decisions, and what the audit log says of them.
Refuses (NotFoundError) to go back to what is not remembered.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from app.audit.entry import Who
from app.audit.log import Change
from app.bundle.archive import BundleArchive
from app.bundle.reading import Bundle
from app.deployments.changes import DeploymentChange, SkipReason
from app.deployments.document import DeploymentDocument, Kind, Owner, Revision
from app.errors import ConflictError, NotFoundError


@dataclass(frozen=True, slots=True)
class Order:
    """A change that may be made: what is to come and what it is to replace."""

    who: Who
    tenant: str
    before: DeploymentDocument | None
    revision: int
    kind: Kind
    owner: Owner
    archive: BundleArchive | None = None
    bundle: Bundle | None = None
    notes: Mapping[str, Any] | None = None
    """Further words for the audit log."""


def target_of(order: Order, number: int | None) -> tuple[str, Revision]:
    """Find the archive and the revision to go back to."""
    document, tenant = order.before, order.tenant
    if document is None:
        raise NotFoundError(f"tenant {tenant!r} has no deployment to go back to")
    every = [
        (each.bundle, each)
        for each in (document.current, *document.history)
        if each.bundle is not None
    ]
    wanted = [
        (digest, each)
        for digest, each in every
        if (digest != document.current.bundle if number is None else each.number == number)
    ]
    if wanted:
        return wanted[0]
    if number is None:
        raise NotFoundError(f"tenant {tenant!r} has no former deployment to go back to")
    known = ", ".join(str(each.number) for _, each in every)
    raise NotFoundError(f"tenant {tenant!r} has no deployment {number}; there are: {known}")


def skip_reason(
    before: DeploymentDocument | None, digest: str, *, is_cautious: bool
) -> SkipReason | None:
    """Tell why a `start` leaves a tenant as it is; None: it does not."""
    if before is None:
        return None
    current = before.current
    if current.bundle is None:
        is_known = current.owner == "apply" or digest in before.digests
        return "removed" if is_cautious and is_known else None
    if current.owner == "apply":
        return "apply"
    is_former = digest != current.bundle and digest in before.digests
    return "superseded" if is_cautious and is_former else None


def is_in_force(before: DeploymentDocument | None, digest: str, owner: Owner) -> bool:
    """Tell whether an archive is in force already, looked after by the same owner."""
    if before is None:
        return False
    return before.current.bundle == digest and before.current.owner == owner


def unchanged(order: Order) -> DeploymentChange:
    """Say that everything stayed as it was."""
    return DeploymentChange(order.tenant, "unchanged", order.before, order.revision, order.before)


def skipped(order: Order, reason: SkipReason) -> DeploymentChange:
    """Say that a tenant was left as it is, and why."""
    return replace(unchanged(order), outcome="skipped", skipped=reason)


def too_late(tenant: str, now: DeploymentDocument | None) -> ConflictError:
    """Name who was faster."""
    if now is None:
        return ConflictError(f"tenant {tenant!r} has changed meanwhile; nothing was done")
    current = now.current
    return ConflictError(
        f"{current.actor} was faster: deployment {current.number} of tenant {tenant!r}"
        f" ({current.kind}) came in between; nothing was done"
    )


def audit_change(order: Order, after: DeploymentDocument) -> Change:
    """Say for the audit log what is about to be in force instead of what."""
    before = None if order.before is None else _shown(order.before.current)
    shown = {**_shown(after.current), **(order.notes or {})}
    target = after.current.bundle or str(after.current.number)
    return Change(f"deployment.{order.kind}", order.tenant, target, before, shown)


def _shown(revision: Revision) -> dict[str, Any]:
    names = ("number", "bundle", "name", "version", "owner", "flows")
    return {name: getattr(revision, name) for name in names}

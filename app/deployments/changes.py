"""What became of a deployment, and what its workers said.

In: documents, a fleet's answer. Out: values with their JSON. Refuses nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from app.deployments.document import DeploymentDocument

SkipReason = Literal["apply", "removed", "superseded", "deleted"]
"""Why a `start` left a tenant as it is: an ``apply`` owns it, or owned it before it was
``removed``; the folder's content was ``superseded`` by something newer; the tenant is
``deleted``."""

Outcome = Literal["changed", "unchanged", "skipped"]


@dataclass(frozen=True, slots=True)
class DeploymentChange:
    """What became of one tenant's deployment."""

    tenant: str
    outcome: Outcome
    document: DeploymentDocument | None
    """As it is now; None: nothing was ever deployed, and nothing is."""
    revision: int
    """Of the bucket: workers acknowledge it."""
    before: DeploymentDocument | None = None
    skipped: SkipReason | None = None

    @property
    def is_changed(self) -> bool:
        """Tell whether there is a new revision."""
        return self.outcome == "changed"

    def as_mapping(self) -> dict[str, Any]:
        """Give it as JSON shows it."""
        current = None if self.document is None else self.document.current
        before = None if self.before is None else self.before.current
        return {
            "tenant": self.tenant,
            "outcome": self.outcome,
            "reason": self.skipped,
            "deployment": None if current is None else current.as_mapping(),
            "before": None if before is None else before.number,
        }


@dataclass(frozen=True, slots=True)
class WorkersReport:
    """What the workers said of a revision, concerning some tenants."""

    acknowledged: tuple[str, ...] = ()
    """Workers that run it."""
    failed: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """By worker: why it could not, by tenant."""
    missing: tuple[str, ...] = ()
    """Workers that have said nothing in time."""
    seconds: float = 0.0

    @property
    def is_well(self) -> bool:
        """Tell whether every worker runs it."""
        return not self.failed and not self.missing

    def as_mapping(self) -> dict[str, Any]:
        """Give it as JSON shows it."""
        return {
            "acknowledged": list(self.acknowledged),
            "failed": {worker: dict(reasons) for worker, reasons in self.failed.items()},
            "missing": list(self.missing),
            "seconds": round(self.seconds, 3),
        }

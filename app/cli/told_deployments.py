"""What commands do with deployments, and what they are told, whichever way they went.

In: documents and changes of the desk, or of the API. Out: values with their JSON. Refuses nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from app.deployments.changes import DeploymentChange, Outcome, SkipReason, WorkersReport
from app.deployments.difference import Difference
from app.deployments.document import DeploymentDocument, Revision
from app.deployments.handover import Handover


@dataclass(frozen=True, slots=True)
class ToldChange:
    """What became of one tenant's deployment."""

    tenant: str
    outcome: Outcome
    current: Revision | None
    """None: nothing was ever deployed."""
    before: int | None = None
    """The number of what was in force before."""
    skipped: SkipReason | None = None

    @classmethod
    def of(cls, change: DeploymentChange) -> "ToldChange":
        """Take it from the desk's."""
        current = None if change.document is None else change.document.current
        before = None if change.before is None else change.before.current.number
        return cls(change.tenant, change.outcome, current, before, change.skipped)

    def as_mapping(self) -> dict[str, Any]:
        """Give it as JSON shows it."""
        return {
            "tenant": self.tenant,
            "outcome": self.outcome,
            "reason": self.skipped,
            "deployment": None if self.current is None else self.current.as_mapping(),
            "before": self.before,
        }


@dataclass(frozen=True, slots=True)
class ToldDocument:
    """What a tenant has in force, and had before, the newest first."""

    current: Revision
    history: Sequence[Revision] = ()
    triggers: Sequence[str] = ()
    revision: int = 0

    @classmethod
    def of(cls, document: DeploymentDocument, revision: int = 0) -> "ToldDocument":
        """Take it from the desk's."""
        return cls(document.current, document.history, sorted(document.activated), revision)

    def as_mapping(self) -> dict[str, Any]:
        """Give it as JSON shows it."""
        history = [each.as_mapping() for each in self.history]
        return {**self.current.as_mapping(), "history": history, "triggers": list(self.triggers)}


@dataclass(frozen=True, slots=True)
class ToldDeployments:
    """What every tenant has in force, and whose documents cannot be read."""

    documents: Mapping[str, ToldDocument] = field(default_factory=dict)
    unreadable: Sequence[str] = ()


class Deployments(Protocol):
    """The deployments of one env."""

    async def check(self, handover: Handover, /) -> None:
        """Refuse what `apply` would refuse."""
        ...

    async def apply(
        self, handover: Handover, /, *, again: bool
    ) -> tuple[ToldChange, Sequence[str]]:
        """Put a bundle in force; gives the names of the secrets that were stored, too."""
        ...

    async def diff(self, handover: Handover, /) -> Difference:
        """Say what a bundle would change."""
        ...

    async def rollback(self, tenant: str, number: int | None, /) -> ToldChange:
        """Put what was before in force again."""
        ...

    async def remove(self, tenant: str, /) -> ToldChange:
        """Take a tenant's flows out of force."""
        ...

    async def show(self, tenant: str, /) -> ToldDocument:
        """Give what a tenant has in force."""
        ...

    async def list(self) -> ToldDeployments:
        """Give what every tenant has in force."""
        ...

    async def wait(self) -> WorkersReport | None:
        """Say what the workers make of the changes so far; None: they are not waited for."""
        ...

"""Deployments as lines for people.

In: documents, changes, workers' answers, differences. Out: lines. Refuses nothing.
"""

from collections.abc import Iterator
from datetime import UTC, datetime

from app.cli.told_deployments import ToldChange, ToldDocument
from app.deployments.changes import WorkersReport
from app.deployments.difference import Difference
from app.deployments.document import Revision

_SKIPPED = {
    "apply": "an apply looks after it",
    "removed": "it was removed",
    "superseded": "something newer was in force since",
    "deleted": "the tenant is deleted",
}


def revision_text(revision: Revision) -> str:
    """Name what is deployed."""
    if revision.bundle is None:
        return "nothing"
    flows = "1 flow" if revision.flows == 1 else f"{revision.flows} flows"
    return f"{revision.name} {revision.version}, {flows}, {revision.bundle[:12]}"


def change_line(change: ToldChange, place: str) -> str:
    """Say what became of one tenant's deployment."""
    current = change.current
    if current is None or change.outcome == "skipped":
        why = _SKIPPED.get(change.skipped or "", "nothing is deployed")
        return f"{change.tenant} {place}: left as it is: {why}"
    text = f"deployment {current.number} ({revision_text(current)})"
    if change.outcome == "unchanged":
        return f"{change.tenant} {place}: {text} is in force already"
    before = "" if change.before is None else f" in place of {change.before}"
    return f"{change.tenant} {place}: {text}{before}"


def workers_lines(report: WorkersReport) -> Iterator[str]:
    """Say what the workers made of it."""
    number = len(report.acknowledged)
    if report.is_well and not number:
        yield "no worker runs: the next one to start takes it up"
        return
    if number:
        who = "1 worker has" if number == 1 else f"{number} workers have"
        yield f"{who} taken it up after {report.seconds:.1f} s"
    for worker, reasons in sorted(report.failed.items()):
        for tenant, why in sorted(reasons.items()):
            yield f"worker {worker} cannot run {tenant}: {why}"
    for worker in report.missing:
        yield f"worker {worker} has not taken it up in {report.seconds:.0f} s"


def list_line(tenant: str, document: ToldDocument) -> str:
    """Show a tenant's deployment in a list."""
    current = document.current
    return f"{tenant}  {current.number}  {revision_text(current)}  {_when(current)}"


def show_lines(tenant: str, document: ToldDocument) -> Iterator[str]:
    """Show a tenant's deployment with what was before."""
    yield f"{tenant}: {_revision_line(document.current)}"
    keeper = "a start of its folder" if document.current.owner == "folder" else "apply"
    number = len(document.triggers)
    triggers = "1 trigger" if number == 1 else f"{number} triggers"
    yield f"  looked after by {keeper}; {triggers}"
    for revision in document.history:
        yield f"  before: {_revision_line(revision)}"


def difference_lines(tenant: str, difference: Difference) -> Iterator[str]:
    """Show what would change, by names."""
    if difference.is_empty:
        yield f"{tenant}: nothing differs"
        return
    yield f"{tenant}:"
    for kind in ("flows", "triggers", "options", "files"):
        names = getattr(difference, kind)
        for sign, some in (("+", names.added), ("-", names.removed), ("~", names.changed)):
            for name in some:
                yield f"  {sign} {kind.removesuffix('s')} {name}"


def _revision_line(revision: Revision) -> str:
    what = f"{revision.number} ({revision_text(revision)})"
    return f"{what}, {revision.kind} by {revision.actor}, {_when(revision)}"


def _when(revision: Revision) -> str:
    return f"{datetime.fromtimestamp(revision.at_ms / 1000, UTC):%Y-%m-%d %H:%M:%S}Z"

"""``greentic-events apply`` and ``diff``: a bundle put in force for tenants, or held against it.

In: a bundle's folder, tenants. Out: what changed, and what the workers say of it. Refuses a bundle
with any mistake, for all tenants before anything is changed for one. Ends with 1 where a worker
could not take a deployment up, or has not in time.

``$NAME`` in the answers is expanded here, from this machine's environment; secrets among them are
stored for the tenant before, and the archive refers to them.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from actors.subjects import check_token
from app.bundle.archive import gather_files
from app.bundle.files import MemoryFiles
from app.bundle.problems import bundle_error
from app.bundle.reading import inspect_bundle
from app.bundle.tenant_answers import tenants_with_answers
from app.cli.deploying import DeploymentsPlace
from app.cli.deployment_text import change_line, difference_lines, workers_lines
from app.cli.exit_codes import FAILED, REFUSED
from app.cli.output import print_json, say, warn
from app.cli.reach import Reach
from app.cli.told_deployments import Deployments, ToldChange
from app.deployments.changes import WorkersReport
from app.deployments.desk import WAIT_SECONDS
from app.deployments.difference import Difference
from app.deployments.handover import Handover, prepare_handover
from app.errors import ConflictError

TIMEOUT_SECONDS_MAX: Final = 600

BundleArgument = Annotated[Path, typer.Argument(help="The bundle's folder.")]
TenantsOption = Annotated[
    list[str] | None,
    typer.Option("--tenant", help="For this tenant; repeatable. All of the manifest's otherwise."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
NoWaitOption = Annotated[bool, typer.Option("--no-wait", help="Do not wait for the workers.")]
TimeoutOption = Annotated[
    float,
    typer.Option(
        "--timeout", min=1, max=TIMEOUT_SECONDS_MAX, help="How many seconds to wait for workers."
    ),
]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of it."""

    changes: Sequence[ToldChange] = ()
    stored: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Names of the secrets that were stored, by tenant."""
    conflicts: Mapping[str, str] = field(default_factory=dict)
    report: WorkersReport | None = None


def apply_command(
    bundle: BundleArgument = Path(),
    *,
    tenant: TenantsOption = None,
    again: Annotated[
        bool, typer.Option("--again", help="Also what is in force already: takes in new secrets.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say whether it could be, and what differs.")
    ] = False,
    no_wait: NoWaitOption = False,
    timeout: TimeoutOption = WAIT_SECONDS,
    reach: Reach,
    as_json: JsonOption = False,
) -> None:
    """Put a bundle in force for tenants on running workers, and wait until they run it.

    From then on the tenant's deployment is changed by apply alone; a start of a folder leaves it.
    Options of providers that are secret are stored for the tenant, and the bundle refers to them.
    """
    handovers = prepare_handovers(bundle, tenant or ())
    place = DeploymentsPlace(reach, 0.0 if no_wait else timeout)
    if dry_run:
        _show_differences(_differences(place, handovers), reach, as_json=as_json, is_dry_run=True)
        return

    async def work(bench: Deployments) -> Outcome:
        for each in handovers:
            await bench.check(each)
        return await _apply(bench, handovers, again=again)

    outcome = place.at_bench(work)
    _show_outcome(outcome, reach, as_json=as_json)
    if outcome.conflicts:
        raise typer.Exit(REFUSED)
    if outcome.report is not None and not outcome.report.is_well:
        raise typer.Exit(FAILED)


def diff_command(
    bundle: BundleArgument = Path(),
    *,
    tenant: TenantsOption = None,
    reach: Reach,
    as_json: JsonOption = False,
) -> None:
    """Show what an apply would change for tenants: flows, triggers, files, options, by name."""
    handovers = prepare_handovers(bundle, tenant or ())
    found = _differences(DeploymentsPlace(reach), handovers)
    _show_differences(found, reach, as_json=as_json, is_dry_run=False)


def prepare_handovers(bundle: Path, tenants: Sequence[str]) -> list[Handover]:
    """Pack a bundle for its tenants, or for these. BundleError."""
    for each in tenants:
        check_token(each, "tenant")
    files = gather_files(bundle)
    special = set(tenants_with_answers(files))
    common: Handover | None = None
    handovers = []
    for each in list(dict.fromkeys(tenants)) or _tenants_of(files):
        if each in special:
            handovers.append(prepare_handover(files, os.environ, each))
            continue
        # All that answer nothing themselves get the same.
        common = common or prepare_handover(files, os.environ, each)
        handovers.append(replace(common, tenant=each))
    return handovers


def _tenants_of(files: MemoryFiles) -> list[str]:
    found = inspect_bundle(files, environment=os.environ)
    if not found.tenants:
        raise bundle_error(found.problems)
    return sorted(found.tenants)


def _differences(
    place: DeploymentsPlace, handovers: Sequence[Handover]
) -> Mapping[str, Difference]:
    async def work(bench: Deployments) -> Mapping[str, Difference]:
        return {each.tenant: await bench.diff(each) for each in handovers}

    return place.at_bench(work)


async def _apply(bench: Deployments, handovers: Sequence[Handover], *, again: bool) -> Outcome:
    changes: list[ToldChange] = []
    stored: dict[str, Sequence[str]] = {}
    conflicts: dict[str, str] = {}
    for each in handovers:
        try:
            change, names = await bench.apply(each, again=again)
        except ConflictError as error:
            conflicts[each.tenant] = str(error)
            continue
        changes.append(change)
        if names:
            stored[each.tenant] = names
    return Outcome(changes, stored, conflicts, await bench.wait())


def _show_outcome(outcome: Outcome, reach: Reach, *, as_json: bool) -> None:
    report = outcome.report
    if as_json:
        print_json(
            {
                "env": reach.env_name,
                "tenants": [change.as_mapping() for change in outcome.changes],
                "secrets": {tenant: list(names) for tenant, names in outcome.stored.items()},
                "conflicts": dict(outcome.conflicts),
                "workers": None if report is None else report.as_mapping(),
            }
        )
        return
    for tenant, names in outcome.stored.items():
        say(f"stored for {tenant}: {', '.join(names)}")
    for change in outcome.changes:
        say(change_line(change, reach.place))
    for tenant, why in outcome.conflicts.items():
        warn(f"{tenant}: {why}", style="red")
    show_workers(report)


def show_workers(report: WorkersReport | None) -> None:
    """Say what the workers made of a change."""
    for line in () if report is None else workers_lines(report):
        if report is not None and report.is_well:
            say(line)
        else:
            warn(line, style="red")


def _show_differences(
    found: Mapping[str, Difference], reach: Reach, *, as_json: bool, is_dry_run: bool
) -> None:
    if as_json:
        documents: dict[str, Any] = {name: each.as_mapping() for name, each in found.items()}
        print_json({"env": reach.env_name, "differences": documents})
        return
    for tenant, difference in found.items():
        for line in difference_lines(tenant, difference):
            say(line)
    if is_dry_run:
        say("nothing was changed: this was a dry run")

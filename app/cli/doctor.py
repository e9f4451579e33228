"""``greentic-events doctor``: whether this machine and this bundle are ready to start.

In: a bundle, or nothing. Out: one line a check, all of them. Ends with 1 when something would keep
``start`` from working; warnings end with 0. Secrets are never shown.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from app.bundle.problems import errors_of
from app.bundle.reading import Inspection, inspect_bundle
from app.bundle.report import as_document, as_text, summary_of
from app.cli.checks import MachineReport, check_machine
from app.cli.exit_codes import FAILED
from app.cli.output import print_json, say

_STYLES: Mapping[str, str] = {"ok": "green", "warning": "yellow", "error": "bold red"}


def doctor_command(
    bundle: Annotated[Path | None, typer.Argument(help="A bundle to examine too.")] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Tell whether this machine and a bundle are ready to start.

    Looks at Python, the nats-server binary, the ports, the data folder's permissions, the
    environment's settings (secrets masked) and, if one is named, the bundle.
    """
    report = check_machine(bundle, os.environ)
    inspection = None if bundle is None else inspect_bundle(bundle, environment=os.environ)
    # A flow that does not load is left out at start; only what refuses the whole bundle fails.
    is_ready = report.is_ready and (inspection is None or inspection.bundle is not None)
    if as_json:
        print_json(_document(report, inspection, is_ready=is_ready))
    else:
        _print(report, inspection)
    if not is_ready:
        raise typer.Exit(FAILED)


def _document(
    report: MachineReport, inspection: Inspection | None, *, is_ready: bool
) -> dict[str, object]:
    problems = () if inspection is None else inspection.problems
    return {
        "ok": is_ready,
        "checks": [
            {"name": check.name, "status": check.status, "detail": check.detail}
            for check in report.checks
        ],
        "settings": report.settings,
        "problems": [as_document(problem) for problem in problems],
    }


def _print(report: MachineReport, inspection: Inspection | None) -> None:
    width = max(len(check.name) for check in report.checks)
    for check in report.checks:
        say(f"{check.status:<8} {check.name:<{width}}  {check.detail}", style=_STYLES[check.status])
    for name, value in _flat(report.settings):
        say(f"setting  {name} = {value}", style="dim")
    if inspection is None:
        return
    for problem in inspection.problems:
        say(as_text(problem))
    style = "red" if errors_of(inspection.problems) else "green"
    say(summary_of(inspection.problems, len(inspection.files)), style=style)


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value

"""``greentic-events doctor``: whether this machine and this bundle are ready to start.

In: a bundle, or nothing. Out: one line a check, all of them. Ends with 1 when something would keep
``start`` from working; warnings end with 0. Secrets are never shown.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from app.bundle.problems import Problem, errors_of
from app.bundle.reading import Inspection, inspect_bundle
from app.bundle.report import as_document, as_text, summary_of
from app.cli.checks import Check, check_machine
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
    checks = check_machine(bundle, os.environ)
    inspection = None if bundle is None else inspect_bundle(bundle, environment=os.environ)
    problems = () if inspection is None else inspection.problems
    # A flow that does not load is left out at start; only what refuses the whole bundle fails.
    is_ready = not any(check.status == "error" for check in checks) and (
        inspection is None or inspection.bundle is not None
    )
    if as_json:
        print_json(_document(checks, problems, is_ready=is_ready))
    else:
        _print(checks, inspection)
    if not is_ready:
        raise typer.Exit(FAILED)


def _document(
    checks: list[Check], problems: tuple[Problem, ...], *, is_ready: bool
) -> dict[str, object]:
    return {
        "ok": is_ready,
        "checks": [
            {"name": check.name, "status": check.status, "detail": check.detail} for check in checks
        ],
        "problems": [as_document(problem) for problem in problems],
    }


def _print(checks: list[Check], inspection: Inspection | None) -> None:
    width = max(len(check.name) for check in checks)
    for check in checks:
        say(f"{check.status:<8} {check.name:<{width}}  {check.detail}", style=_STYLES[check.status])
    if inspection is None:
        return
    for problem in inspection.problems:
        say(as_text(problem))
    style = "red" if errors_of(inspection.problems) else "green"
    say(summary_of(inspection.problems, len(inspection.files)), style=style)

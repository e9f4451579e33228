"""``greentic-events flow …``: examine flows and draw them.

In: paths of flow files, folders and bundles. Out: every problem with its place; graphs as mermaid,
dot or JSON. ``flow doctor`` ends with 1 when there are errors, and with 0 for warnings alone.
"""

import os
import sys
from dataclasses import replace
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from app.bundle.answers import VARIABLE_UNSET
from app.bundle.flow_tests import problems_of_tests
from app.bundle.graphs import FlowGraph, as_dot, as_mermaid, build_graph
from app.bundle.inspecting import flow_documents, inspect_path
from app.bundle.problems import Problem, errors_of, sorted_problems
from app.bundle.reading import Inspection
from app.bundle.report import as_document, as_text, as_workflow_command, summary_of
from app.cli.exit_codes import FAILED
from app.cli.flow_run import flow_run
from app.cli.flow_test import flow_test
from app.cli.output import print_json, say
from app.errors import CommandError

PathArgument = Annotated[Path, typer.Argument(help="A flow file, a folder or a bundle.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


class ReportFormat(Enum):
    """How problems are printed."""

    TEXT = "text"
    JSON = "json"
    GITHUB = "github"


class GraphFormat(Enum):
    """How a graph is printed."""

    MERMAID = "mermaid"
    DOT = "dot"
    JSON = "json"


def flow_app() -> typer.Typer:
    """Put the commands of this noun together."""
    app = typer.Typer(help="Examine flows, draw them, run them.", no_args_is_help=True)
    app.command("doctor")(doctor)
    app.command("validate", help="The same as doctor.", hidden=True)(doctor)
    app.command("graph")(graph)
    app.command("run")(flow_run)
    app.command("test")(flow_test)
    return app


def doctor(
    paths: Annotated[
        list[Path], typer.Argument(help="Flow files, folders or bundles.", metavar="PATH…")
    ],
    *,
    as_json: JsonOption = False,
    report_format: Annotated[
        ReportFormat, typer.Option("--format", help="How problems are printed.")
    ] = ReportFormat.TEXT,
) -> None:
    """Tell everything that is wrong with flows, all at once.

    Each problem comes with file, line and column, and with a hint where there is one. The exit
    code is 1 when there are errors, 0 when there are only warnings.
    """
    problems: list[Problem] = []
    files = 0
    for path in paths:
        inspection = inspect_path(path, environment=os.environ)
        found = [*inspection.problems, *problems_of_tests(path, inspection.root)]
        inspection = replace(inspection, problems=sorted_problems(found))
        problems += _as_seen_from_here(inspection, path)
        files += len(inspection.files)
    has_errors = bool(errors_of(problems))
    if as_json or report_format is ReportFormat.JSON:
        errors = len(errors_of(problems))
        print_json(
            {
                "ok": not has_errors,
                "flow_files": files,
                "errors": errors,
                "warnings": len(problems) - errors,
                "problems": [as_document(problem) for problem in problems],
            }
        )
    elif report_format is ReportFormat.GITHUB:
        sys.stdout.writelines(f"{as_workflow_command(problem)}\n" for problem in problems)
    else:
        for problem in problems:
            say(as_text(problem))
        say(summary_of(problems, files), style="bold red" if has_errors else "bold green")
    if has_errors:
        raise typer.Exit(FAILED)


def graph(
    path: PathArgument,
    *,
    graph_format: Annotated[
        GraphFormat, typer.Option("--format", help="mermaid, dot (Graphviz) or json.")
    ] = GraphFormat.MERMAID,
    as_json: JsonOption = False,
    name: Annotated[str | None, typer.Option("--flow", help="Only the flow of this name.")] = None,
) -> None:
    """Draw flows: their triggers, nodes and ways.

    A flow with errors is drawn as far as it can be understood.
    """
    graphs = [build_graph(document.data) for document in flow_documents(path)]
    chosen = [item for item in graphs if item is not None and name in (None, item.name)]
    if not chosen:
        what = f"no flow {name!r}" if name else "no flow that can be drawn"
        raise CommandError(f"there is {what} at {path}", hint=f"greentic-events flow doctor {path}")
    if as_json or graph_format is GraphFormat.JSON:
        print_json({"flows": [item.as_document() for item in chosen]})
    else:
        _draw(chosen, graph_format)


def _draw(graphs: list[FlowGraph], graph_format: GraphFormat) -> None:
    draw = as_dot if graph_format is GraphFormat.DOT else as_mermaid
    sys.stdout.write("\n".join(draw(item) for item in graphs))


def _as_seen_from_here(inspection: Inspection, path: Path) -> list[Problem]:
    """Name files as the caller would, and take the machine's own lacks as what they are.

    A variable that is not set here says nothing about the bundle: a warning.
    """
    return [
        replace(
            problem,
            file=_from_here(problem.file, inspection, path),
            severity="warning" if problem.code == VARIABLE_UNSET else problem.severity,
        )
        for problem in inspection.problems
    ]


def _from_here(file: str, inspection: Inspection, path: Path) -> str:
    """Join a file of the inspection to the caller's path, relative as the caller gave it."""
    if inspection.root is None:
        return file
    absolute = inspection.root / file
    start = path if path.is_dir() else path.parent
    try:
        return (start / absolute.relative_to(start.resolve())).as_posix()
    except ValueError:
        return Path(os.path.relpath(absolute)).as_posix()

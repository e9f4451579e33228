"""``flow test``: run the tests that stand beside flows.

In: flow files, test files, folders, bundles. Out: which tests hold, and where the others part from
what they expect; with ``--json`` one object a line. Nothing leaves this process: web services and
providers are the tests' own. Exit code 1 if a test fails, cannot be read, or there is none.
"""

import asyncio
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from actors.errors import InvalidEventError
from actors.flows.compiled import CompiledFlow
from app.bundle.flow_test_models import FlowCase
from app.bundle.flow_tests import CaseFile, find_test_files, read_test_file
from app.bundle.inspecting import inspect_path
from app.bundle.problems import Problem, errors_of
from app.bundle.reading import Inspection
from app.bundle.report import as_document, as_text
from app.cli.exit_codes import FAILED
from app.cli.flow_test_compare import Difference, compare
from app.cli.flow_test_run import Seen, run_case
from app.cli.output import print_json, say
from app.errors import CommandError

DIFFERENCES_MAX: Final = 20
VALUE_CHARS_MAX: Final = 300


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one test, or of a file whose tests cannot be run."""

    file: str
    line: int
    flow: str | None
    name: str | None
    differences: tuple[Difference, ...] = ()
    problems: tuple[Problem, ...] = ()
    seen: Seen | None = None

    @property
    def ok(self) -> bool:
        """Whether it holds."""
        return not self.differences and not self.problems


def flow_test(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(help="Flows, test files, folders or bundles.", metavar="[PATH…]"),
    ] = None,
    *,
    name_filter: Annotated[
        str | None, typer.Option("--filter", help="Only tests whose name has this text in it.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
) -> None:
    """Run the tests beside flows: NAME.tests.yaml beside NAME.ygtc.

    Nothing is published, and nobody is called: web services and providers answer as the tests say.
    """
    count = failures = 0
    for path in paths or [Path()]:
        for verdict in _verdicts(path, name_filter):
            count += 1
            failures += not verdict.ok
            if as_json:
                print_json(_document(verdict), indent=None)
            else:
                _show(verdict)
    if not count:
        what = "no test has such a name" if name_filter else "there are no tests"
        raise CommandError(what, hint="tests stand in NAME.tests.yaml beside NAME.ygtc")
    if not as_json:
        style = "bold red" if failures else "bold green"
        say(f"{count - failures} of {count} tests hold", style=style)
    if failures:
        raise typer.Exit(FAILED)


def _verdicts(path: Path, name_filter: str | None) -> Iterator[Verdict]:
    if not path.exists():
        raise CommandError(f"there is no {path}")
    files, names = find_test_files(path)
    if not names:
        return
    inspection = inspect_path(_flows_of(path), environment=os.environ)
    folder = path if path.is_dir() else path.parent
    for name in names:
        found = read_test_file(files, name)
        yield from _file_verdicts(found, str(folder / name), inspection, name_filter)


def _flows_of(path: Path) -> Path:
    """Give the place of the flows that a test file may need: its folder."""
    return path if path.is_dir() else path.parent


def _file_verdicts(
    found: CaseFile, shown: str, inspection: Inspection, name_filter: str | None
) -> Iterator[Verdict]:
    if errors_of(found.problems) or found.tests is None:
        yield Verdict(shown, 1, found.flow, None, problems=found.problems)
        return
    for index, case in enumerate(found.tests.tests):
        if name_filter is not None and name_filter not in case.name:
            continue
        line = found.line_of(index)
        flows = _find_flows(case, found.flow, inspection)
        if flows is None:
            problem = _not_to_be_run(found, index, case, inspection)
            yield Verdict(shown, line, found.flow, case.name, problems=problem)
        else:
            differences, seen = asyncio.run(_judge(case, str(found.flow), *flows))
            yield Verdict(
                shown, line, found.flow, case.name, differences=tuple(differences), seen=seen
            )


def _find_flows(
    case: FlowCase, flow: str | None, inspection: Inspection
) -> tuple[str, Mapping[str, CompiledFlow]] | None:
    """Give the tenant that the case runs for, with all its flows."""
    for tenant, bundle in inspection.tenants.items():
        if flow in bundle.flows and case.tenant in (None, tenant):
            return tenant, bundle.flows
    return None


def _not_to_be_run(
    found: CaseFile, index: int, case: FlowCase, inspection: Inspection
) -> tuple[Problem, ...]:
    """Say why a case has no flow to run: its flow is wrong, or the tenant does not run it."""
    errors = errors_of(inspection.problems)
    beside = found.file.removesuffix(".tests.yaml") + ".ygtc"
    own = [item for item in errors if item.file.endswith(beside)]
    if own or errors:
        return tuple(own or errors)
    if case.tenant is None:
        message = f"no tenant runs the flow {found.flow!r}"
        return (found.document.problem(("tests", index), "flow_test.no_tenant", message),)
    message = f"tenant {case.tenant!r} does not run the flow {found.flow!r}"
    return (found.document.problem(("tests", index, "tenant"), "flow_test.no_tenant", message),)


async def _judge(
    case: FlowCase, flow: str, tenant: str, flows: Mapping[str, CompiledFlow]
) -> tuple[list[Difference], Seen | None]:
    try:
        seen = await run_case(case, flows[flow], flows, tenant)
    except (InvalidEventError, CommandError) as error:
        return [Difference("event", note=str(error))], None
    return compare(case.expect, seen), seen


# ── What is shown ────────────────────────────────────────────────────────────────────────────


def _document(verdict: Verdict) -> dict[str, Any]:
    return {
        "file": verdict.file,
        "line": verdict.line,
        "flow": verdict.flow,
        "name": verdict.name,
        "ok": verdict.ok,
        "differences": [
            {"where": item.where, "expected": item.expected, "got": item.got, "note": item.note}
            for item in verdict.differences
        ],
        "problems": [as_document(problem) for problem in verdict.problems],
        "run": None if verdict.seen is None else verdict.seen.facts | {"state": verdict.seen.state},
    }


def _show(verdict: Verdict) -> None:
    name = verdict.name or "cannot be read"
    if verdict.ok:
        say(f"ok      {verdict.flow}: {name}", style="green")
        return
    say(f"FAILED  {verdict.flow}: {name}", style="bold red")
    say(f"        {verdict.file}:{verdict.line}")
    for problem in verdict.problems:
        say(as_text(problem))
    for item in verdict.differences[:DIFFERENCES_MAX]:
        _show_difference(item)
    more = len(verdict.differences) - DIFFERENCES_MAX
    if more > 0:
        say(f"        and {more} more differences")


def _show_difference(item: Difference) -> None:
    note = "" if item.note is None else f": {item.note}"
    say(f"        {item.where}{note}")
    if item.note is None or item.expected is not None:
        say(f"          expected  {_value(item.expected)}")
    if item.note is None or item.got is not None:
        say(f"          got       {_value(item.got)}")


def _value(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= VALUE_CHARS_MAX else text[: VALUE_CHARS_MAX - 1] + "…"

"""``script fmt`` and ``script conformance``: whole files of scripts, and of cases.

In: paths. Out: files laid out evenly, or what would change; the cases that come out wrong. Refuses
(CommandError) a case file with a line that is no case, naming the line.
"""

import difflib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from app.cli.exit_codes import FAILED
from app.cli.output import say, warn
from app.cli.script_values import read_text, show_error
from app.errors import CommandError
from grammar import GrammarError, format_script, run_case

CASE_LINE_BYTES_MAX: Final = 4 * 1024 * 1024
_NEEDED: Final = ("id", "mode", "script")


def fmt(
    paths: Annotated[list[Path], typer.Argument(help="Scripts.", metavar="FILE…")],
    *,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; end with 1 if a file would change.")
    ] = False,
    diff: Annotated[
        bool, typer.Option("--diff", help="Write nothing; show what would change.")
    ] = False,
) -> None:
    """Lay scripts out evenly, in place."""
    has_failed = False
    for path in paths:
        before = read_text(path)
        try:
            after = format_script(before, name=str(path))
        except GrammarError as error:
            show_error(error, json_output=False)
            has_failed = True
            continue
        if after == before:
            continue
        has_failed = has_failed or check
        if diff:
            _show_difference(path, before, after)
        elif str(path) == "-":
            sys.stdout.write(after)
        elif check:
            say(f"{path} would change")
        else:
            path.write_text(after, encoding="utf-8", newline="")
            say(f"{path}")
    if has_failed:
        raise typer.Exit(FAILED)


def _show_difference(path: Path, before: str, after: str) -> None:
    lines = difflib.unified_diff(
        before.splitlines(), after.splitlines(), str(path), str(path), lineterm=""
    )
    for line in lines:
        say(line)


def conformance(
    path: Annotated[Path, typer.Argument(help="A file of cases.", metavar="FILE.jsonl")],
    *,
    json_output: Annotated[
        bool, typer.Option("--json", help="Print one JSON object for each case.")
    ] = False,
) -> None:
    """Run a file of cases, one JSON object a line, and tell which come out wrong."""
    count = failures = 0
    for number, case in _cases(path):
        try:
            outcome = run_case(case)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise CommandError(
                f"{path}:{number}: is no case: {type(error).__name__}: {error}"
            ) from None
        count += 1
        failures += not outcome.ok
        if json_output:
            document = {
                "id": outcome.id,
                "ok": outcome.ok,
                "got": dict(outcome.got),
                "expected": outcome.expected,
            }
            say(_as_line(document))
        elif not outcome.ok:
            say(f"{path}:{number}: {outcome.id}")
            say(f"  got       {_as_line(dict(outcome.got))}")
            say(f"  expected  {_as_line(outcome.expected)}")
    if not json_output:
        say(f"{count - failures} of {count} cases come out right", style="bold")
    if not count:
        warn(f"{path} has no case")
    if failures or not count:
        raise typer.Exit(FAILED)


def _as_line(value: Any) -> str:
    return json.dumps(value, default=str)


def _cases(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        with path.open("rb") as stream:
            number = 0
            while line := stream.readline(CASE_LINE_BYTES_MAX + 1):
                number += 1
                if line.strip():
                    yield number, _case(path, number, line)
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror or error}") from None


def _case(path: Path, number: int, line: bytes) -> dict[str, Any]:
    if len(line) > CASE_LINE_BYTES_MAX:
        raise CommandError(f"{path}:{number}: is longer than {CASE_LINE_BYTES_MAX} bytes")
    try:
        case = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise CommandError(f"{path}:{number}: is no JSON: {error}") from None
    if not isinstance(case, dict):
        raise CommandError(f"{path}:{number}: is no JSON object")
    absent = [key for key in _NEEDED if key not in case]
    if not case.keys() & {"expect", "one_of"}:
        absent.append("expect")
    if absent:
        raise CommandError(f"{path}:{number}: is no case: {', '.join(absent)} missing")
    return case

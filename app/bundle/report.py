"""Problems for people, for programs and for GitHub.

In: problems. Out: text with the source line and a caret, JSON documents, workflow commands. Refuses
nothing; control characters of a file never reach the terminal as such.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

from rich.text import Text

from app.bundle.problems import Problem, errors_of

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_STYLES: Final = {"error": "bold red", "warning": "bold yellow"}


def as_document(problem: Problem) -> dict[str, Any]:
    """Give a problem as ``--json`` shows it."""
    return {
        "severity": problem.severity,
        "code": problem.code,
        "file": problem.file,
        "line": problem.line,
        "column": problem.column,
        "path": list(problem.path),
        "message": problem.message,
        "hint": problem.hint,
        "excerpt": problem.excerpt,
    }


def as_text(problem: Problem) -> Text:
    """Show a problem: place, severity, message, code; then the line with a caret, and the hint."""
    text = Text()
    text.append(_printable(problem.place), style="bold")
    text.append(f": {problem.severity}: ", style=_STYLES[problem.severity])
    text.append(_printable(problem.message))
    text.append(f" [{problem.code}]", style="dim")
    for line in (problem.excerpt or "").split("\n") if problem.excerpt else ():
        is_caret = line.strip() in ("^", "") or set(line.strip()) == {"^"}
        text.append(f"\n    {_printable(line)}", style="red" if is_caret else "dim")
    if problem.hint:
        text.append("\n  hint: ", style="cyan")
        text.append(_printable(problem.hint))
    return text


def as_workflow_command(problem: Problem) -> str:
    """Give a problem as a GitHub Actions annotation."""
    message = problem.message + (f" ({problem.hint})" if problem.hint else "")
    return (
        f"::{problem.severity} file={_property(problem.file)},line={problem.line},"
        f"col={problem.column},title={_property(problem.code)}::{_data(message)}"
    )


def summary_of(problems: Sequence[Problem], flow_files: int) -> str:
    """Say in one line how it stands."""
    errors = len(errors_of(problems))
    warnings = len(problems) - errors
    return (
        f"{_counted(flow_files, 'flow file')}, {_counted(errors, 'error')},"
        f" {_counted(warnings, 'warning')}"
    )


def as_plain_text(problems: Iterable[Problem]) -> str:
    """Show problems without colour, one after the other: for logs and exceptions."""
    return "\n".join(as_text(problem).plain for problem in problems)


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _printable(text: str) -> str:
    """Make control characters visible: a flow's text must not steer the terminal."""
    return _CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", text)


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")

"""What is wrong with a bundle, and where: one value for every kind of finding.

In: findings of the YAML reader, the models, the flow doctor. Out: `Problem`, sorted and counted.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from app.errors import BundleError

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding. ``file`` is relative to what was examined; line and column count from 1."""

    severity: Severity
    code: str
    message: str
    file: str
    line: int = 1
    column: int = 1
    hint: str | None = None
    excerpt: str | None = None
    """Source lines with a caret below the place."""
    path: tuple[str | int, ...] = ()
    """Where in the document: ``("nodes", 0, "type")``."""

    @property
    def place(self) -> str:
        """The place as editors and terminals understand it: ``file:line:column``."""
        return f"{self.file}:{self.line}:{self.column}"


def bundle_error(problems: Sequence[Problem]) -> BundleError:
    """Make the error of a bundle that cannot be used: its text names the first of the errors."""
    errors = errors_of(problems)
    first = errors[0] if errors else problems[0]
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return BundleError(f"{first.place}: {first.message}{more}", problems)


def errors_of(problems: Iterable[Problem]) -> list[Problem]:
    """Give only the problems that stop something from working."""
    return [problem for problem in problems if problem.severity == "error"]


def sorted_problems(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Give the problems in the order a reader meets them, each once."""
    ordered = sorted(problems, key=lambda p: (p.file, p.line, p.column, p.severity, p.message))
    return tuple(dict.fromkeys(ordered))

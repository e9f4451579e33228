"""What can be wrong with a flow definition, and where: the vocabulary of the doctor.

In: nothing; these are values. Out: findings that the command line prints and the compiler counts.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

DocumentPath = tuple[str | int, ...]
"""Keys and indexes from the top of the YAML document: ``("nodes", 0, "config", "url")``."""

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding: how bad, which rule (a stable code), where, what, and what to do about it."""

    severity: Severity
    code: str
    path: DocumentPath
    message: str
    hint: str | None = None
    excerpt: str | None = None
    """For texts inside the document: the line of the text with a caret below the place."""


def did_you_mean(name: str, known: Iterable[str]) -> str | None:
    """Suggest the known name that looks most like ``name``, or None when none is close."""
    close = get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"did you mean {close[0]!r}?" if close else None


def has_errors(diagnostics: Iterable[Diagnostic]) -> bool:
    """Tell whether any finding forbids running the flow."""
    return any(item.severity == "error" for item in diagnostics)

"""Findings of the doctor as other rooms import them: see `actors.diagnostics`.

In: a list of findings. Out: the same in the order of the document, and a summary for an error.
"""

from collections.abc import Iterable, Sequence

from actors.diagnostics import Diagnostic, DocumentPath, Severity, did_you_mean, has_errors

_TOP_LEVEL_ORDER = ("name", "version", "description", "variables", "config", "nodes", "triggers")


def in_document_order(diagnostics: Iterable[Diagnostic]) -> list[Diagnostic]:
    """Sort by place, then code; equal findings are told once."""
    return sorted(dict.fromkeys(diagnostics), key=_place)


def summarize(flow: str, diagnostics: Sequence[Diagnostic]) -> str:
    """Say in one line what is wrong with a flow: the first error and how many more there are."""
    errors = [item for item in diagnostics if item.severity == "error"]
    first = errors[0]
    where = ".".join(map(str, first.path))
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return f"flow {flow!r}: {where}: {first.message}{more}"


def _place(item: Diagnostic) -> tuple[object, ...]:
    keys = tuple((0, key, "") if isinstance(key, int) else (1, 0, key) for key in item.path)
    top = str(item.path[0]) if item.path else ""
    rank = _TOP_LEVEL_ORDER.index(top) if top in _TOP_LEVEL_ORDER else -1
    return (rank, keys, item.code, item.message)


__all__ = [
    "Diagnostic",
    "DocumentPath",
    "Severity",
    "did_you_mean",
    "has_errors",
    "in_document_order",
    "summarize",
]

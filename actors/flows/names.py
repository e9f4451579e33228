"""Names in a flow: which are taken, and which a target may use.

In: a draft. Out: findings about ids, outputs and targets. Refuses ids that SPEC 5 reserves, ids
used twice, and targets that lead nowhere.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

from actors.diagnostics import Diagnostic, DocumentPath, did_you_mean
from actors.flows.compiled import END_TARGETS, RESPOND
from actors.flows.draft import Draft

RUN_NAMES: Final = frozenset(
    {
        "event",
        "payload",
        "headers",
        "query",
        "flow",
        "state",
        "tenant_id",
        "env",
        "team_id",
        "session_id",
        "message",
        "now",
        "secrets",
    }
)
"""Names that every run has (SPEC 5); nothing may hide them."""

VALUE_NAMES: Final = frozenset(
    {"http_response", "script_result", "llm_response", "template_result"}
)
"""Names of the last value of a type (SPEC 5): no node's id, but an `output` may repeat one."""

KEYWORDS: Final = frozenset(
    """let const if else switch while loop do until for in fn private return throw try catch break
    continue true false import export as var static public protected super new use module package
    with is goto match case default void null nil spawn thread go sync async await yield shared this
    print debug type_of eval Fn call curry is_def_var is_def_fn is_shared contains format""".split()  # noqa: SIM905 - prose reads better than 70 quoted words
)
"""Words of the language: a value of such a name cannot be read by it."""


def check_names(draft: Draft) -> Iterator[Diagnostic]:
    """Check ids and outputs of all nodes."""
    counts = Counter(node.definition.id for node in draft.nodes)
    seen: set[str] = set()
    for node in draft.nodes:
        path = ("nodes", node.index, "id")
        name = node.definition.id
        if counts[name] > 1 and name in seen:
            yield Diagnostic(
                "error", "flow.duplicate_id", path, f"the id {name!r} is taken already"
            )
        seen.add(name)
        yield from _check_id(name, path)
        output = node.definition.output
        if output is not None:
            yield from check_output_name(output, ("nodes", node.index, "output"))


def _check_id(name: str, path: DocumentPath) -> Iterator[Diagnostic]:
    if name in RUN_NAMES or name in VALUE_NAMES:
        message = f"{name!r} is a name that every run has; choose another id"
        yield Diagnostic("error", "flow.reserved_id", path, message)
    elif name in END_TARGETS:
        message = f"{name!r} is the reserved target that ends a run; choose another id"
        yield Diagnostic("error", "flow.reserved_id", path, message)
    elif name in KEYWORDS:
        yield _unreadable(name, path)


def check_output_name(name: str, path: DocumentPath) -> Iterator[Diagnostic]:
    """Check a further name for a value: it must not hide a name of the run."""
    if name in RUN_NAMES:
        message = f"{name!r} is a name that every run has; choose another"
        yield Diagnostic("error", "flow.reserved_output", path, message)
    elif name in KEYWORDS:
        yield _unreadable(name, path)


def _unreadable(name: str, path: DocumentPath) -> Diagnostic:
    message = f"{name!r} is a word of the language: scripts cannot read a value of that name"
    return Diagnostic("warning", "flow.keyword_name", path, message)


def check_target(target: str, ids: Iterable[str], path: DocumentPath) -> Iterator[Diagnostic]:
    """Check that a target is a node or one of the reserved ones (SPEC 12.6)."""
    known = set(ids)
    if target in known or target in END_TARGETS or target == RESPOND:
        return
    hint = did_you_mean(target, sorted(known | END_TARGETS | {RESPOND}))
    ends = ", ".join(sorted(END_TARGETS))
    yield Diagnostic(
        "error",
        "flow.dangling_target",
        path,
        f"there is no node {target!r}",
        hint or f"add that node, or end the run with one of: {ends}, {RESPOND}",
    )

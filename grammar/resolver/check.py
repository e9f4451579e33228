"""Resolves a tree. In: a script or condition. Out: its Resolution.

Refuses: FlowCheckError with every diagnostic; FlowSyntaxError when the nesting passes its limit,
because then the rest was not looked at.
"""

from __future__ import annotations

from grammar.budget import Limits
from grammar.dialect import Dialect
from grammar.errors import FlowCheckError, FlowSyntaxError
from grammar.resolver.expressions import check_expression
from grammar.resolver.model import Resolution
from grammar.resolver.scopes import ScopeWalker, TooDeep
from grammar.span import SourceText
from grammar.syntax import Script


def resolve(
    tree: Script,
    source: SourceText,
    *,
    limits: Limits,
    dialect: Dialect,
    mutators: frozenset[str],
    is_expression: bool,
) -> Resolution:
    """Bind every name and check every rule that needs more than one node."""
    walker = ScopeWalker(limits, dialect, mutators)
    try:
        walker.script(tree)
        if is_expression:
            walker.diagnostics += check_expression(tree)
    except TooDeep as fault:
        raise FlowSyntaxError(
            f"Expression exceeds maximum complexity: the limit is {limits.expression_depth}, "
            f"inside functions {limits.function_expression_depth}",
            span=fault.span, source=source, hint="split the expression with `let`",
        ) from None  # fmt: skip
    if walker.diagnostics:
        found = sorted(walker.diagnostics, key=lambda item: item.span.start)
        raise FlowCheckError(tuple(found), source=source)
    return walker.found

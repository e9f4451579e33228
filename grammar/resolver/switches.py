"""Checks the cases of a `switch`. In: the node. Out: faults. Refuses nothing by itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from grammar.span import Span
from grammar.syntax import ArrayLiteral, Group, Literal, MapLiteral, RangeOf, Switch, Unary


def check_switch(node: Switch) -> Iterator[tuple[str, Span]]:
    """Find cases that are no literals, and plain integers behind a range (LANGUAGE.md 5)."""
    has_range = False
    for arm in node.arms:
        for case in arm.cases:
            value = case.inner if isinstance(case, Group) else case
            if isinstance(value, RangeOf):
                has_range = True
                if not (_is_int(value.first) and _is_int(value.last)):
                    yield "Expecting a literal expression", case.span
            elif not _is_literal(value):
                yield "Expecting a literal expression", case.span
            elif has_range and _is_int(value):
                yield "Numeric case must come before ranges", case.span


def _is_int(node: Any) -> bool:
    return isinstance(node, Literal) and type(node.value) is int


def _is_literal(node: Any) -> bool:
    if isinstance(node, ArrayLiteral):
        return all(map(_is_literal, node.items))
    if isinstance(node, MapLiteral):
        return all(_is_literal(value) for _, value in node.entries)
    if isinstance(node, Unary):
        return node.operator != "!" and _is_literal(node.operand)
    return isinstance(node, Literal)

"""Checks expression mode (LANGUAGE.md 10.7). In: a tree. Out: what may not stand in a condition.

Refuses nothing by itself; the walk is as deep as the tree, which is limited before.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from grammar.errors import Diagnostic
from grammar.syntax import (
    Assign,
    Block,
    Closure,
    Do,
    For,
    If,
    Jump,
    Let,
    Script,
    Switch,
    Template,
    Try,
    While,
)

_STATEMENTS = (Assign, Do, For, Jump, Let, Try, While)


def check_expression(tree: Script) -> Iterator[Diagnostic]:
    """Find everything that is not part of one single expression."""
    if tree.functions:
        yield Diagnostic("parse", "Functions cannot be defined here", tree.functions[0].span)
    if len(tree.statements) != 1:
        yield Diagnostic("parse", "A condition is one expression", tree.span)
    for statement in tree.statements:
        yield from _check(statement)


def _check(node: Any) -> Iterator[Diagnostic]:
    if isinstance(node, _STATEMENTS):
        yield Diagnostic("parse", "A condition is one expression, not a statement", node.span)
        return
    if isinstance(node, Block):
        yield Diagnostic("parse", "A block cannot stand in a condition", node.span)
        return
    yield from _children(node)


def _children(node: Any) -> Iterator[Diagnostic]:
    match node:
        case If(branches=branches, otherwise=otherwise):
            yield from _all(condition for condition, _ in branches)
            yield from _singles(block for _, block in branches)
            yield from _singles(() if otherwise is None else (otherwise,))
        case Switch(subject=subject, arms=arms):
            yield from _all((subject, *(arm.guard for arm in arms), *(arm.body for arm in arms)))
        case Closure(body=body):
            yield from _singles((body,))
        case Template(parts=parts):
            yield from _singles(part for part in parts if not isinstance(part, str))
        case _:
            for name in getattr(node, "__slots__", ()):
                value = getattr(node, name)
                items = value if isinstance(value, tuple) else (value,)
                yield from _all(item[1] if isinstance(item, tuple) else item for item in items)


def _all(nodes: Iterable[Any]) -> Iterator[Diagnostic]:
    for node in nodes:
        yield from _check(node)


def _singles(nodes: Iterable[Any]) -> Iterator[Diagnostic]:
    for node in nodes:
        yield from _single(node) if isinstance(node, Block) else _check(node)


def _single(block: Block) -> Iterator[Diagnostic]:
    if len(block.statements) != 1:
        yield Diagnostic("parse", "Exactly one expression must stand here", block.span)
    for statement in block.statements:
        yield from _check(statement)

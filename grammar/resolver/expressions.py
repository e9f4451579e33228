"""Checks expression mode (LANGUAGE.md 10.7). In: a tree. Out: what may not stand in a condition.

Refuses nothing by itself; the walk is as deep as the tree, which is limited before.
"""

from __future__ import annotations

from collections.abc import Iterator
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
    if isinstance(node, If):
        for condition, block in node.branches:
            yield from _check(condition)
            yield from _single(block)
        if node.otherwise is not None:
            yield from _single(node.otherwise)
    elif isinstance(node, Switch):
        yield from _check(node.subject)
        for arm in node.arms:
            yield from _check(arm.guard)
            yield from _check(arm.body)
    elif isinstance(node, Closure):
        yield from _single(node.body) if isinstance(node.body, Block) else _check(node.body)
    elif isinstance(node, Template):
        for part in node.parts:
            yield from _single(part) if isinstance(part, Block) else _check(part)
    else:
        for name in getattr(node, "__slots__", ()):
            value = getattr(node, name)
            for item in value if isinstance(value, tuple) else (value,):
                yield from _check(item[1] if isinstance(item, tuple) else item)


def _single(block: Block) -> Iterator[Diagnostic]:
    if len(block.statements) != 1:
        yield Diagnostic("parse", "Exactly one expression must stand here", block.span)
    for statement in block.statements:
        yield from _check(statement)

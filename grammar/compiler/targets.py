"""Compiles assignments. In: nodes. Out: statements (LANGUAGE.md section 2, assignment).

The right side runs first, then the indexes on the left. Refuses, when run, to change constants.
"""

from __future__ import annotations

import ast
from typing import Any, Final

from grammar.compiler import emit
from grammar.compiler.access import read_variable, write_variable
from grammar.compiler.calls import root_cell, root_of
from grammar.compiler.operators import apply_binary
from grammar.compiler.paths import target_path
from grammar.compiler.state import OWNED, FrameState
from grammar.resolver.model import Variable
from grammar.syntax import Assign, Group, Name, This

_OPERATORS: Final = {
    "+": "add_to", "-": "subtract", "*": "multiply", "/": "divide", "%": "remainder",
    "**": "power", "<<": "shift_left", ">>": "shift_right", "&": "bit_and", "|": "bit_or",
    "^": "bit_xor",
}  # fmt: skip


def assign_effect(k: FrameState, node: Assign) -> None:
    """Compile an assignment."""
    target = node.target
    while isinstance(target, Group):
        target = target.inner
    root = root_of(target)
    variable = k.unit.found.uses.get(root) if isinstance(root, Name) else None
    if isinstance(root, Name) and variable is None:
        k.value(node.value)
        _refuse(k, "no_variable", root.name, root)
    elif variable is not None and variable.is_constant:
        k.value(node.value)
        _refuse(k, "constant_changed", variable.name, target)
    elif isinstance(target, Name) and variable is not None:
        _assign_name(k, node, variable)
    elif isinstance(target, This):
        _assign_this(k, node, target)
    else:
        _assign_path(k, node, target)


def _refuse(k: FrameState, error: str, name: str, node: Any) -> None:
    k.add(emit.fail(emit.call(error, emit.constant(name), line=k.line(node))))


def _assign_name(k: FrameState, node: Assign, variable: Variable) -> None:
    if node.operator is None:
        value = k.owned(node.value) if variable.is_owned else k.shared(node.value)
        if variable.is_host:
            read_variable(k, variable, node.target)
        write_variable(k, variable, value.expr)
        return
    value = k.value(node.value)
    held = read_variable(k, variable, node.target)
    if node.operator == "+" and held.kind == OWNED:
        call = k.run("add_to", held.expr, value.expr, node=node)
        write_variable(k, variable, call)
        return
    result = apply_binary(k, node.operator, held, value, node)
    if variable.is_owned and result.kind is None:
        result = k.copy(result)
    write_variable(k, variable, k.share(result).expr)


def _assign_this(k: FrameState, node: Assign, target: This) -> None:
    value = k.owned(node.value)
    cell = emit.call("this_cell", emit.name("t"), line=k.line(target))
    result = value.expr
    if node.operator is not None:
        held = k.set_temp(emit.call("this_value", emit.name("t"), line=k.line(target)))
        result = k.run(_OPERATORS[node.operator], held.expr, value.expr, node=node)
    k.add(emit.store_item(cell, emit.constant(0), result))


def _assign_path(k: FrameState, node: Assign, target: Any) -> None:
    value = k.owned(node.value)
    if not isinstance(value.expr, ast.Constant):
        value = k.set_temp(value.expr, value.kind)
    root, kinds, keys = target_path(k, target)
    cell, store_back = root_cell(k, root)
    operator = emit.name(_OPERATORS[node.operator]) if node.operator else emit.constant(None)
    path = emit.row((emit.constant(kinds), emit.row(keys)))
    k.add(emit.effect(k.run("assign_path", cell, path, value.expr, operator, node=target)))
    if store_back is not None:
        k.add(emit.store(store_back, emit.item(cell, emit.constant(0))))

"""Compiles names, literals and chains of access. In: nodes. Out: operands.

Maps are read inline; every other receiver goes through `grammar.runtime.access`. Refuses nothing.
"""

from __future__ import annotations

import ast
from typing import Any

from grammar.compiler import emit
from grammar.compiler.calls import change_receiver, may_change, method_step
from grammar.compiler.kinds import variable_kind
from grammar.compiler.state import FRESH, OWNED, SCALARS, FrameState, Operand, literal_kind
from grammar.resolver.model import Variable
from grammar.syntax import (
    ArrayLiteral,
    Block,
    Index,
    Literal,
    MapLiteral,
    MethodCall,
    Name,
    Property,
    Template,
    This,
)
from grammar.values import Char

_TEXT_SAFE = 64


def literal_value(k: FrameState, node: Literal, _own: bool) -> Operand:  # noqa: FBT001
    """Compile a literal."""
    if isinstance(node.value, Char):
        return Operand(k.unit.keep(node.value), "scalar")
    return Operand(emit.constant(node.value), literal_kind(node.value))


def name_value(k: FrameState, node: Name, _own: bool) -> Operand:  # noqa: FBT001
    """Compile a name: a variable, a name of the scope, or a function."""
    variable = k.unit.found.uses.get(node)
    if variable is not None:
        return read_variable(k, variable, node)
    name = emit.constant(node.name)
    if not k.frame.uses_scope:
        call = emit.call("function_value", emit.name("U"), name, line=k.line(node))
        return k.set_temp(call, "scalar")
    if node.name in k.unit.found.function_names:
        call = emit.call("scope_or_function", emit.name("s"), emit.name("U"), name)
        return k.set_temp(call)
    known = k.scope_reads.get(node.name)
    if known is None:
        read = k.set_temp(emit.item(emit.name("s"), name, line=k.line(node)))
        assert isinstance(read.expr, ast.Name)  # noqa: S101 - set_temp gives names
        known = k.scope_reads[node.name] = read.expr.id
    return Operand(emit.name(known))


def read_variable(k: FrameState, variable: Variable, node: Any) -> Operand:
    """Read a variable, from its cell if it is captured."""
    kind = variable_kind(k, variable)
    if kind not in SCALARS:
        kind = OWNED if variable.is_owned else k.item_kinds.get(variable)
    expr: ast.expr = emit.name(variable.code_name)
    if variable.is_captured:
        expr = emit.item(expr, emit.constant(0))
    if variable.is_host:
        call = emit.call("present", expr, emit.constant(variable.name), line=k.line(node))
        return k.set_temp(call, kind)
    return k.set_temp(expr, kind) if variable.is_captured else Operand(expr, kind)


def write_variable(k: FrameState, variable: Variable, value: ast.expr) -> None:
    """Assign a variable, in its cell if it is captured."""
    name = emit.name(variable.code_name)
    if variable.is_captured:
        k.add(emit.store_item(name, emit.constant(0), value))
    else:
        k.add(emit.store(variable.code_name, value))


def bind_variable(k: FrameState, variable: Variable, value: ast.expr) -> None:
    """Begin a variable's life: a captured one gets a new cell."""
    k.add(emit.store(variable.code_name, emit.array([value]) if variable.is_captured else value))


def this_value(k: FrameState, node: This, _own: bool) -> Operand:  # noqa: FBT001
    """Compile `this`."""
    return k.set_temp(emit.call("this_value", emit.name("t"), line=k.line(node)), OWNED)


def array_value(k: FrameState, node: ArrayLiteral, own: bool) -> Operand:  # noqa: FBT001
    """Compile an array literal."""
    items = _elements(k, node.items, own=own)
    return _container(k, emit.array([item.expr for item in items]), items, node)


def map_value(k: FrameState, node: MapLiteral, own: bool) -> Operand:  # noqa: FBT001
    """Compile a map literal."""
    items = _elements(k, [value for _, value in node.entries], own=own)
    keys = [emit.constant(key) for key, _ in node.entries]
    return _container(k, emit.mapping(keys, [item.expr for item in items]), items, node)


def _elements(k: FrameState, nodes: Any, *, own: bool) -> list[Operand]:
    items = k.operands(nodes, keep=True)
    return [k.own(item) for item in items] if own else items


def _container(k: FrameState, built: ast.expr, items: list[Operand], node: Any) -> Operand:
    kind = "fresh" if all(item.kind in FRESH for item in items) else None
    light = all(
        item.kind in ("int", "float", "num", "bool", "unit")
        or (isinstance(item.expr, ast.Constant) and len(str(item.expr.value)) < _TEXT_SAFE)
        for item in items
    )
    result = k.set_temp(built if light else k.run("sized", built, node=node), kind)
    result.is_plain = light and not any(item.kind == "scalar" for item in items)
    return result


def template_value(k: FrameState, node: Template, _own: bool) -> Operand:  # noqa: FBT001
    """Compile an interpolated text."""
    parts: list[ast.expr] = []
    for part in node.parts:
        if isinstance(part, str):
            parts.append(emit.constant(part))
            continue
        operand = k.value(part)
        if operand.kind == "str":
            parts.append(operand.expr)
        else:
            place = node if isinstance(part, Block) else part
            shown = k.set_temp(k.run("display", operand.expr, node=place))
            parts.append(shown.expr)
    return k.set_temp(k.run("join", emit.row(parts), node=node), "str")


def chain_value(k: FrameState, node: Any, _own: bool) -> Operand:  # noqa: FBT001
    """Compile a chain `base.a[b].c()`; behind a `?.` on unit the rest is skipped."""
    steps: list[Any] = []
    base = node
    while isinstance(base, Property | Index | MethodCall):
        steps.append(base)
        base = base.target
    steps.reverse()
    k.cost += len(steps)
    for at, step in enumerate(steps):
        if step.is_optional:
            break
        if isinstance(step, MethodCall):
            if may_change(k, step):
                return _steps(k, change_receiver(k, step), base, steps[at + 1 :])
            break
    return _steps(k, None, base, steps)


def _steps(k: FrameState, held: Operand | None, base: Any, steps: list[Any]) -> Operand:
    for at, step in enumerate(steps):
        receiver = held
        if step.is_optional:
            return _optional(k, receiver or k.value(base), steps[at:])
        target = receiver or k.value(base)
        is_call = isinstance(step, MethodCall)
        held = method_step(k, step, target) if is_call else _read(k, step, target)
    return held or k.value(base)


def _optional(k: FrameState, target: Operand, steps: list[Any]) -> Operand:
    if isinstance(target.expr, ast.Constant):
        target = k.set_temp(target.expr, target.kind)
    result = k.temp()
    k.add(emit.store(result, emit.constant(None)))
    with k.block() as body:
        step = steps[0]
        is_call = isinstance(step, MethodCall)
        held = method_step(k, step, target) if is_call else _read(k, step, target)
        held = _steps(k, held, None, steps[1:])
        k.add(emit.store(result, held.expr))
    k.add(emit.when(emit.compare(target.expr, "is not", emit.constant(None)), body))
    return Operand(emit.name(result), held.kind)


def _read(k: FrameState, step: Any, target: Operand) -> Operand:
    kind = OWNED if target.kind == OWNED else None
    if isinstance(target.expr, ast.Constant):
        target = k.set_temp(target.expr, target.kind)
    if isinstance(step, Property):
        return k.set_temp(read_key(k, target.expr, step.name, "get_property", step), kind)
    index = step.index
    if isinstance(index, Literal) and isinstance(index.value, str):
        return k.set_temp(read_key(k, target.expr, str(index.value), "get_index", step), kind)
    target = k.set_temp(target.expr, target.kind)
    key = k.value(index)
    return k.set_temp(emit.call("get_index", target.expr, key.expr, line=k.line(step)), kind)


def read_key(k: FrameState, target: ast.expr, key: str, slow: str, node: Any) -> ast.expr:
    """Read a key of what is probably a dict, inline."""
    constant = emit.constant(key)
    found = emit.choose(
        emit.compare(constant, "in", target), emit.item(target, constant), emit.constant(None)
    )
    is_map = emit.compare(k.type_of(target), "is", emit.name("dict"))
    return emit.choose(is_map, found, emit.call(slow, target, constant, line=k.line(node)))

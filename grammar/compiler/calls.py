"""Compiles calls and closures. In: nodes. Out: operands.

A receiver that may be changed is handed over in a cell, a list of one, so that a method can also
replace it. Refuses nothing.
"""

from __future__ import annotations

import ast
from typing import Any

from grammar.compiler import emit
from grammar.compiler.paths import target_path
from grammar.compiler.state import OWNED, FrameState, Operand
from grammar.syntax import Call, Closure, Group, Index, Literal, MethodCall, Name, Property, This


def call_value(k: FrameState, node: Call, _own: bool) -> Operand:  # noqa: FBT001
    """Compile `name(…)`."""
    found = k.unit.found
    if node in found.defined:
        return _is_defined(k, node)
    function = found.functions.get((node.name, len(node.arguments)))
    if function is None and _is_change(k, node):
        return _change(k, node)
    arguments = k.operands(node.arguments, keep=True)
    kind = OWNED if any(item.kind == OWNED for item in arguments) else None
    values = [item.expr for item in arguments]
    if function is not None:
        return _direct(k, node, function, values)
    called = emit.call(
        "call_named", k.budget(), k.calls(), emit.name("U"), emit.constant(node.name),
        emit.row(values), line=k.line(node),
    )  # fmt: skip
    return k.set_temp(called, kind)


def _direct(k: FrameState, node: Call, function: Any, values: list[ast.expr]) -> Operand:
    frame = k.unit.found.frames[function]
    below = k.calls_below(frame)
    called = emit.call(
        f"f{frame.number}", k.budget(), below, emit.constant(None), *values, line=k.line(node)
    )
    return k.set_temp(called)


def _is_defined(k: FrameState, node: Call) -> Operand:
    known = k.unit.found.defined[node]
    if known is not None:
        return Operand(emit.constant(known), "bool")
    argument = node.arguments[0]
    assert isinstance(argument, Literal)  # noqa: S101 - the resolver noted only these
    return k.set_temp(
        emit.call("is_in_scope", emit.name("s"), emit.constant(str(argument.value))), "bool"
    )


def _is_change(k: FrameState, node: Call) -> bool:
    return (
        node.name in k.unit.mutators
        and bool(node.arguments)
        and root_of(node.arguments[0]) is not None
    )


def _change(k: FrameState, node: Call) -> Operand:
    """Compile `push(a, 1)`: the function may change its first argument in place."""
    arguments = [item.expr for item in k.operands(node.arguments[1:], keep=True)]
    root = root_of(node.arguments[0])
    variable = k.unit.found.uses.get(root) if isinstance(root, Name) else None
    if variable is not None and variable.is_constant:
        first = k.copy(k.value(node.arguments[0]))
        values = emit.row([first.expr, *arguments])
        return k.set_temp(emit.call(
            "call_named", k.budget(), k.calls(), emit.name("U"), emit.constant(node.name),
            values, line=k.line(node),
        ))  # fmt: skip
    return change_target(k, node.arguments[0], node, "function_cell", arguments)


def root_of(node: Any) -> Name | This | None:
    """Find the variable at the root of a chain of properties and indexes, if there is one."""
    while isinstance(node, Property | Index | Group):
        node = node.inner if isinstance(node, Group) else node.target
    return node if isinstance(node, Name | This) else None


def may_change(k: FrameState, node: MethodCall) -> bool:
    """Tell whether a method call may change the variable at the root of its receiver."""
    root = root_of(node.target)
    if node.name not in k.unit.mutators and not k.unit.found.mutates_this:
        return False
    return isinstance(root, This) or (isinstance(root, Name) and root in k.unit.found.uses)


def method_step(k: FrameState, node: MethodCall, receiver: Operand) -> Operand:
    """Compile one method call of a chain on a receiver in hand."""
    if not isinstance(receiver.expr, ast.Constant):
        receiver = k.set_temp(receiver.expr, receiver.kind)
    arguments = k.operands(node.arguments, keep=True)
    kind = OWNED if OWNED in (receiver.kind, *(item.kind for item in arguments)) else None
    called = emit.call(
        "method", k.budget(), k.calls(), emit.name("U"), receiver.expr, emit.constant(node.name),
        emit.row([item.expr for item in arguments]), line=k.line(node),
    )  # fmt: skip
    return k.set_temp(called, kind)


def change_receiver(k: FrameState, node: MethodCall) -> Operand:
    """Compile a method call that may change or replace its receiver."""
    root = root_of(node.target)
    variable = k.unit.found.uses.get(root) if isinstance(root, Name) else None
    arguments = [item.expr for item in k.operands(node.arguments, keep=True)]
    if variable is not None and variable.is_constant:
        receiver = k.copy(k.value(node.target))
        called = emit.call(
            "constant_method", k.budget(), k.calls(), emit.name("U"), receiver.expr,
            emit.constant(node.name), emit.row(arguments), line=k.line(node),
        )  # fmt: skip
        return k.set_temp(called)
    return change_target(k, node.target, node, "method_cell", arguments)


def change_target(
    k: FrameState, target: Any, node: Any, function: str, arguments: list[ast.expr]
) -> Operand:
    """Compile a call that may change or replace the value at the end of a chain."""
    root, kinds, keys = target_path(k, target)
    cell, store_back = root_cell(k, root)
    name, values = emit.constant(node.name), emit.row(arguments)
    line = k.line(node)
    if kinds:
        path = (emit.constant(function), cell, emit.constant(kinds), emit.row(keys))
        called = emit.call(
            "change_path", k.budget(), k.calls(), emit.name("U"), emit.row(path), name, values,
            line=line,
        )  # fmt: skip
    else:
        called = emit.call(
            function, k.budget(), k.calls(), emit.name("U"), cell, name, values, line=line
        )
    result = k.set_temp(called, OWNED)
    if store_back is not None:
        k.add(emit.store(store_back, emit.item(cell, emit.constant(0))))
    return result


def root_cell(k: FrameState, root: Any) -> tuple[ast.expr, str | None]:
    """Put the root of a chain into a cell; give the cell, and the local to write back to."""
    if isinstance(root, This):
        return emit.call("this_cell", emit.name("t"), line=k.line(root)), None
    variable = k.unit.found.uses[root]
    name = emit.name(variable.code_name)
    if variable.is_host:
        held: ast.expr = emit.item(name, emit.constant(0)) if variable.is_captured else name
        k.add(emit.effect(
            emit.call("present", held, emit.constant(variable.name), line=k.line(root))
        ))  # fmt: skip
    if variable.is_captured:
        return name, None
    cell = k.set_temp(emit.array([name]))
    return cell.expr, variable.code_name


def closure_value(k: FrameState, node: Closure, _own: bool) -> Operand:  # noqa: FBT001
    """Compile the making of a closure: its code, and the cells it shares."""
    frame = k.unit.found.frames[node]
    bound: list[ast.expr] = [emit.name("s")] if frame.uses_scope else []
    bound += [emit.name(variable.code_name) for variable in frame.captures]
    code = emit.name(f"f{frame.number}")
    variants = emit.mapping([emit.constant(len(node.parameters))], [code])
    made = emit.call(
        "Function", emit.constant(f"anon${frame.number}"), variants, emit.row(bound),
        emit.row([]), emit.constant(True),
    )  # fmt: skip
    return k.set_temp(made, "scalar")

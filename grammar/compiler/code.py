"""Compiles a resolved tree. In: the tree and its Resolution. Out: one code object and its spans.

Refuses (FlowSyntaxError): nesting that CPython's own compiler would not take.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import CodeType
from typing import Any, Final

from grammar.compiler import access, calls, control, emit, operators, switches, targets
from grammar.compiler.kinds import own_grown_variables
from grammar.compiler.state import FrameState, Table, Unit
from grammar.errors import FlowSyntaxError
from grammar.resolver.model import Frame
from grammar.span import SourceText, Span
from grammar.syntax import (
    ArrayLiteral,
    Assign,
    Binary,
    Block,
    Call,
    Closure,
    Do,
    For,
    Group,
    If,
    Index,
    Jump,
    Let,
    Literal,
    Logical,
    MapLiteral,
    MethodCall,
    Name,
    Property,
    RangeOf,
    Script,
    Switch,
    Template,
    This,
    Try,
    Unary,
    While,
)

_TABLE: Final = Table(
    values={
        Literal: access.literal_value, Name: access.name_value, This: access.this_value,
        Group: operators.group_value, ArrayLiteral: access.array_value,
        MapLiteral: access.map_value, Template: access.template_value,
        Closure: calls.closure_value, Unary: operators.unary_value,
        Binary: operators.binary_value, Logical: operators.logical_value,
        RangeOf: operators.range_value, Property: access.chain_value, Index: access.chain_value,
        MethodCall: access.chain_value, Call: calls.call_value, Block: control.block_value,
        If: control.if_value, Switch: switches.switch_value, While: control.while_value,
        Do: control.do_value, For: control.for_value, Let: control.effect_value,
        Assign: control.effect_value, Jump: control.effect_value, Try: control.try_value,
    },
    effects={
        Block: control.block_effect, If: control.if_effect, Switch: switches.switch_effect,
        Let: control.let_effect, Assign: targets.assign_effect, Jump: control.jump_effect,
    },
)  # fmt: skip


_JSON_KINDS: Final = frozenset(("int", "float", "num", "bool", "str", "unit"))


@dataclass(frozen=True, slots=True)
class CompiledText:
    """A code object that defines `f0` (the script) and one function for each other frame."""

    code: CodeType
    spans: tuple[Span, ...]
    constants: Mapping[str, Any]
    functions: Mapping[tuple[str, int], str]
    function_names: Mapping[str, str]
    names: frozenset[str]
    cost: int
    uses_budget: bool
    mutates_this: bool
    variables: frozenset[str]
    """Every name that is a variable somewhere: for suggestions."""
    is_plain: bool
    """The result is surely JSON data of its own."""


def compile_tree(tree: Script, source: SourceText, unit: Unit) -> CompiledText:
    """Compile every frame of a tree."""
    found = unit.found
    assert found.main is not None  # noqa: S101 - the resolver always sets it
    own_grown_variables(unit)
    unit.assigned.update(
        item.code_name for item in found.uses.values() if item.is_assigned or item.is_owned
    )
    main = _frame(unit, found.main, tree.statements)
    shown: dict[str, str] = {}
    for node, frame in found.frames.items():
        body = node.body.statements if isinstance(node.body, Block) else (node.body,)
        _frame(unit, frame, body)
        shown[f"f{frame.number}"] = "" if isinstance(node, Closure) else node.name
    for amount, callee in unit.payments:
        assert isinstance(amount.value, int)  # noqa: S101 - an amount of operations
        amount.value += unit.costs[callee]
    module = ast.Module(list(unit.functions), [])
    try:
        code = compile(module, source.name, "exec", dont_inherit=True, optimize=2)
    except (RecursionError, MemoryError, SyntaxError):
        raise FlowSyntaxError("The text nests too deeply", span=tree.span, source=source) from None
    return CompiledText(
        code=code,
        spans=tuple(unit.spans),
        constants=unit.constants,
        functions={key: f"m{found.frames[node].number}" for key, node in found.functions.items()},
        function_names=shown,
        names=frozenset(found.names),
        cost=main.cost,
        uses_budget=main.uses_budget,
        mutates_this=found.mutates_this,
        variables=frozenset(item.name for item in found.uses.values()),
        is_plain=main.is_plain and not main.returns_early,
    )


def _frame(unit: Unit, frame: Frame, statements: Sequence[Any]) -> FrameState:
    k = FrameState(unit, frame, _TABLE)
    is_main = frame.node is None
    amount = ast.Constant(1, lineno=1, col_offset=0)
    for host in frame.hosts:
        read = emit.call("host_copy", k.budget(), emit.name("s"), emit.constant(host.name))
        access.bind_variable(k, host, read)
    parameters = [] if is_main else list(frame.node.parameters)
    for parameter in parameters:
        _parameter(k, parameter)
    if is_main:
        k.add(emit.give(_result(k, statements)))
    else:
        control.sequence_tail(k, statements)
    prologue = _prologue(k, amount, is_main=is_main)
    amount.value = k.cost
    if is_main:
        names = ["c", "s"]
    else:
        names = ["c", "d", "t"] + (["s"] if frame.uses_scope else [])
        names += [variable.code_name for variable in frame.captures]
        names += [unit.found.uses[item].code_name for item in parameters]
    number = "f0" if is_main else f"f{frame.number}"
    unit.functions.append(emit.function(number, names, [*prologue, *k.body]))
    if frame.is_function:
        unit.costs[frame] = k.cost
        unit.functions.append(_paying(frame, names, k.cost))
    return k


def _paying(frame: Frame, names: Sequence[str], cost: int) -> ast.FunctionDef:
    """Define the form of a function that pays for itself, for callers that did not."""
    call = emit.call(f"f{frame.number}", *map(emit.name, names))
    body = [*emit.payment(emit.constant(cost)), emit.give(call)]
    return emit.function(f"m{frame.number}", names, body)


def _parameter(k: FrameState, parameter: Name) -> None:
    variable = k.unit.found.uses[parameter]
    variable.sources[:] = [None]
    value: ast.expr = emit.name(variable.code_name)
    if variable.is_owned:
        value = emit.call("copy_value", k.budget(), value)
    if variable.is_owned or variable.is_captured:
        access.bind_variable(k, variable, value)


def _result(k: FrameState, statements: Sequence[Any]) -> ast.expr:
    value = control.sequence_value(k, statements, own=False)
    k.is_plain = value.is_plain or value.kind in _JSON_KINDS
    return value.expr


def _prologue(k: FrameState, amount: ast.Constant, *, is_main: bool) -> list[ast.stmt]:
    with k.block() as body:
        if is_main and k.frame.uses_this:
            k.add(emit.store("t", emit.constant(None)))
        if is_main and not k.uses_budget:
            return body
        if not k.frame.is_function:
            k.body.extend(emit.payment(amount))
        if is_main and k.uses_calls:
            levels = emit.attribute(emit.attribute(emit.name("c"), "limits"), "call_levels")
            k.add(emit.store("d", levels))
    return body

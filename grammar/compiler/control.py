"""Compiles statements, blocks and control flow. In: nodes. Out: statements and operands.

Each branch adds at most its own cost: a block is charged for its most expensive path. Refuses
nothing.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Any, Final, Self

from grammar.compiler import emit
from grammar.compiler.access import bind_variable
from grammar.compiler.operators import condition, joined_kind
from grammar.compiler.state import FRESH, OWNED, FrameState, Operand
from grammar.syntax import Block, Do, For, If, Jump, Let, Try, While

_TAIL: Final = "return"
"""In place of the name of a result: each branch gives its value back at once."""


def unit() -> Operand:
    """Give the value of what has none."""
    return Operand(emit.constant(None), "unit")


def sequence_value(k: FrameState, statements: Sequence[Any], own: bool) -> Operand:  # noqa: FBT001
    """Compile statements for the value of the last one."""
    for statement in statements[:-1]:
        k.effect(statement)
    return k.value(statements[-1], own) if statements else unit()


def sequence_effect(k: FrameState, statements: Sequence[Any]) -> None:
    """Compile statements for their effects."""
    for statement in statements:
        k.effect(statement)


def sequence_tail(k: FrameState, statements: Sequence[Any]) -> None:
    """Compile statements for the value of the last one, which the function gives back."""
    for statement in statements[:-1]:
        k.effect(statement)
    last = statements[-1] if statements else None
    if isinstance(last, If):
        k.cost += 1
        _if(k, last, _TAIL, own=False)
    elif isinstance(last, Block):
        sequence_tail(k, last.statements)
    else:
        value = unit() if last is None else k.shared(last)
        k.add(emit.give(value.expr))


def effect_value(k: FrameState, node: Any, _own: bool) -> Operand:  # noqa: FBT001
    """Compile a node whose value is unit."""
    k.table.effects[type(node)](k, node)
    return unit()


def block_value(k: FrameState, node: Block, own: bool) -> Operand:  # noqa: FBT001
    """Compile a block for its value."""
    return sequence_value(k, node.statements, own)


def block_effect(k: FrameState, node: Block) -> None:
    """Compile a block for its effects."""
    sequence_effect(k, node.statements)


def branch(
    k: FrameState, result: str | None, node: Any, *, own: bool
) -> tuple[list[ast.stmt], str | None]:
    """Compile one branch into a block; its value goes into `result`."""
    with k.block() as body:
        if result is None:
            k.effect(node)
            return body, None
        if result is _TAIL:
            sequence_tail(k, (node,))
            return body, None
        value = k.owned(node) if own else k.shared(node)
        k.add(emit.store(result, value.expr))
    return body, value.kind


def let_effect(k: FrameState, node: Let) -> None:
    """Compile `let` and `const`."""
    variable = k.unit.found.uses[node.name]
    if node.value is None:
        bind_variable(k, variable, emit.constant(None))
        return
    value = k.owned(node.value) if variable.is_owned else k.shared(node.value)
    bind_variable(k, variable, value.expr)


def if_value(k: FrameState, node: If, own: bool) -> Operand:  # noqa: FBT001
    """Compile `if` for its value."""
    result = k.temp()
    kind = _if(k, node, result, own)
    return Operand(emit.name(result), kind)


def if_effect(k: FrameState, node: If) -> None:
    """Compile `if` for its effects."""
    _if(k, node, None, own=False)


def _if(k: FrameState, node: If, result: str | None, own: bool) -> str | None:  # noqa: FBT001
    outer, reads, types, start = k.body, k.scope_reads, k.types, k.cost
    kinds: list[str | None] = []
    dearest = 0
    k.scope_reads, k.types = dict(reads), dict(types)
    for test_node, block in node.branches:
        test = condition(k, test_node)
        before = k.cost
        body, kind = branch(k, result, block, own=own)
        kinds.append(kind)
        dearest, k.cost = max(dearest, k.cost - before), before
        otherwise: list[ast.stmt] = []
        k.add(_If(test, body, otherwise))
        k.body = otherwise
    before = k.cost
    if node.otherwise is not None:
        body, kind = branch(k, result, node.otherwise, own=own)
        k.body.extend(body)
        kinds.append(kind)
    elif result is _TAIL:
        k.add(emit.give(emit.constant(None)))
    elif result is not None:
        k.add(emit.store(result, emit.constant(None)))
        kinds.append("unit")
    k.cost = max(before + dearest, k.cost, start)
    k.body, k.scope_reads, k.types = outer, reads, types
    return _joined(kinds)


def _If(test: ast.expr, body: list[ast.stmt], otherwise: list[ast.stmt]) -> ast.If:  # noqa: N802
    """Build an `if` whose else part is filled afterwards."""
    made = emit.when(test, body)
    made.orelse = otherwise
    return made


def _joined(kinds: list[str | None]) -> str | None:
    kind = kinds[0]
    for other in kinds[1:]:
        kind = joined_kind(kind, other)
    return kind


def while_value(k: FrameState, node: While, _own: bool) -> Operand:  # noqa: FBT001
    """Compile `while` and `loop`; `break v` gives the value."""
    result = _begin_loop(k)
    with _Turn(k) as turn:
        if node.condition is not None:
            test = condition(k, node.condition)
            k.add(emit.when(emit.negation(test), [emit.leave()]))
        k.effect(node.body)
    k.add(emit.forever(turn.body))
    return Operand(emit.name(result))


def do_value(k: FrameState, node: Do, _own: bool) -> Operand:  # noqa: FBT001
    """Compile `do`: the test stands before every turn but the first, so `continue` reaches it."""
    result = _begin_loop(k)
    first = k.temp()
    k.add(emit.store(first, emit.constant(True)))
    with _Turn(k) as turn:
        with k.block() as check:
            test = condition(k, node.condition)
            stop = test if node.is_until else emit.negation(test)
            k.add(emit.when(stop, [emit.leave()]))
        k.add(emit.when(emit.name(first), [emit.store(first, emit.constant(False))], check))
        k.effect(node.body)
    k.add(emit.forever(turn.body))
    return Operand(emit.name(result))


def for_value(k: FrameState, node: For, _own: bool) -> Operand:  # noqa: FBT001
    """Compile `for`: over a snapshot, with a fresh copy of each item."""
    source = k.value(node.iterable)
    result = _begin_loop(k)
    item = k.unit.found.uses[node.item]
    counter = k.unit.found.uses[node.counter] if node.counter is not None else None
    is_shared = source.kind == OWNED
    values = k.set_temp(emit.call(
        "iterate_copy" if is_shared else "iterate", source.expr, line=k.line(node.iterable)
    ))  # fmt: skip
    for variable in (item, counter):
        if variable is not None and variable.is_captured:
            bind_variable(k, variable, emit.constant(None))
    count = k.temp()
    if counter is not None:
        k.add(emit.store(count, emit.constant(-1)))
    held = k.temp()
    with _Turn(k) as turn:
        value: ast.expr = emit.name(held)
        if is_shared or item.is_owned:
            value = emit.call("copy_value", k.budget(), value)
        _set(k, item, value)
        if counter is not None:
            k.add(emit.store(count, emit.binary(emit.name(count), "+", emit.constant(1))))
            _set(k, counter, emit.name(count))
        k.effect(node.body)
    k.add(emit.each(held, values.expr, turn.body))
    return Operand(emit.name(result))


def _set(k: FrameState, variable: Any, value: ast.expr) -> None:
    if variable.is_captured:
        k.add(emit.store_item(emit.name(variable.code_name), emit.constant(0), value))
    else:
        k.add(emit.store(variable.code_name, value))


def _begin_loop(k: FrameState) -> str:
    result = k.temp()
    k.add(emit.store(result, emit.constant(None)))
    k.breaks.append(result)
    return result


class _Turn:
    """Compiles the body of a loop: one turn pays for itself."""

    def __init__(self, k: FrameState) -> None:
        self._k = k
        self.body: list[ast.stmt] = []

    def __enter__(self) -> Self:
        k = self._k
        k.budget()
        self._outer, self._reads, self._cost = k.body, k.scope_reads, k.cost
        self._types, k.types = k.types, dict(k.types)
        k.types.pop("d", None)
        self._amount = ast.Constant(1, lineno=1, col_offset=0)
        k.body, k.scope_reads, k.cost = self.body, dict(k.scope_reads), 1
        k.body.extend(emit.payment(self._amount))
        return self

    def __exit__(self, *_: object) -> None:
        k = self._k
        self._amount.value = k.cost
        k.body, k.scope_reads, k.cost = self._outer, self._reads, self._cost + 1
        k.types = self._types
        k.breaks.pop()


def jump_effect(k: FrameState, node: Jump) -> None:
    """Compile `return`, `throw`, `break`, `continue`."""
    if node.kind == "return":
        k.returns_early = True
        k.add(emit.give(_result(k, node)))
    elif node.kind == "throw":
        _throw(k, node)
    elif node.kind == "continue":
        k.add(emit.again())
    else:
        result = k.breaks[-1]
        if node.value is not None and result is not None:
            k.add(emit.store(result, k.shared(node.value).expr))
        k.add(emit.leave())


def _result(k: FrameState, node: Jump) -> ast.expr:
    return emit.constant(None) if node.value is None else k.shared(node.value).expr


def _throw(k: FrameState, node: Jump) -> None:
    if node.value is None and k.errors:
        k.add(emit.fail(emit.name(k.errors[-1])))
        return
    value = k.shared(node.value) if node.value is not None else unit()
    k.add(emit.fail(k.run("throw", value.expr, node=node)))


def try_value(k: FrameState, node: Try, own: bool) -> Operand:  # noqa: FBT001
    """Compile `try`: limit errors pass, every other error of a script is caught."""
    result = k.temp()
    body, kind = branch(k, result, node.body, own=own)
    held = k.temp()
    with k.block() as caught:
        k.add(emit.store(held, k.run("caught", emit.name("e"), emit.name("U"), node=node)))
        value = emit.call("error_value", k.budget(), emit.name(held), emit.name("U"))
        if node.error is not None:
            variable = k.unit.found.uses[node.error]
            if variable.is_owned:
                value = emit.call("copy_value", k.budget(), value)
            bind_variable(k, variable, value)
        k.errors.append(held)
        handled, handler_kind = branch(k, result, node.handler, own=own)
        k.errors.pop()
        k.body.extend(handled)
    k.add(emit.attempt(body, [
        emit.handler("UNCATCHABLE", None, [emit.rethrow()]),
        emit.handler("CATCHABLE", "e", caught),
    ]))  # fmt: skip
    if kind is not None and handler_kind is not None and {kind, handler_kind} <= FRESH:
        return Operand(emit.name(result), joined_kind(kind, handler_kind))
    return Operand(emit.name(result))

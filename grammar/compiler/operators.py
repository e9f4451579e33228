"""Compiles operators. In: operands. Out: code that handles numbers inline and calls for the rest.

Refuses nothing. The inline paths are exact only for the types their guards name.
"""

from __future__ import annotations

import ast
import math
from typing import Any, Final

from grammar.compiler import emit
from grammar.compiler.kinds import operator_kind
from grammar.compiler.state import NUMBERS, FrameState, Operand
from grammar.runtime.comparison import near
from grammar.syntax import Binary, Group, Literal, Logical, RangeOf, Unary

_RUNTIME: Final = {
    "+": "add", "-": "subtract", "*": "multiply", "/": "divide", "%": "remainder", "**": "power",
    "<<": "shift_left", ">>": "shift_right", "&": "bit_and", "|": "bit_or", "^": "bit_xor",
    "==": "equal", "!=": "unequal",
}  # fmt: skip
_ORDER: Final = {"<": "less", "<=": "less_equal", ">": "greater", ">=": "greater_equal"}
_TESTS: Final = frozenset(("==", "!=", *_ORDER))
_UNARY: Final = {"-": "negate", "+": "plus", "!": "invert"}
_EXACT_MAX: Final = 2**53
_SMALL_MAX: Final = 2**30 - 1
"""One digit of a CPython integer. Beyond it the runtime checks the result against 64 bits."""
_NEIGHBOURS_MAX: Final = 8
_INLINE: Final = frozenset("+-*")


def binary_value(k: FrameState, node: Binary, _own: bool) -> Operand:  # noqa: FBT001
    """Compile a binary operator."""
    if node.operator == "contains":
        b, a = k.operands((node.left, node.right), keep=False)
    else:
        a, b = k.operands((node.left, node.right), keep=False)
    return apply_binary(k, node.operator, a, b, node)


def apply_binary(k: FrameState, operator: str, a: Operand, b: Operand, node: Any) -> Operand:
    """Compile an operator on two operands in hand."""
    if operator in ("in", "contains", "!in"):
        function = "has" if operator == "contains" else "is_in"
        found = k.run(function, a.expr, b.expr, node=node)
        return k.set_temp(emit.negation(found) if operator == "!in" else found, "bool")
    if operator in _TESTS:
        return k.set_temp(_test(k, operator, a, b, node), "bool")
    if operator in _INLINE or (operator == "/" and _is_nonzero_float(b)):
        return _arithmetic(k, operator, a, b, node)
    kind = operator_kind(operator, a.kind, b.kind)
    return k.set_temp(k.run(_RUNTIME[operator], a.expr, b.expr, node=node), kind)


def _is_nonzero_float(operand: Operand) -> bool:
    value = operand.expr.value if isinstance(operand.expr, ast.Constant) else None
    return type(value) is float and value != 0 and value == value  # noqa: PLR0124 - NaN


def _number_test(k: FrameState, operand: Operand) -> ast.expr | None:
    if operand.kind in NUMBERS:
        return None
    kind = k.type_of(operand.expr)
    return emit.any_of(
        emit.compare(kind, "is", emit.name("int")), emit.compare(kind, "is", emit.name("float"))
    )


def _arithmetic(k: FrameState, operator: str, a: Operand, b: Operand, node: Any) -> Operand:
    kind = operator_kind(operator, a.kind, b.kind)
    tests = [test for test in (_number_test(k, a), _number_test(k, b)) if test is not None]
    result = k.temp()
    line = k.line(node)
    slow = emit.store(result, emit.call(_RUNTIME[operator], k.budget(), a.expr, b.expr, line=line))
    fast: list[ast.stmt] = [emit.store(result, emit.binary(a.expr, operator, b.expr, line=line))]
    if "float" not in (a.kind, b.kind):
        fast.append(emit.when(_is_large(emit.name(result), operator, b), [slow]))
    if tests:
        k.add(emit.when(emit.all_of(*tests), fast, [slow]))
    else:
        k.body.extend(fast)
    return Operand(emit.name(result), kind)


def _is_large(value: ast.expr, operator: str, b: Operand) -> ast.expr:
    """Test whether a result leaves the range in which CPython compares fastest.

    Adding or subtracting a small constant can only leave it on one side. (A host's integer beyond
    64 bits may so stay beyond; every other operation refuses it.)
    """
    below = emit.compare(value, "<", emit.constant(-_SMALL_MAX))
    above = emit.compare(value, ">", emit.constant(_SMALL_MAX))
    step = _constant_of(b)
    if type(step) is int and operator in ("+", "-"):
        return above if (operator == "+") == (step >= 0) else below
    return emit.any_of(below, above)


def _constant_of(operand: Operand) -> Any:
    return operand.expr.value if isinstance(operand.expr, ast.Constant) else ...


def _is_exact(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) < _EXACT_MAX


def _test(k: FrameState, operator: str, a: Operand, b: Operand, node: Any) -> ast.expr:
    compiler = _comparison if operator in _ORDER else _equality
    return compiler(k, operator, a, b, node)


def _equality(k: FrameState, operator: str, a: Operand, b: Operand, node: Any) -> ast.expr:
    for one, other in ((a, b), (b, a)):
        value = _constant_of(other)
        if value is None or type(value) is bool:
            return _identity(k, operator, one, other)
        if type(value) is str:
            return emit.compare(one.expr, operator, other.expr)
    direct = emit.compare(a.expr, operator, b.expr)
    if (a.kind == b.kind and a.kind in ("int", "str", "bool")) or "str" in (a.kind, b.kind):
        return direct
    slow = k.run(_RUNTIME[operator], a.expr, b.expr, node=node)
    for one, other in ((a, b), (b, a)):
        if type(_constant_of(other)) is int:
            is_int = emit.compare(k.type_of(one.expr), "is", emit.name("int"))
            return emit.choose(is_int, direct, slow)
    is_text = emit.compare(k.type_of(a.expr), "is", emit.name("str"))
    return emit.choose(is_text, direct, slow)


def _identity(k: FrameState, operator: str, one: Operand, other: Operand) -> ast.expr:
    """Compare with unit, true or false: each is one object."""
    if isinstance(one.expr, ast.Constant):
        one = k.set_temp(one.expr, one.kind)
    sign = "is" if operator == "==" else "is not"
    return emit.compare(one.expr, sign, other.expr)


def _comparison(k: FrameState, operator: str, a: Operand, b: Operand, node: Any) -> ast.expr:
    """Compare integers inline, and numbers with a constant; floats go by `near`."""
    direct = emit.compare(a.expr, operator, b.expr)
    if a.kind == b.kind == "int":
        return direct
    slow = emit.call(_ORDER[operator], a.expr, b.expr, line=k.line(node))
    value = _constant_of(b)
    if _is_exact(value):
        return _with_constant(k, operator, a, (value, slow))
    first = k.type_of(a.expr)
    same = emit.all_of(
        emit.compare(first, "is", emit.name("int")),
        emit.compare(k.type_of(b.expr), "is", emit.name("int")),
    )
    return emit.choose(same, direct, slow)


def _with_constant(
    k: FrameState, operator: str, a: Operand, other: tuple[int | float, ast.expr]
) -> ast.expr:
    value, slow = other
    direct = emit.compare(a.expr, operator, emit.constant(value))
    edge = emit.compare(a.expr, operator, emit.constant(threshold(operator, value)))
    if a.kind == "float":
        return edge
    if a.kind == "int":
        return direct if type(value) is int else edge
    kind = k.type_of(a.expr)
    rest = emit.choose(emit.compare(kind, "is", emit.name("float")), edge, slow)
    is_int = emit.compare(kind, "is", emit.name("int"))
    exact = direct if type(value) is int else edge
    return emit.choose(is_int, exact, rest)


def threshold(operator: str, value: float) -> float:
    """Move a constant to the last float that still counts as equal to it, on the right side."""
    bound = float(value)
    towards = math.inf if operator in (">", "<=") else -math.inf
    moved = bound
    for _ in range(_NEIGHBOURS_MAX):  # pragma: no branch - a few neighbours are all there are
        following = math.nextafter(moved, towards)
        if bound == 0 or not near(following, bound):
            break
        moved = following
    return moved


def unary_value(k: FrameState, node: Unary, _own: bool) -> Operand:  # noqa: FBT001
    """Compile a prefix operator."""
    operand = k.value(node.operand)
    if node.operator == "!" and operand.kind == "bool":
        return k.set_temp(emit.negation(operand.expr), "bool")
    kind = "bool" if node.operator == "!" else operand.kind if operand.kind in NUMBERS else "num"
    return k.set_temp(k.run(_UNARY[node.operator], operand.expr, node=node), kind)


def condition(k: FrameState, node: Any) -> ast.expr:
    """Compile a node that must be a boolean, for a test that follows at once."""
    while isinstance(node, Group):
        node = node.inner
    if isinstance(node, Binary) and node.operator in _TESTS:
        k.cost += 1
        a, b = k.operands((node.left, node.right), keep=False)
        return _test(k, node.operator, a, b, node)
    return truth(k, k.value(node), node)


def truth(k: FrameState, operand: Operand, node: Any) -> ast.expr:
    """Check that a value is a boolean."""
    if operand.kind == "bool":
        return operand.expr
    return emit.call("need_bool", operand.expr, line=k.line(node))


def logical_value(k: FrameState, node: Logical, own: bool) -> Operand:  # noqa: FBT001
    """Compile `&&`, `||`, `??`: the right side becomes a block of its own."""
    if node.operator == "??":
        return _or_else(k, node, own)
    result = k.temp()
    k.add(emit.store(result, condition(k, node.left)))
    with k.block() as body:
        k.add(emit.store(result, condition(k, node.right)))
    test: ast.expr = emit.name(result)
    k.add(emit.when(test if node.operator == "&&" else emit.negation(test), body))
    return Operand(emit.name(result), "bool")


def _or_else(k: FrameState, node: Logical, own: bool) -> Operand:  # noqa: FBT001
    left = k.owned(node.left) if own else k.shared(node.left)
    result = k.temp()
    k.add(emit.store(result, left.expr))
    with k.block() as body:
        right = k.owned(node.right) if own else k.shared(node.right)
        k.add(emit.store(result, right.expr))
    k.add(emit.when(emit.compare(emit.name(result), "is", emit.constant(None)), body))
    return Operand(emit.name(result), joined_kind(left.kind, right.kind))


def joined_kind(first: str | None, second: str | None) -> str | None:
    """Give the kind of a value that comes from one of two places."""
    if first == second:
        return first
    if first in NUMBERS and second in NUMBERS:
        return "num"
    known = {"fresh", "bool", "str", "unit", "scalar", *NUMBERS}
    if first in known and second in known:
        return "fresh" if "fresh" in (first, second) else "scalar"
    return None


def range_value(k: FrameState, node: RangeOf, _own: bool) -> Operand:  # noqa: FBT001
    """Compile a range; an open one reaches only an index, which treats None as its end."""
    first, last = k.operands(
        (node.first or Literal(0, node.span), node.last or Literal(None, node.span)), keep=False
    )
    inclusive = emit.constant(node.is_inclusive)
    if node.last is None:
        return k.set_temp(emit.call("OpenRange", first.expr, inclusive), "scalar")
    made = emit.call("make_range", first.expr, last.expr, inclusive, line=k.line(node))
    return k.set_temp(made, "scalar")


def group_value(k: FrameState, node: Group, own: bool) -> Operand:  # noqa: FBT001
    """Compile parentheses."""
    return k.value(node.inner, own)

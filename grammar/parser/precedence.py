"""Groups operand lists. In: operands and operator tokens in turn. Out: one expression.

The powers are those of LANGUAGE.md section 2. Refuses (FlowSyntaxError): more than
CHAIN_MAX operators in one list, and a literal that is no bool beside `&&` or `||`.
"""

from __future__ import annotations

from typing import Any, Final

from grammar.errors import FlowSyntaxError
from grammar.parser.tokens import ScriptToken
from grammar.syntax import Binary, Expression, Literal, Logical, RangeOf

CHAIN_MAX: Final = 1_000
"""Operators in one list, and postfix steps in one chain: far above every depth limit."""

_POWERS: Final = {
    "||": 30, "|": 30, "^": 30, "&&": 60, "&": 60, "==": 90, "!=": 90, "in": 110, "!in": 110,
    "contains": 110, "<": 130, "<=": 130, ">": 130, ">=": 130, "??": 135, "..": 140, "..=": 140,
    "+": 150, "-": 150, "*": 180, "/": 180, "%": 180, "**": 190, "<<": 210, ">>": 210,
}  # fmt: skip
_LOGICAL: Final = frozenset(("&&", "||", "??"))


def group_operands(items: list[Any]) -> Expression:
    """Climb a list `[operand, operator, operand, …]`; it may begin with a range operator."""
    if len(items) == 1:
        only: Expression = items[0]
        return only
    if len(items) > 2 * CHAIN_MAX:
        token = items[2 * CHAIN_MAX - 1]
        span = token.span
        raise FlowSyntaxError("Expression exceeds maximum complexity", span=span)
    if isinstance(items[0], ScriptToken):
        items = [Literal(0, items[0].span), *items]
    operands: list[Any] = [items[0]]
    operators: list[ScriptToken] = []
    for at in range(1, len(items), 2):
        operator = items[at]
        power = _POWERS[operator.value]
        while operators and _binds_first(operators[-1].value, power):
            _join(operands, operators.pop())
        operators.append(operator)
        operands.append(items[at + 1])
    while operators:
        _join(operands, operators.pop())
    result: Expression = operands[0]
    return result


def _binds_first(left: str, power: int) -> bool:
    return _POWERS[left] >= power and not (left == "**" and power == _POWERS["**"])


def _join(operands: list[Any], token: ScriptToken) -> None:
    right, left = operands.pop(), operands.pop()
    operator, span = token.value, left.span.until(right.span)
    if operator in _LOGICAL:
        if operator != "??":
            _need_bool(left)
            _need_bool(right)
        operands.append(Logical(operator, left, right, span))
    elif operator in ("..", "..="):
        operands.append(RangeOf(left, right, operator == "..=", span))
    else:
        operands.append(Binary(operator, left, right, span))


def _need_bool(side: Expression) -> None:
    if isinstance(side, Literal) and type(side.value) is not bool:
        raise FlowSyntaxError("Expecting a boolean value", span=side.span)

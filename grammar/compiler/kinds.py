"""Guesses nothing: what can be known of a value before it exists. In: nodes. Out: kinds.

The kinds are those of `grammar.compiler.state.Operand`. Refuses nothing; None means unknown.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from grammar.compiler.state import NUMBERS, OWNED, SCALARS, FrameState, Unit, literal_kind
from grammar.resolver.model import Variable
from grammar.syntax import Binary, Block, Group, If, Literal, Logical, Name, Template, Unary

_BOOLEAN: Final = frozenset(("==", "!=", "<", "<=", ">", ">=", "in", "!in", "contains"))
_NUMERIC: Final = frozenset(("*", "/", "%", "**"))


def operator_kind(operator: str, left: str | None, right: str | None) -> str | None:
    """Give the kind of a result, provided that there is one."""
    if operator in _BOOLEAN:
        return "bool"
    has_number = left in NUMBERS or right in NUMBERS
    if (
        operator in _NUMERIC
        or (left in NUMBERS and right in NUMBERS)
        or (operator == "-" and has_number)
    ):
        return _number_kind(left, right)
    return _sum_kind(left, right) if operator == "+" else "scalar"


def _number_kind(left: str | None, right: str | None) -> str:
    if left == right == "int":
        return "int"
    return "float" if "float" in (left, right) else "num"


def _sum_kind(left: str | None, right: str | None) -> str | None:
    if "str" in (left, right):
        return "str"
    if left in SCALARS or right in SCALARS:
        return "scalar"
    return OWNED if OWNED in (left, right) else None


def node_kind(unit: Unit, node: Any) -> str | None:
    """Give the kind of an expression without compiling it."""
    reader = _READERS.get(type(node))
    return None if reader is None else reader(unit, node)


def _name_kind(unit: Unit, node: Name) -> str | None:
    variable = unit.found.uses.get(node)
    return None if variable is None else variable_kind_in(unit, variable)


def _unary_kind(unit: Unit, node: Unary) -> str | None:
    if node.operator == "!":
        return "bool"
    kind = node_kind(unit, node.operand)
    return kind if kind in NUMBERS else "num"


def _if_kind(unit: Unit, node: If) -> str | None:
    if node.otherwise is None:
        return None
    blocks = [body for _, body in node.branches] + [node.otherwise]
    return _common([_block_kind(unit, block) for block in blocks])


def _binary_kind(unit: Unit, node: Binary) -> str | None:
    left, right = node_kind(unit, node.left), node_kind(unit, node.right)
    return operator_kind(node.operator, left, right)


def _block_kind(unit: Unit, block: Block) -> str | None:
    return node_kind(unit, block.statements[-1]) if block.statements else "unit"


def _common(kinds: list[str | None]) -> str | None:
    first = kinds[0]
    for kind in kinds[1:]:
        if first not in SCALARS or kind not in SCALARS:
            return None
        if kind != first:
            first = _wider(str(first), kind)
    return first


def own_grown_variables(unit: Unit) -> None:
    """Let `x += …` change arrays and maps in place where x may be one."""
    for variable in set(unit.found.uses.values()):
        if variable.is_grown and variable_kind_in(unit, variable) not in SCALARS:
            variable.is_owned = True


def variable_kind(k: FrameState, variable: Variable) -> str | None:
    """Give the kind that all values ever assigned to a variable have in common."""
    return variable_kind_in(k.unit, variable)


def variable_kind_in(unit: Unit, variable: Variable) -> str | None:
    """Give that kind for a text whose frames are not compiled yet."""
    kinds = unit.kinds
    if variable not in kinds:
        kinds[variable] = None
        kinds[variable] = _joined(unit, variable)
    return kinds[variable]


def _joined(unit: Unit, variable: Variable) -> str | None:
    first: str | None = None
    for at, source in enumerate(variable.sources):
        if source is None:
            return None
        if isinstance(source, Binary) and at and isinstance(source.left, Literal):
            kind = operator_kind(source.operator, first, node_kind(unit, source.right))
        else:
            kind = node_kind(unit, source)
        if kind not in SCALARS:
            return None
        first = kind if first is None or first == kind else _wider(first, kind)
    return _settled(unit, variable, first)


def _wider(first: str, second: str | None) -> str:
    return "num" if first in NUMBERS and second in NUMBERS else "scalar"


def _settled(unit: Unit, variable: Variable, kind: str | None) -> str | None:
    """Check once more with the joined kind: `x += 1.0` turns an `int` start into a `num`."""
    for at, source in enumerate(variable.sources):
        if at and isinstance(source, Binary) and isinstance(source.left, Literal):
            again = operator_kind(source.operator, kind, node_kind(unit, source.right))
            if again not in SCALARS:
                return None
            if kind is not None and again != kind:
                kind = _wider(kind, again)
    return kind


_READERS: Final[dict[type, Callable[[Unit, Any], str | None]]] = {
    Literal: lambda _, node: literal_kind(node.value),
    Group: lambda unit, node: node_kind(unit, node.inner),
    Template: lambda _unit, _node: "str",
    Name: _name_kind,
    Unary: _unary_kind,
    If: _if_kind,
    Block: _block_kind,
    Logical: lambda _, node: None if node.operator == "??" else "bool",
    Binary: _binary_kind,
}

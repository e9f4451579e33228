"""The state of compiling one frame. In: nodes, by way of the table of compilers. Out: statements.

Every value is computed into a local variable or is a constant (an Operand), so that order of
evaluation is the order of statements. An operand's kind says what is known of its value, and
whether its data is shared. Refuses nothing.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from grammar.compiler import emit
from grammar.dialect import Dialect
from grammar.resolver.model import Frame, Resolution, Variable
from grammar.span import Span
from grammar.syntax import (
    ArrayLiteral,
    Binary,
    Closure,
    Group,
    Index,
    Literal,
    Logical,
    MapLiteral,
    Name,
    Property,
    RangeOf,
    Template,
    This,
    Unary,
)  # fmt: skip
from grammar.values import Char

NUMBERS: Final = frozenset(("int", "float", "num"))
SCALARS: Final = NUMBERS | {"bool", "str", "unit", "scalar"}
FRESH: Final = SCALARS | {"fresh"}
OWNED: Final = "owned"


@dataclass(slots=True)
class Operand:
    """A value in hand: a local or a constant.

    Kinds: `int float num bool str unit scalar` (no data to share), `fresh` (an array or map that
    nothing else has), `owned` (part of a variable that is changed in place: copy it to keep it),
    None (anything; its data is never changed, so it may be shared). `is_plain`: surely JSON data
    that nothing else has.
    """

    expr: ast.expr
    kind: str | None = None
    is_plain: bool = False


@dataclass(slots=True)
class Unit:
    """What the frames of one text share while it is compiled."""

    found: Resolution
    dialect: Dialect
    mutators: frozenset[str]
    spans: list[Span] = field(default_factory=list)
    constants: dict[str, Any] = field(default_factory=dict)
    functions: list[ast.FunctionDef] = field(default_factory=list)
    kinds: dict[Variable, str | None] = field(default_factory=dict)
    assigned: set[str] = field(default_factory=set)
    payments: list[tuple[ast.Constant, Frame]] = field(default_factory=list)
    costs: dict[Frame, int] = field(default_factory=dict)

    def line(self, span: Span) -> int:
        """Give a span its number, which compiled code carries as its line."""
        self.spans.append(span)
        return len(self.spans) + 1

    def keep(self, value: Any) -> ast.Name:
        """Keep an object for compiled code under a name of its own."""
        identifier = f"k{len(self.constants)}"
        self.constants[identifier] = value
        return emit.name(identifier)


ValueCompiler = Callable[["FrameState", Any, bool], Operand]
EffectCompiler = Callable[["FrameState", Any], None]


@dataclass(slots=True)
class Table:
    """How each node is compiled: for its value, or for its effect alone."""

    values: dict[type, ValueCompiler]
    effects: dict[type, EffectCompiler]


class FrameState:
    """The growing code of one frame."""

    def __init__(self, unit: Unit, frame: Frame, table: Table) -> None:
        self.unit = unit
        self.frame = frame
        self.table = table
        self.body: list[ast.stmt] = []
        self.uses_budget = False
        self.uses_calls = False
        self.cost = 0
        self.scope_reads: dict[str, str] = {}
        self.breaks: list[str | None] = []
        self.errors: list[str] = []
        self.item_kinds: dict[Variable, str | None] = {}
        self.types: dict[str, str] = {}
        self.payments: dict[str, ast.Constant] = {}
        self.returns_early = False
        self.is_plain = False
        self._temps = 0

    # Emitting

    def temp(self) -> str:
        """Name a new local."""
        self._temps += 1
        return f"t{self._temps}"

    def add(self, statement: ast.stmt) -> None:
        """Append a statement."""
        self.body.append(statement)

    def set_temp(self, value: ast.expr, kind: str | None = None) -> Operand:
        """Keep a value in a new local."""
        identifier = self.temp()
        self.body.append(emit.store(identifier, value))
        return Operand(emit.name(identifier), kind)

    def line(self, node: Any) -> int:
        """Give the place of a node its number."""
        return self.unit.line(node.span)

    def budget(self) -> ast.Name:
        """Read the budget."""
        self.uses_budget = True
        return emit.name("c")

    def calls(self) -> ast.Name:
        """Read the call levels that are left."""
        self.uses_budget = self.uses_calls = True
        return emit.name("d")

    def calls_below(self, callee: Frame) -> ast.Name:
        """Read the call levels that are left to a function called from here, and pay for it.

        A block with calls pays once, for all of them: the functions it calls do not pay again.
        """
        known = self.types.get("d")
        if known is None:
            known = self.types["d"] = self.temp()
            self.body.append(emit.store(known, emit.binary(self.calls(), "-", emit.constant(1))))
            deep = emit.compare(emit.name(known), "<", emit.constant(0))
            call = emit.call("enter", emit.name("c"), emit.name(known))
            self.body.append(emit.when(deep, [emit.effect(call)]))
            amount = self.payments[known] = ast.Constant(1, lineno=1, col_offset=0)
            self.body.extend(emit.payment(amount))
        self.unit.payments.append((self.payments[known], callee))
        return emit.name(known)

    def run(self, function: str, *arguments: ast.expr, node: Any) -> ast.Call:
        """Call a function of the runtime that takes the budget, at the place of a node."""
        return emit.call(function, self.budget(), *arguments, line=self.line(node))

    @contextmanager
    def block(self) -> Iterator[list[ast.stmt]]:
        """Collect statements that run only on some paths."""
        outer, reads, types = self.body, self.scope_reads, self.types
        self.body, self.scope_reads, self.types = [], dict(reads), dict(types)
        try:
            yield self.body
        finally:
            self.body, self.scope_reads, self.types = outer, reads, types

    def type_of(self, value: ast.expr) -> ast.expr:
        """Read the type of a value; once only for a local that is never assigned again."""
        if not isinstance(value, ast.Name):
            return emit.call("type", value)
        if value.id in self.unit.assigned:
            return self.set_temp(emit.call("type", value)).expr
        known = self.types.get(value.id)
        if known is None:
            known = self.types[value.id] = self.temp()
            self.body.append(emit.store(known, emit.call("type", value)))
        return emit.name(known)

    # Compiling nodes

    def value(self, node: Any, own: bool = False) -> Operand:  # noqa: FBT001, FBT002
        """Compile a node for its value; `own` asks for data that nothing else has, if cheap."""
        self.cost += 1
        return self.table.values[type(node)](self, node, own)

    def effect(self, node: Any) -> None:
        """Compile a node for its effect alone."""
        compiler = self.table.effects.get(type(node))
        if compiler is None:
            self.value(node)
        else:
            self.cost += 1
            compiler(self, node)

    def shared(self, node: Any) -> Operand:
        """Compile a node to a value that may be kept, though not changed."""
        return self.share(self.value(node))

    def owned(self, node: Any) -> Operand:
        """Compile a node to a value that may be kept and changed."""
        return self.own(self.value(node, own=True))

    def share(self, operand: Operand) -> Operand:
        """Detach a value from variables that are changed in place."""
        return self.copy(operand) if operand.kind == OWNED else operand

    def own(self, operand: Operand) -> Operand:
        """Detach a value from everything."""
        return operand if operand.kind in FRESH else self.copy(operand)

    def copy(self, operand: Operand) -> Operand:
        """Copy a value now."""
        if isinstance(operand.expr, ast.Constant):
            return operand
        return self.set_temp(emit.call("copy_value", self.budget(), operand.expr), "fresh")

    def operands(self, nodes: Sequence[Any], *, keep: bool) -> list[Operand]:
        """Compile nodes in order; a value that a later one might change is put aside first."""
        quiet = [is_quiet(node) for node in nodes]
        result = []
        for at, node in enumerate(nodes):
            operand = self.shared(node) if keep else self.value(node)
            if not all(quiet[at + 1 :]):
                operand = self.share(operand)
                if isinstance(operand.expr, ast.Name) and operand.expr.id in self.unit.assigned:
                    operand = self.set_temp(operand.expr, operand.kind)
            result.append(operand)
        return result


def is_quiet(node: Any) -> bool:
    """Tell whether evaluating a node surely changes no variable."""
    match node:
        case Literal() | Name() | This() | Closure():
            return True
        case Group(inner=inner) | Unary(operand=inner) | Property(target=inner):
            return is_quiet(inner)
        case Binary(left=left, right=right) | Index(target=left, index=right):
            return is_quiet(left) and is_quiet(right)
        case _:
            parts = _parts(node)
            return parts is not None and all(map(is_quiet, parts))


def _parts(node: Any) -> Sequence[Any] | None:
    """Give the operands of a node; None: it may change something."""
    match node:
        case ArrayLiteral(items=items):
            return items
        case MapLiteral(entries=entries):
            return [value for _, value in entries]
        case Logical(left=left, right=right):
            return (left, right)
        case RangeOf(first=first, last=last):
            return [end for end in (first, last) if end is not None]
        case Template(parts=parts, is_format=True):
            return [part for part in parts if not isinstance(part, str)]
        case _:
            return None


def literal_kind(value: Any) -> str:
    """Give the kind of a literal."""
    if value is None:
        return "unit"
    if isinstance(value, Char):
        return "scalar"
    return {bool: "bool", int: "int", float: "float", str: "str"}[type(value)]

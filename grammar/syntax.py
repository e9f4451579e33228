"""The syntax of scripts: frozen nodes with spans, no behaviour.

In: what `grammar.parser.script` read. Out: what the resolver checks, the compiler turns into code
and the printer writes. Nodes compare by identity, so that later stages can keep notes on them.
Refuses nothing: the parser and the resolver do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal as OneOf
from typing import TypeAlias, Union

from grammar.span import Span


@dataclass(frozen=True, slots=True, eq=False)
class Literal:
    """Unit (None), a boolean, an integer, a float, a char (`values.Char`) or a string."""

    value: bool | int | float | str | None
    span: Span


@dataclass(frozen=True, slots=True, eq=False)
class Name:
    """A variable, a name of the scope, or a function without parentheses."""

    name: str
    span: Span


@dataclass(frozen=True, slots=True, eq=False)
class This:
    """The value a method was called on."""

    span: Span


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """Parentheses. Kept, because they end an optional chain."""

    inner: Expression
    span: Span


@dataclass(frozen=True, slots=True, eq=False)
class ArrayLiteral:
    """`[a, b]`."""

    items: tuple[Expression, ...]
    span: Span


@dataclass(frozen=True, slots=True, eq=False)
class MapLiteral:
    """`#{key: value}`; keys are unique."""

    entries: tuple[tuple[str, Expression], ...]
    span: Span


@dataclass(frozen=True, slots=True, eq=False)
class Template:
    """A text with values in it: `` `…${…}…` ``, or `format!` (then parts are expressions)."""

    parts: tuple[str | Expression, ...]
    is_format: bool
    span: Span


@dataclass(frozen=True, slots=True, eq=False)
class Closure:
    """`|a, b| body`."""

    parameters: tuple[Name, ...]
    body: Statement
    span: Span


@dataclass(frozen=True, slots=True, eq=False)
class Unary:
    """`-x`, `+x`, `!x`."""

    operator: str
    operand: Expression
    span: Span


@dataclass(frozen=True, slots=True, eq=False)
class Binary:
    """Two operands, both always evaluated. `contains` is its own operator."""

    operator: str
    left: Expression
    right: Expression
    span: Span


@dataclass(frozen=True, slots=True, eq=False)
class Logical:
    """`&&`, `||`, `??`: the right side runs only when it decides."""

    operator: str
    left: Expression
    right: Statement
    span: Span


@dataclass(frozen=True, slots=True, eq=False)
class RangeOf:
    """`a..b`, `a..=b`; an absent end is legal only as an index."""

    first: Expression | None
    last: Expression | None
    is_inclusive: bool
    span: Span


@dataclass(frozen=True, slots=True, eq=False)
class Property:
    """`target.name`, `target?.name`. `chain` counts the postfix steps up to here."""

    target: Expression
    name: str
    is_optional: bool
    chain: int
    span: Span


@dataclass(frozen=True, slots=True, eq=False)
class Index:
    """`target[index]`, `target?[index]`."""

    target: Expression
    index: Expression
    is_optional: bool
    chain: int
    span: Span


@dataclass(frozen=True, slots=True, eq=False)
class MethodCall:
    """`target.name(arguments)`."""

    target: Expression
    name: str
    arguments: tuple[Expression, ...]
    is_optional: bool
    chain: int
    span: Span


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """`name(arguments)`."""

    name: str
    arguments: tuple[Expression, ...]
    span: Span


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """`{ … }`: a scope; its value is that of the last statement."""

    statements: tuple[Statement, ...]
    span: Span


@dataclass(frozen=True, slots=True, eq=False)
class If:
    """`if` with its `else if` branches, and the last `else`."""

    branches: tuple[tuple[Expression, Block], ...]
    otherwise: Block | None
    span: Span


@dataclass(frozen=True, slots=True, eq=False)
class Arm:
    """One arm of a `switch`; no cases: the default arm."""

    cases: tuple[Expression, ...]
    guard: Expression | None
    body: Statement
    span: Span


@dataclass(frozen=True, slots=True, eq=False)
class Switch:
    """`switch subject { … }`."""

    subject: Expression
    arms: tuple[Arm, ...]
    span: Span


@dataclass(frozen=True, slots=True, eq=False)
class While:
    """`while condition { … }`; `loop { … }` has no condition."""

    condition: Expression | None
    body: Block
    span: Span


@dataclass(frozen=True, slots=True, eq=False)
class Do:
    """`do { … } while condition`, `do { … } until condition`."""

    body: Block
    condition: Expression
    is_until: bool
    span: Span


@dataclass(frozen=True, slots=True, eq=False)
class For:
    """`for item in iterable`, `for (item, counter) in iterable`."""

    item: Name
    counter: Name | None
    iterable: Expression
    body: Block
    span: Span


@dataclass(frozen=True, slots=True, eq=False)
class Let:
    """`let name = value`, `const name = value`."""

    name: Name
    value: Expression | None
    is_constant: bool
    span: Span


@dataclass(frozen=True, slots=True, eq=False)
class Assign:
    """`target = value`, or with the operator of `+=` and its kin."""

    target: Expression
    operator: str | None
    value: Expression
    span: Span


@dataclass(frozen=True, slots=True, eq=False)
class Jump:
    """`return`, `throw`, `break` (each with or without a value), `continue`."""

    kind: OneOf["return", "throw", "break", "continue"]
    value: Expression | None
    span: Span


@dataclass(frozen=True, slots=True, eq=False)
class Try:
    """`try { … } catch (error) { … }`."""

    body: Block
    error: Name | None
    handler: Block
    span: Span


@dataclass(frozen=True, slots=True, eq=False)
class FunctionDefinition:
    """`fn name(parameters) { … }`."""

    name: str
    parameters: tuple[Name, ...]
    body: Block
    span: Span


@dataclass(frozen=True, slots=True, eq=False)
class Script:
    """A whole text: its statements, and its functions wherever they stood."""

    statements: tuple[Statement, ...]
    functions: tuple[FunctionDefinition, ...]
    span: Span


Expression: TypeAlias = Union[  # noqa: UP007
    Literal, Name, This, Group, ArrayLiteral, MapLiteral, Template, Closure, Unary, Binary,
    Logical, RangeOf, Property, Index, MethodCall, Call, Block, If, Switch, While, Do, For,
]  # fmt: skip
Statement: TypeAlias = Union[Expression, Let, Assign, Jump, Try]  # noqa: UP007

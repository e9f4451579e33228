"""Turns parsed rules into nodes, bottom-up. In: the children of one rule. Out: one node.

One method for each rule of `script.lark` that makes a node, named as the rule. Refuses
(FlowSyntaxError) what one rule alone can see to be wrong.
"""

from __future__ import annotations

from typing import Any, Final

from grammar.errors import FlowSyntaxError
from grammar.parser.format_text import format_parts
from grammar.parser.precedence import CHAIN_MAX, group_operands
from grammar.parser.tokens import ScriptToken
from grammar.span import Span
from grammar.syntax import (
    Arm,
    ArrayLiteral,
    Assign,
    Block,
    Call,
    Closure,
    Do,
    Expression,
    For,
    FunctionDefinition,
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
    Statement,
    Switch,
    Template,
    This,
    Try,
    Unary,
    While,
)

_EMPTY: Final = Span(0, 0, 1, 1)


def _refuse(message: str, span: Span, hint: str | None = None) -> FlowSyntaxError:
    return FlowSyntaxError(message, span=span, hint=hint)


def _name(token: ScriptToken) -> Name:
    return Name(token.value, token.span)


class ScriptBuilder:
    """The callbacks of the grammar."""

    def start(self, c: list[Any]) -> Script:
        """Separate functions from statements."""
        functions = tuple(item for item in c if isinstance(item, FunctionDefinition))
        statements = tuple(item for item in c if not isinstance(item, FunctionDefinition))
        span = c[0].span.until(c[-1].span) if c else _EMPTY
        return Script(statements, functions, span)

    def function(self, c: list[Any]) -> FunctionDefinition:
        """Build `fn name(…) {…}`."""
        parameters = c[3] if isinstance(c[3], tuple) else ()
        return FunctionDefinition(c[1].value, parameters, c[-1], c[0].span.until(c[-1].span))

    def parameters(self, c: list[Any]) -> tuple[Name, ...]:
        """Build a parameter list without duplicates."""
        names = tuple(map(_name, c))
        seen: set[str] = set()
        for name in names:
            if name.name in seen:
                raise _refuse(f"Duplicated parameter '{name.name}'", name.span)
            seen.add(name.name)
        return names

    def block(self, c: list[Any]) -> Block:
        """Build `{…}`."""
        return Block(tuple(c[1:-1]), c[0].span.until(c[-1].span))

    def let(self, c: list[Any]) -> Let:
        """Build `let` and `const`."""
        value = c[3] if len(c) > 2 else None  # noqa: PLR2004 - keyword and name
        end = c[-1].span
        return Let(_name(c[1]), value, c[0].type == "CONST", c[0].span.until(end))

    def assign(self, c: list[Any]) -> Assign:
        """Build an assignment; its target must be rooted in a variable or `this`."""
        target, sign, value = c
        _check_target(target)
        operator = None if sign.type == "ASSIGN" else sign.value[:-1]
        return Assign(target, operator, value, target.span.until(value.span))

    def jump(self, c: list[Any]) -> Jump:
        """Build `return`, `throw`, `break`, `continue`."""
        value = c[1] if len(c) > 1 else None
        return Jump(c[0].value, value, c[0].span.until(c[-1].span))

    def try_(self, c: list[Any]) -> Try:
        """Build `try {…} catch (e) {…}`."""
        error = _name(c[3]) if isinstance(c[2], ScriptToken) else None
        return Try(c[1], error, c[-1], c[0].span.until(c[-1].span))

    def if_(self, c: list[Any]) -> If:
        """Build `if`, flat over its `else if`s."""
        branches = [(c[1], c[2])]
        rest = c[3:]
        branches += [item for item in rest if isinstance(item, tuple)]
        otherwise = rest[-1] if rest and isinstance(rest[-1], Block) else None
        end = otherwise or branches[-1][1]
        return If(tuple(branches), otherwise, c[0].span.until(end.span))

    def else_if(self, c: list[Any]) -> tuple[Expression, Block]:
        """Build one `else if` branch."""
        return (c[1], c[2])

    def while_(self, c: list[Any]) -> While:
        """Build `while`."""
        return While(c[1], c[2], c[0].span.until(c[2].span))

    def loop_(self, c: list[Any]) -> While:
        """Build `loop`."""
        return While(None, c[1], c[0].span.until(c[1].span))

    def do_loop(self, c: list[Any]) -> Do:
        """Build `do … while` and `do … until`."""
        return Do(c[1], c[3], c[2].type == "UNTIL", c[0].span.until(c[3].span))

    def for_(self, c: list[Any]) -> For:
        """Build `for`."""
        names = [_name(token) for token in c if isinstance(token, ScriptToken)
                 and token.type == "IDENT"]  # fmt: skip
        counter = names[1] if len(names) > 1 else None
        if counter is not None and counter.name == names[0].name:
            raise _refuse(f"Duplicated variable '{counter.name}'", counter.span)
        return For(names[0], counter, c[-2], c[-1], c[0].span.until(c[-1].span))

    def switch_(self, c: list[Any]) -> Switch:
        """Build `switch`; a default arm must be the last and unguarded."""
        arms: tuple[Arm, ...] = tuple(c[3:-1])
        for arm in arms[:-1]:
            if not arm.cases:
                raise _refuse("The default case must be the last", arm.span)
        return Switch(c[1], arms, c[0].span.until(c[-1].span))

    def arm(self, c: list[Any]) -> Arm:
        """Build one arm of a switch."""
        cases, guard, start = c[0]
        return Arm(cases, guard, c[1], start.until(c[1].span))

    def case(self, c: list[Any]) -> tuple[tuple[Expression, ...], Expression | None, Span]:
        """Split `a | b if guard` into its literals and its guard."""
        start: Span = c[0].span
        if isinstance(c[0], ScriptToken) and c[0].type == "UNDERSCORE":
            return (), None, start
        at = next((i for i, item in enumerate(c) if _is_token(item, "IF")), len(c))
        guard = c[at + 1] if at < len(c) else None
        cases: list[Expression] = []
        piece: list[Any] = []
        for item in c[:at]:
            if _is_token(item, "BAR"):
                cases.append(group_operands(piece))
                piece = []
            else:
                piece.append(item)
        cases.append(group_operands(piece))
        return tuple(cases), guard, start

    def expr(self, c: list[Any]) -> Expression:
        """Group a flat operand list."""
        return group_operands(c)

    def prefix(self, c: list[Any]) -> Unary:
        """Build a prefix operator."""
        return Unary(c[0].value, c[1], c[0].span.until(c[1].span))

    def closure(self, c: list[Any]) -> Closure:
        """Build `|a, b| body`."""
        parameters = c[1] if isinstance(c[1], tuple) else ()
        return Closure(parameters, c[-1], c[0].span.until(c[-1].span))

    def property(self, c: list[Any]) -> Property:
        """Build `target.name`."""
        target, dot, name = c
        return Property(target, name.value, dot.type == "QDOT", _chain(target, name), name.span)

    def method(self, c: list[Any]) -> MethodCall:
        """Build `target.name(…)`."""
        target, dot, name = c[:3]
        return MethodCall(
            target, name.value, tuple(c[4:]), dot.type == "QDOT", _chain(target, name), name.span
        )

    def index(self, c: list[Any]) -> Index:
        """Build `target[index]`; an index that can never fit is refused at once."""
        target, bracket, index, _ = c
        _check_index(target, index)
        return Index(
            target, index, bracket.type == "QLSQB", _chain(target, bracket),
            bracket.span.until(c[-1].span),
        )  # fmt: skip

    def open_range(self, c: list[Any]) -> RangeOf:
        """Build an index range without an end."""
        sign = c[-1]
        first = group_operands(c[:-1]) if len(c) > 1 else None
        return RangeOf(first, None, sign.value == "..=", sign.span)

    def literal(self, c: list[Any]) -> Literal:
        """Build a literal."""
        token = c[0]
        if token.type in ("TRUE", "FALSE"):
            return Literal(token.type == "TRUE", token.span)
        return Literal(token.value, token.span)

    def name(self, c: list[Any]) -> Name:
        """Build a name."""
        return _name(c[0])

    def this(self, c: list[Any]) -> This:
        """Build `this`."""
        return This(c[0].span)

    def group(self, c: list[Any]) -> Group:
        """Build parentheses."""
        return Group(c[1], c[0].span.until(c[1].span))

    def array(self, c: list[Any]) -> ArrayLiteral:
        """Build an array literal."""
        return ArrayLiteral(tuple(c[1:-1]), c[0].span.until(c[-1].span))

    def map(self, c: list[Any]) -> MapLiteral:
        """Build a map literal without duplicate keys."""
        seen: set[str] = set()
        for key, _, span in c[1:-1]:
            if key in seen:
                raise _refuse(f"Duplicated property for object map literal: {key}", span)
            seen.add(key)
        entries = tuple((key, value) for key, value, _ in c[1:-1])
        return MapLiteral(entries, c[0].span.until(c[-1].span))

    def entry(self, c: list[Any]) -> tuple[str, Expression, Span]:
        """Build one entry of a map literal."""
        return (str(c[0].value), c[1], c[0].span)

    def call(self, c: list[Any]) -> Call:
        """Build `name(…)`."""
        return Call(c[0].value, tuple(c[2:]), c[0].span)

    def format(self, c: list[Any]) -> Template:
        """Build `format!("…", …)`."""
        text = c[2]
        parts = format_parts(str(text.value), tuple(c[3:]), text.span)
        return Template(parts, is_format=True, span=c[0].span)

    def template(self, c: list[Any]) -> Template:
        """Build a text in backticks."""
        parts = tuple(item.value if isinstance(item, ScriptToken) else item for item in c[1:])
        return Template(parts, is_format=False, span=c[0].span)

    def interpolation(self, c: list[Any]) -> Block:
        """Build one `${…}` of a template."""
        return Block(tuple(c), c[0].span.until(c[-1].span) if c else _EMPTY)


def _is_token(item: Any, kind: str) -> bool:
    return isinstance(item, ScriptToken) and item.type == kind


def _chain(target: Expression, token: ScriptToken) -> int:
    length = target.chain + 1 if isinstance(target, (Property, Index, MethodCall)) else 1
    if length > CHAIN_MAX:
        raise _refuse("Expression exceeds maximum complexity", token.span)
    return length


def _check_target(target: Statement) -> None:
    node: Any = target
    while True:
        match node:
            case Name() | This():
                return
            case Group(inner=Property() | Index() | Name() | This() as inner):
                node = inner
            case Property(target=inner) | Index(target=inner):
                node = inner
            case Literal():
                raise _refuse("Cannot assign to a constant value", target.span)
            case _:
                raise _refuse("Expression cannot be assigned to", target.span)


def _check_index(target: Expression, index: Expression) -> None:
    """Refuse a literal index that no value of the target's type takes."""
    if isinstance(index, Logical | Closure | MapLiteral | ArrayLiteral):
        raise _refuse("Invalid index", index.span)
    if not isinstance(index, Literal):
        return
    value = index.value
    if value is None or isinstance(value, bool):
        raise _refuse("Array, string or map expects another kind of index", index.span)
    if isinstance(target, MapLiteral) and not isinstance(value, str):
        raise _refuse("Object map expects string index", index.span)
    is_text = isinstance(target, Literal) and type(target.value) is str
    if (is_text or isinstance(target, ArrayLiteral)) and not isinstance(value, int):
        raise _refuse("Array or string expects numeric index", index.span)

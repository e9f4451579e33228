"""Builds Python `ast` nodes. In: names, values, nodes. Out: nodes that CPython compiles.

Line numbers are not lines: each is an index into the program's table of spans, so that an
error's place costs nothing until it is needed. The subclasses only add default positions. Names
given here are the compiler's own; a name of a script is only ever a constant. Refuses nothing.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Any, Final


class _Name(ast.Name):
    lineno = end_lineno = 1
    col_offset = end_col_offset = 0


class _Constant(ast.Constant):
    lineno = end_lineno = 1
    col_offset = end_col_offset = 0
    kind = None


class _Call(ast.Call):
    lineno = end_lineno = 1
    col_offset = end_col_offset = 0


class _Compare(ast.Compare):
    lineno = end_lineno = 1
    col_offset = end_col_offset = 0


class _BinOp(ast.BinOp):
    lineno = end_lineno = 1
    col_offset = end_col_offset = 0


class _BoolOp(ast.BoolOp):
    lineno = end_lineno = 1
    col_offset = end_col_offset = 0


class _UnaryOp(ast.UnaryOp):
    lineno = end_lineno = 1
    col_offset = end_col_offset = 0


class _IfExp(ast.IfExp):
    lineno = end_lineno = 1
    col_offset = end_col_offset = 0


class _Subscript(ast.Subscript):
    lineno = end_lineno = 1
    col_offset = end_col_offset = 0


class _Attribute(ast.Attribute):
    lineno = end_lineno = 1
    col_offset = end_col_offset = 0


class _List(ast.List):
    lineno = end_lineno = 1
    col_offset = end_col_offset = 0


class _Tuple(ast.Tuple):
    lineno = end_lineno = 1
    col_offset = end_col_offset = 0


class _Dict(ast.Dict):
    lineno = end_lineno = 1
    col_offset = end_col_offset = 0


class _Assign(ast.Assign):
    lineno = end_lineno = 1
    col_offset = end_col_offset = 0
    type_comment = None


class _Expr(ast.Expr):
    lineno = end_lineno = 1
    col_offset = end_col_offset = 0


class _If(ast.If):
    lineno = end_lineno = 1
    col_offset = end_col_offset = 0


class _While(ast.While):
    lineno = end_lineno = 1
    col_offset = end_col_offset = 0


class _For(ast.For):
    lineno = end_lineno = 1
    col_offset = end_col_offset = 0
    type_comment = None


class _Return(ast.Return):
    lineno = end_lineno = 1
    col_offset = end_col_offset = 0


class _Raise(ast.Raise):
    lineno = end_lineno = 1
    col_offset = end_col_offset = 0


class _Try(ast.Try):
    lineno = end_lineno = 1
    col_offset = end_col_offset = 0


class _Handler(ast.ExceptHandler):
    lineno = end_lineno = 1
    col_offset = end_col_offset = 0


class _Break(ast.Break):
    lineno = end_lineno = 1
    col_offset = end_col_offset = 0


class _Continue(ast.Continue):
    lineno = end_lineno = 1
    col_offset = end_col_offset = 0


class _Pass(ast.Pass):
    lineno = end_lineno = 1
    col_offset = end_col_offset = 0


class _Function(ast.FunctionDef):
    lineno = end_lineno = 1
    col_offset = end_col_offset = 0
    type_comment = None


class _Arg(ast.arg):
    lineno = end_lineno = 1
    col_offset = end_col_offset = 0
    type_comment = None


_LOAD: Final = ast.Load()
_STORE: Final = ast.Store()
OPERATORS: Final[dict[str, ast.operator]] = {"+": ast.Add(), "-": ast.Sub(), "*": ast.Mult(),
                                             "/": ast.Div()}  # fmt: skip
COMPARISONS: Final[dict[str, ast.cmpop]] = {
    "==": ast.Eq(), "!=": ast.NotEq(), "<": ast.Lt(), "<=": ast.LtE(), ">": ast.Gt(),
    ">=": ast.GtE(), "is": ast.Is(), "is not": ast.IsNot(), "in": ast.In(),
}  # fmt: skip
_AND: Final = ast.And()
_OR: Final = ast.Or()
_NOT: Final = ast.Not()


def name(identifier: str) -> ast.Name:
    """Read a variable."""
    return _Name(identifier, _LOAD)


def constant(value: Any) -> ast.Constant:
    """Write a constant of type None, bool, int, float or str."""
    return _Constant(value)


def call(function: str, *arguments: ast.expr, line: int = 1) -> ast.Call:
    """Call a global function of the compiler's."""
    node = _Call(_Name(function, _LOAD), list(arguments), [])
    node.lineno = node.end_lineno = line
    return node


def compare(left: ast.expr, operator: str, right: ast.expr) -> ast.Compare:
    """Compare two values."""
    return _Compare(left, [COMPARISONS[operator]], [right])


def binary(left: ast.expr, operator: str, right: ast.expr, line: int = 1) -> ast.BinOp:
    """Apply an arithmetic operator."""
    node = _BinOp(left, OPERATORS[operator], right)
    node.lineno = node.end_lineno = line
    return node


def all_of(*values: ast.expr) -> ast.expr:
    """Join conditions with `and`; there must be one."""
    return values[0] if len(values) == 1 else _BoolOp(_AND, list(values))


def any_of(*values: ast.expr) -> ast.expr:
    """Join conditions with `or`."""
    return values[0] if len(values) == 1 else _BoolOp(_OR, list(values))


def negation(value: ast.expr) -> ast.UnaryOp:
    """Apply `not`."""
    return _UnaryOp(_NOT, value)


def choose(test: ast.expr, value: ast.expr, otherwise: ast.expr) -> ast.IfExp:
    """Build a conditional expression."""
    return _IfExp(test, value, otherwise)


def item(value: ast.expr, key: ast.expr, line: int = 1) -> ast.Subscript:
    """Read `value[key]`."""
    node = _Subscript(value, key, _LOAD)
    node.lineno = node.end_lineno = line
    return node


def attribute(value: ast.expr, field: str) -> ast.Attribute:
    """Read one of the budget's own attributes; never a name of a script."""
    return _Attribute(value, field, _LOAD)


def array(items: Sequence[ast.expr]) -> ast.List:
    """Build a list."""
    return _List(list(items), _LOAD)


def row(items: Sequence[ast.expr]) -> ast.Tuple:
    """Build a tuple."""
    return _Tuple(list(items), _LOAD)


def mapping(keys: Sequence[ast.expr], values: Sequence[ast.expr]) -> ast.Dict:
    """Build a dict."""
    return _Dict(list(keys), list(values))


def store(identifier: str, value: ast.expr) -> ast.Assign:
    """Assign a local variable."""
    return _Assign([_Name(identifier, _STORE)], value)


def store_item(target: ast.expr, key: ast.expr, value: ast.expr) -> ast.Assign:
    """Assign `target[key]`."""
    return _Assign([_Subscript(target, key, _STORE)], value)


def payment(amount: ast.Constant) -> list[ast.stmt]:
    """Subtract from the budget's slice, and ask for the next one when it is used up."""
    rest = _BinOp(attribute(name("c"), "left"), OPERATORS["-"], amount)
    spent = _Assign([_Name("left", _STORE), _Attribute(name("c"), "left", _STORE)], rest)
    is_out = compare(name("left"), "<", constant(0))
    return [spent, when(is_out, [effect(call("refill", name("c")))])]


def effect(value: ast.expr) -> ast.Expr:
    """Evaluate for the effect alone."""
    return _Expr(value)


def when(test: ast.expr, body: list[ast.stmt], otherwise: list[ast.stmt] | None = None) -> ast.If:
    """Build an `if` statement."""
    return _If(test, body or [_Pass()], otherwise or [])


def forever(body: list[ast.stmt]) -> ast.While:
    """Build `while True`."""
    return _While(constant(True), body, [])


def each(identifier: str, values: ast.expr, body: list[ast.stmt]) -> ast.For:
    """Build a `for` loop over one variable."""
    return _For(_Name(identifier, _STORE), values, body, [])


def give(value: ast.expr) -> ast.Return:
    """Build `return`."""
    return _Return(value)


def fail(error: ast.expr) -> ast.Raise:
    """Build `raise`; the error is a call, which carries the place."""
    node = _Raise(error, None)
    node.lineno = node.end_lineno = getattr(error, "lineno", 1)
    return node


def leave() -> ast.Break:
    """Build `break`."""
    return _Break()


def again() -> ast.Continue:
    """Build `continue`."""
    return _Continue()


def attempt(body: list[ast.stmt], handlers: list[ast.ExceptHandler]) -> ast.Try:
    """Build `try`."""
    return _Try(body or [_Pass()], handlers, [], [])


def handler(kind: str, identifier: str | None, body: list[ast.stmt]) -> ast.ExceptHandler:
    """Build one `except` clause."""
    return _Handler(_Name(kind, _LOAD), identifier, body or [_Pass()])


def rethrow() -> ast.Raise:
    """Build a bare `raise`."""
    return _Raise(None, None)


def function(identifier: str, parameters: Sequence[str], body: list[ast.stmt]) -> ast.FunctionDef:
    """Build a function definition."""
    arguments = ast.arguments(
        posonlyargs=[], args=[_Arg(item, None) for item in parameters], kwonlyargs=[],
        kw_defaults=[], defaults=[], vararg=None, kwarg=None,
    )  # fmt: skip
    return _Function(identifier, arguments, body or [_Pass()], [], None)

"""Builds the Python syntax nodes that a template becomes. In: pieces. Out: `ast` nodes.

No text is generated: names come from the compiler alone, and everything of a template enters as
a constant. Adjacent text is merged, and everything between two branches of control becomes one
`out += (…)`. A statement's `lineno` is the number of its place in the template's span table.
"""

from __future__ import annotations

import ast
from typing import Any, Final

OUT: Final = "out"


def load(name: str) -> ast.expr:
    """Read a local or global."""
    return ast.Name(name, ast.Load())


def constant(value: Any) -> ast.expr:
    """Give a constant; tuples of constants too."""
    return ast.Constant(value)


def call(function: str, *args: ast.expr, **keywords: ast.expr) -> ast.expr:
    """Call a function of the compiled module."""
    named = [ast.keyword(name, value) for name, value in keywords.items()]
    return ast.Call(load(function), list(args), named)


class Emitter:
    """Collects the statements of one function, the innermost open body last."""

    __slots__ = ("_body", "_pieces", "_temps", "place")

    def __init__(self) -> None:
        self._body: list[ast.stmt] = []
        self._pieces: list[ast.expr] = []
        self._temps = 0
        self.place = 1

    def fresh(self, prefix: str = "t") -> str:
        """Return a local name that is not in use."""
        self._temps += 1
        return f"{prefix}{self._temps}"

    def add(self, statement: ast.stmt) -> None:
        """Append a statement at the current place."""
        statement.lineno = statement.end_lineno = self.place
        statement.col_offset = statement.end_col_offset = 0
        self._body.append(statement)

    def assign(self, value: ast.expr, name: str | None = None) -> str:
        """Store a value under a name, a fresh one unless given."""
        name = name or self.fresh()
        self.add(ast.Assign([ast.Name(name, ast.Store())], value))
        return name

    def write(self, piece: ast.expr) -> None:
        """Render a piece of text. Pieces are rendered together, at the next `flush`."""
        self._pieces.append(piece)

    def write_text(self, text: str) -> None:
        """Render constant text."""
        last = self._pieces[-1] if self._pieces else None
        if isinstance(last, ast.Constant) and isinstance(last.value, str):
            self._pieces[-1] = constant(last.value + text)
        else:
            self._pieces.append(constant(text))

    def flush(self) -> None:
        """Render the collected pieces, before control branches."""
        if self._pieces:
            pieces: ast.expr = ast.Tuple(self._pieces, ast.Load())
            self._pieces = []
            self.add(ast.AugAssign(ast.Name(OUT, ast.Store()), ast.Add(), pieces))

    def extend(self, pieces: ast.expr) -> None:
        """Render a list of pieces that a call gives."""
        self.flush()
        self.add(ast.AugAssign(ast.Name(OUT, ast.Store()), ast.Add(), pieces))

    def open(self) -> list[ast.stmt]:
        """Start a nested body; give what `close` needs to come back."""
        self.flush()
        outer, self._body = self._body, []
        return outer

    def close(self, outer: list[ast.stmt]) -> list[ast.stmt]:
        """End the nested body and return its statements, at least one."""
        self.flush()
        if not self._body:
            self.add(ast.Pass())
        body, self._body = self._body, outer
        return body

    def function(self, name: str, params: tuple[str, ...], result: ast.expr) -> ast.FunctionDef:
        """Finish the function: its body is everything collected."""
        self.flush()
        self.add(ast.Return(result))
        arguments = ast.arguments(
            posonlyargs=[],
            args=[ast.arg(param) for param in params],
            kwonlyargs=[],
            kw_defaults=[],
            defaults=[],
        )
        return ast.FunctionDef(name, arguments, self._body, [], lineno=1, col_offset=0)

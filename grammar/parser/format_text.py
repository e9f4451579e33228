"""Reads the text of `format!`. In: the text and the arguments. Out: texts and values in turn.

Refuses (FlowSyntaxError of kind `format`): anything inside braces, a lone brace, and a count of
`{}` that is not that of the arguments. The text is never handed to Python's own formatting.
"""

from __future__ import annotations

import re
from typing import Final

from grammar.errors import FlowSyntaxError
from grammar.span import Span
from grammar.syntax import Expression

_PIECE: Final = re.compile(r"\{\{|\}\}|\{\}|[{}]|[^{}]+")
_ESCAPED: Final = {"{{": "{", "}}": "}"}


def format_parts(
    text: str, arguments: tuple[Expression, ...], span: Span
) -> tuple[str | Expression, ...]:
    """Split a text at its `{}`s. `{{` and `}}` stand for one brace."""
    parts: list[str | Expression] = []
    used = 0
    for piece in _PIECE.findall(text):
        if piece in ("{", "}"):
            raise _fault("Only `{}`, `{{` and `}}` may stand in a format text", span)
        if piece != "{}":
            parts.append(_ESCAPED.get(piece, piece))
            continue
        if used < len(arguments):
            parts.append(arguments[used])
        used += 1
    if used != len(arguments):
        raise _fault(f"The text has {used} `{{}}` for {len(arguments)} argument(s)", span)
    return tuple(parts)


def _fault(message: str, span: Span) -> FlowSyntaxError:
    return FlowSyntaxError(message, kind="format", span=span)

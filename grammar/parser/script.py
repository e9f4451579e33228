"""Reads scripts and conditions. In: a source text. Out: its syntax tree.

Refuses (FlowSyntaxError, with the place of the first fault): text that is not in `script.lark`,
and what one rule alone can see to be wrong: assignment to what is no variable, a bad `format!`.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import Any, Final

from lark import Lark
from lark.exceptions import UnexpectedToken
from lark.lexer import Lexer

from grammar.dialect import Dialect
from grammar.errors import FlowSyntaxError
from grammar.parser.builder import ScriptBuilder
from grammar.parser.tokens import ScriptLexer, ScriptToken
from grammar.span import SourceText
from grammar.syntax import Script

_SHOWN: Final = {
    "IDENT": "a name", "_SEMI": "`;`", "_COMMA": "`,`", "_RPAR": "`)`", "RSQB": "`]`",
    "RBRACE": "`}`", "LBRACE": "`{`", "_COLON": "`:`", "_ARROW": "`=>`", "LPAR": "`(`",
    "IN": "`in`", "ASSIGN": "`=`", "_CATCH": "`catch`", "WHILE": "`while`", "STRING": "a string",
}  # fmt: skip
_EXPECTED_MAX: Final = 3
_TOKEN_SHOWN_MAX: Final = 40


def parse_script(source: SourceText, dialect: Dialect) -> Script:
    """Parse a script or a condition. Raises FlowSyntaxError with the span of the first fault."""
    tokens = ScriptLexer(source, dialect).tokens()
    try:
        tree: Script = _parser().parse(tokens)  # type: ignore[assignment]
    except UnexpectedToken as fault:
        raise _explain(fault, source) from None
    except FlowSyntaxError as fault:
        fault.source = source
        raise
    return tree


class _TokenFeed(Lexer):
    """Hands Lark the tokens it was given instead of a text."""

    def __init__(self, lexer_conf: Any) -> None:
        """Take nothing from the grammar: every terminal is declared."""

    def lex(self, data: Any, parser_state: Any = None) -> Iterator[Any]:  # noqa: ARG002
        """Pass the tokens on."""
        tokens: Iterator[Any] = data
        return tokens


@cache
def _parser() -> Lark:
    grammar = files("grammar.parser").joinpath("script.lark").read_text(encoding="utf-8")
    return Lark(
        grammar,
        parser="lalr",
        lexer=_TokenFeed,
        maybe_placeholders=False,
        transformer=ScriptBuilder(),
    )


def _explain(fault: UnexpectedToken, source: SourceText) -> FlowSyntaxError:
    token = fault.token
    expected = sorted(_SHOWN[name] for name in fault.accepts or fault.expected if name in _SHOWN)
    hint = None
    if 0 < len(expected) <= _EXPECTED_MAX:
        hint = f"expected {' or '.join(expected)}"
    if not isinstance(token, ScriptToken):
        size = len(source.text)
        return FlowSyntaxError(
            "Script is incomplete", span=source.span(size, size), source=source, hint=hint
        )
    shown = source.text[token.start_pos : token.end_pos][:_TOKEN_SHOWN_MAX]
    return FlowSyntaxError(f"Unexpected '{shown}'", span=token.span, source=source, hint=hint)

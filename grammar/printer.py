"""Formats scripts. In: a source text. Out: the same tokens and comments, evenly laid out.

Line breaks stay where they were (blank lines shrink to one); indentation follows the brackets and
the space between tokens follows one rule each. Refuses (FlowSyntaxError) what does not parse. The
text that comes out has the same tokens, so it parses to the same tree: that is checked, and a text
for which it would not hold is given back as it was.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from grammar.dialect import Dialect
from grammar.parser.script import parse_script
from grammar.parser.tokens import ScriptLexer, ScriptToken
from grammar.span import SourceText

INDENT: Final = "    "
_COMMENT: Final = re.compile(r"//[^\n]*|/\*|\*/")
_TIGHT_BEFORE: Final = frozenset(("_COMMA", "_SEMI", "_RPAR", "RSQB", "_COLON", "DOT", "QDOT",
                                  "RANGE", "QLSQB"))  # fmt: skip
_TIGHT_AFTER: Final = frozenset(("LPAR", "LSQB", "QLSQB", "DOT", "QDOT", "RANGE", "HASHLBRACE"))
_OPENERS: Final = frozenset(("LPAR", "LSQB", "QLSQB", "LBRACE", "HASHLBRACE"))
_CLOSERS: Final = frozenset(("_RPAR", "RSQB", "RBRACE"))
_ENDS: Final = frozenset(("IDENT", "CALLABLE", "INT", "FLOAT", "STRING", "CHAR", "TRUE", "FALSE",
                          "UNIT", "THIS", "_RPAR", "RSQB", "RBRACE", "TEMPLATE"))  # fmt: skip
_CALLED: Final = frozenset(("IDENT", "CALLABLE", "FORMAT"))
_SIGNS: Final = frozenset(("SIGN", "NOT"))


def format_script(source: str, *, name: str = "<script>") -> str:
    """Lay a script out. Raises FlowSyntaxError when it does not parse."""
    place = SourceText(name, source)
    parse_script(place, Dialect.SCRIPT)
    pieces = _classified(_pieces(place))
    lines: list[str] = []
    line = ""
    depth = 0
    for at, piece in enumerate(pieces):
        previous = pieces[at - 1] if at else None
        if previous is not None and piece.breaks:
            lines.append(line)
            lines += [""] if piece.breaks > 1 else []
            line = ""
        closes = piece.kind in _CLOSERS
        if previous is None or line == "":
            line = INDENT * max(0, depth - closes) + piece.text
        else:
            line += (" " if _spaced(previous, piece) else "") + piece.text
        depth += (piece.kind in _OPENERS) - closes
    lines.append(line)
    result = "\n".join(item.rstrip() if "\n" not in item else item for item in lines) + "\n"
    return result if _signature(SourceText(name, result)) == _signature(place) else source


@dataclass(slots=True)
class _Piece:
    """A token, a comment, or a whole text in backticks; `breaks` line ends stood before it."""

    kind: str
    text: str
    breaks: int


def _signature(place: SourceText) -> list[tuple[str, object]]:
    tokens = ScriptLexer(place, Dialect.SCRIPT).tokens()
    return [(token.type, token.value) for token in tokens]


def _pieces(place: SourceText) -> list[_Piece]:
    text = place.text
    pieces: list[_Piece] = []
    end = 0
    templates: list[ScriptToken] = []
    for token in ScriptLexer(place, Dialect.SCRIPT).tokens():
        if token.type == "TICK":
            templates.append(token)
        elif token.type == "_TICKEND":
            start = templates.pop()
            if not templates:
                breaks = _gap(pieces, text[end : start.start_pos])
                pieces.append(_Piece("TEMPLATE", text[start.start_pos : token.end_pos], breaks))
                end = token.end_pos
        elif not templates:
            breaks = _gap(pieces, text[end : token.start_pos])
            pieces.append(_Piece(token.type, text[token.start_pos : token.end_pos], breaks))
            end = token.end_pos
    _gap(pieces, text[end:])
    return pieces


def _gap(pieces: list[_Piece], gap: str) -> int:
    """Add the comments of a gap; give the count of line ends before the next token."""
    at = 0
    while (found := _COMMENT.search(gap, at)) is not None:
        breaks = gap.count("\n", at, found.start())
        stop = found.end()
        if found.group() == "/*":
            stop = _comment_end(gap, found.end())
        pieces.append(_Piece("COMMENT", gap[found.start() : stop].rstrip("\r"), breaks))
        at = stop
    return gap.count("\n", at)


def _comment_end(gap: str, at: int) -> int:
    depth = 1
    while depth:
        edge = _COMMENT.search(gap, at)
        if edge is None:  # pragma: no cover - the lexer has found the end
            return len(gap)
        if edge.group().startswith("//"):
            at = edge.start() + 1
            continue
        depth += 1 if edge.group() == "/*" else -1
        at = edge.end()
    return at


def _classified(pieces: list[_Piece]) -> list[_Piece]:
    """Tell prefix signs, closure bars and the braces of maps from their namesakes."""
    braces: list[str] = []
    in_parameters = False
    last = ""
    for piece in pieces:
        if piece.kind == "COMMENT":
            continue
        kind = piece.kind
        if kind in ("LBRACE", "HASHLBRACE"):
            braces.append(kind)
        elif kind == "RBRACE" and braces and braces.pop() == "HASHLBRACE":
            piece.text, piece.kind = "}", "RSQB"
        elif kind in _SIGNS and last not in _ENDS:
            piece.kind = "PREFIX"
        elif kind == "BAR" and in_parameters:
            piece.kind, in_parameters = "BAR_CLOSE", False
        elif kind == "BAR" and last not in _ENDS:
            piece.kind, in_parameters = "BAR_OPEN", True
        last = "RBRACE" if piece.text == "}" else kind
    return pieces


def _spaced(before: _Piece, piece: _Piece) -> bool:
    """Tell whether a space stands between two pieces of one line."""
    kind, last = piece.kind, before.kind
    if "COMMENT" in (kind, last) or last == "PREFIX":
        return last != "PREFIX" or piece.text[0] in "+-.0123456789/"
    if last in _TIGHT_AFTER or kind in _TIGHT_BEFORE or last == "BAR_OPEN" or kind == "BAR_CLOSE":
        return False
    if kind == "LPAR":
        return last not in _CALLED
    if kind == "LSQB":
        return last not in _ENDS
    return (last, kind) != ("LBRACE", "RBRACE")

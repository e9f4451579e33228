"""Cuts scripts into tokens. In: a source text and its dialect. Out: tokens, lazily, in order.

Refuses (FlowSyntaxError): characters and symbols outside LANGUAGE.md section 1, unfinished
strings and comments, bad escapes. Lazy, so that the first fault of a text is the one reported.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, Final

from grammar.dialect import Dialect
from grammar.errors import FlowSyntaxError
from grammar.parser.literals import LiteralFault, number_value, quoted_value
from grammar.span import SourceText, Span
from grammar.values import Char

BRACKETS_MAX: Final = 512
"""Open brackets at once. Beyond any legal nesting; keeps hostile texts from growing a stack."""


def _words(*texts: str) -> tuple[str, ...]:
    return tuple(word for text in texts for word in text.split())


KEYWORDS: Final = {
    "let": "LET", "const": "CONST", "if": "IF", "else": "_ELSE", "switch": "SWITCH",
    "while": "WHILE", "loop": "LOOP", "do": "DO", "until": "UNTIL", "for": "FOR", "in": "IN",
    "fn": "FN", "private": "_PRIVATE", "return": "RETURN", "throw": "THROW", "try": "TRY",
    "catch": "_CATCH", "break": "BREAK", "continue": "CONTINUE", "true": "TRUE",
    "false": "FALSE", "this": "THIS", "_": "UNDERSCORE",
}  # fmt: skip
RESERVED: Final = frozenset(_words(
    "import export as var static public protected super new use module package with is goto match",
    "case default void null nil spawn thread go sync async await yield shared",
))  # fmt: skip
CALLABLES: Final = frozenset(
    _words("print debug type_of eval Fn call curry is_def_var is_def_fn is_shared")
)
_DOT_CALLABLES: Final = frozenset(("call", "curry", "type_of"))
_SYMBOLS: Final = {
    "(": "LPAR", ")": "_RPAR", "[": "LSQB", "]": "RSQB", "{": "LBRACE", "}": "RBRACE",
    "#{": "HASHLBRACE", ",": "_COMMA", ";": "_SEMI", ":": "_COLON", "=>": "_ARROW", ".": "DOT",
    "?.": "QDOT", "?[": "QLSQB", "..": "RANGE", "..=": "RANGE", "=": "ASSIGN", "|": "BAR",
    "||": "OROR", "??": "QQ", "+": "SIGN", "-": "SIGN", "!": "NOT",
    **dict.fromkeys(_words("* / % ** == != < <= > >= && & ^ << >>"), "OP"),
    **dict.fromkeys(_words("+= -= *= /= %= **= <<= >>= &= |= ^="), "ASSIGN_OP"),
}  # fmt: skip
_RESERVED_SYMBOLS: Final = _words("=== !== ++ -- -> <- := :: ... !. <| |> (* *) #! # @ $ ~ ?")
_OPERAND_ENDS: Final = frozenset(
    _words("IDENT CALLABLE INT FLOAT STRING CHAR TRUE FALSE UNIT THIS _RPAR RSQB RBRACE _TICKEND")
)
_OPENERS: Final = frozenset(("LPAR", "LSQB", "QLSQB", "LBRACE", "HASHLBRACE"))
_CLOSERS: Final = frozenset(("_RPAR", "RSQB", "RBRACE"))

_NUMBER: Final = (
    r"0[xX][0-9a-fA-F_]*[0-9a-fA-F][0-9a-fA-F_]*|0[oO][0-7_]*[0-7][0-7_]*|0[bB][01_]*[01][01_]*"
    r"|[0-9][0-9_]*(?:\.[0-9][0-9_]*(?:[eE][+-]?[0-9]+)?|[eE][+-]?[0-9]+)?"
)
_ALL_SYMBOLS: Final = sorted((*_SYMBOLS, *_RESERVED_SYMBOLS), key=len, reverse=True)
_TOKEN: Final = re.compile(
    r"(?P<blank>[ \t\r\n]+)|(?P<word>[A-Za-z_][A-Za-z0-9_]*)|(?P<comment>//[^\n]*|/\*)"
    rf"|(?P<number>{_NUMBER})|(?P<quote>#*\")|(?P<single>')|(?P<tick>`)"
    rf"|(?P<symbol>{'|'.join(map(re.escape, _ALL_SYMBOLS))})"
)
_COMMENT_EDGE: Final = re.compile(r"/\*|\*/")
_NUMBER_ONLY: Final = re.compile(_NUMBER)
_TICK_PIECE: Final = re.compile(r"[^`\\$]+|``|`|\\\$\{|\$\{|[\\$]")
_FORMAT_CALL: Final = re.compile(r"![ \t\r\n]*\(")
_NOT_IN: Final = re.compile(r"in(?![A-Za-z0-9_])")


class ScriptToken:
    """One token, with the attributes that Lark reads from its own."""

    __slots__ = ("column", "end_pos", "line", "start_pos", "type", "value")

    def __init__(
        self, kind: str, value: Any, *, start: int, end: int, line: int, column: int
    ) -> None:
        self.type = kind
        self.value = value
        self.start_pos = start
        self.end_pos = end
        self.line = line
        self.column = column

    @property
    def end_line(self) -> int:
        """Lark's name; only the end-of-text token copies it."""
        return self.line

    @property
    def end_column(self) -> int:
        """Lark's name; only the end-of-text token copies it."""
        return self.column

    @property
    def span(self) -> Span:
        """The token's place."""
        return Span(self.start_pos, self.end_pos, self.line, self.column)


class ScriptLexer:
    """Walks one text once. `tokens()` yields; the fields are the position it has reached."""

    def __init__(self, source: SourceText, dialect: Dialect) -> None:
        self._source = source
        self._text = source.text
        self._dialect = dialect
        self._at = 0
        self._line = 1
        self._line_start = 0
        self._last = ""
        self._open: list[str] = []
        self.is_cut = False  # a fault because the text ended inside a text or a comment

    @property
    def is_open(self) -> bool:
        """Whether a bracket is open where the tokens end."""
        return bool(self._open)

    def tokens(self) -> Iterator[ScriptToken]:
        """Yield every token. Raises FlowSyntaxError at the first that is none."""
        match_at = _TOKEN.match
        text, size = self._text, len(self._text)
        handlers: dict[str, Callable[[re.Match[str]], ScriptToken]] = {
            "word": self._word, "symbol": self._symbol, "number": self._number,
            "quote": self._quote, "single": self._single,
        }  # fmt: skip
        while self._at < size:
            found = match_at(text, self._at)
            if found is None:
                raise self._fault(f"Unexpected '{text[self._at]}'", self._at, self._at + 1)
            group = found.lastgroup
            if group == "blank":
                self._skip(found.end())
            elif group == "comment":
                self._comment(found)
            elif group == "tick":
                yield self._push("TICK", self._at, self._at + 1, opens="`")
                yield from self._tick_text(is_first=True)
            else:
                token = handlers[group or ""](found)
                yield token
                if token.type == "_INTERPEND":
                    yield from self._tick_text(is_first=False)

    def _make(self, kind: str, value: Any, start: int, end: int) -> ScriptToken:
        token = ScriptToken(
            kind, value, start=start, end=end, line=self._line, column=start - self._line_start + 1
        )
        self._at = end
        self._last = kind
        return token

    def _push(self, kind: str, start: int, end: int, *, opens: str) -> ScriptToken:
        if len(self._open) >= BRACKETS_MAX:
            raise self._fault("Too deeply nested", start, end)
        self._open.append(opens)
        return self._make(kind, self._text[start:end], start, end)

    def _skip(self, end: int) -> None:
        text = self._text
        lines = text.count("\n", self._at, end)
        if lines:
            self._line += lines
            self._line_start = text.rfind("\n", self._at, end) + 1
        self._at = end

    def _fault(
        self, message: str, start: int, end: int, hint: str | None = None
    ) -> FlowSyntaxError:
        span = self._source.span(start, end)
        return FlowSyntaxError(message, span=span, source=self._source, hint=hint)

    def _comment(self, found: re.Match[str]) -> None:
        if found.group().startswith("//"):
            self._skip(found.end())
            return
        depth, at = 1, found.end()
        while depth:
            edge = _COMMENT_EDGE.search(self._text, at)
            if edge is None:
                self.is_cut = True
                raise self._fault("Comment is not terminated", self._at, self._at + 2)
            depth += 1 if edge.group() == "/*" else -1
            at = edge.end()
        self._skip(at)

    def _word(self, found: re.Match[str]) -> ScriptToken:
        word, start, end = found.group(), found.start(), found.end()
        kind = KEYWORDS.get(word)
        if kind is None:
            after_dot = self._last in ("DOT", "QDOT")
            if word in RESERVED or (word in CALLABLES and after_dot):
                if word not in _DOT_CALLABLES:
                    hint = None if after_dot else "choose another name"
                    raise self._fault(f"'{word}' is a reserved keyword", start, end, hint)
                kind = "IDENT"
            elif word in CALLABLES:
                kind = "CALLABLE"
            elif self._dialect is Dialect.RHAI:
                if word[0] == "_":
                    raise self._fault(f"Variable name is not proper: '{word}'", start, end)
                kind = "IDENT"
            else:
                kind = "IDENT" if after_dot else self._contextual(word, end)
        end += kind == "FORMAT"
        return self._make(kind, word, start, end)

    def _contextual(self, word: str, end: int) -> str:
        """Name the kind of a word that only the dialect knows, and only in some places."""
        if word == "contains" and self._last in _OPERAND_ENDS:
            return "OP"
        if word == "format" and _FORMAT_CALL.match(self._text, end):
            return "FORMAT"
        return "IDENT"

    def _number(self, found: re.Match[str]) -> ScriptToken:
        return self._number_token(found.group(), found.start(), found.end())

    def _number_token(self, text: str, start: int, end: int) -> ScriptToken:
        try:
            value = number_value(text)
        except LiteralFault as fault:
            raise self._fault(str(fault), start, end) from None
        return self._make("INT" if type(value) is int else "FLOAT", value, start, end)

    def _symbol(self, found: re.Match[str]) -> ScriptToken:
        symbol, start, end = found.group(), found.start(), found.end()
        kind = _SYMBOLS.get(symbol)
        if kind is None:
            raise self._fault(f"'{symbol}' is a reserved symbol", start, end)
        if kind in _OPENERS:
            return self._opener(symbol, kind, start)
        if kind in _CLOSERS:
            opened = self._open.pop() if self._open else ""
            closes_part = symbol == "}" and opened == "${"
            return self._make("_INTERPEND" if closes_part else kind, symbol, start, end)
        after_operand = self._last in _OPERAND_ENDS
        number = _NUMBER_ONLY.match(self._text, end) if symbol == "-" else None
        if number is not None and not after_operand:
            return self._number_token(f"-{number.group()}", start, number.end())
        word = _NOT_IN.match(self._text, end) if symbol == "!" else None
        if word is not None and after_operand:
            return self._make("OP", "!in", start, word.end())
        return self._make(kind, symbol, start, end)

    def _opener(self, symbol: str, kind: str, start: int) -> ScriptToken:
        end = start + len(symbol)
        is_unit = symbol == "(" and self._text[end : end + 1] == ")"
        if is_unit and self._last not in _OPERAND_ENDS:
            return self._make("UNIT", None, start, end + 1)
        return self._push(kind, start, end, opens=symbol)

    def _quote(self, found: re.Match[str]) -> ScriptToken:
        start = found.start()
        hashes = found.group()[:-1]
        if hashes:
            close = self._text.find(f'"{hashes}', found.end())
            if close < 0:
                self.is_cut = True
                raise self._fault("Open string is not terminated", start, found.end())
            value, end = self._text[found.end() : close], close + 1 + len(hashes)
        else:
            value, end = self._quoted(found.end(), '"')
        return self._string("STRING", value, start, end)

    def _single(self, found: re.Match[str]) -> ScriptToken:
        start = found.start()
        value, end = self._quoted(found.end(), "'")
        if self._dialect is Dialect.CONDITION:
            return self._string("STRING", value, start, end)
        if len(value) == 1:
            return self._string("CHAR", Char(value), start, end)
        if self._dialect is Dialect.RHAI:
            raise self._fault(f"Invalid character: '{value}'", start, end)
        return self._string("STRING", value, start, end)

    def _string(self, kind: str, value: str, start: int, end: int) -> ScriptToken:
        token = self._make(kind, value, start, start)
        self._skip(end)
        return ScriptToken(kind, value, start=start, end=end, line=token.line, column=token.column)

    def _quoted(self, at: int, quote: str) -> tuple[str, int]:
        try:
            return quoted_value(self._text, at, quote, column=at - self._line_start)
        except LiteralFault as fault:
            raise self._fault(str(fault), fault.at, fault.at + 1) from None

    def _tick_text(self, *, is_first: bool) -> Iterator[ScriptToken]:
        text, start = self._text, self._at
        pieces: list[str] = []
        at = start
        if is_first:
            at += 2 if text.startswith("\r\n", at) else 1 if text.startswith("\n", at) else 0
        while True:
            found = _TICK_PIECE.match(text, at)
            if found is None:
                self.is_cut = True
                raise self._fault("Open string is not terminated", start - 1, start)
            piece, at = found.group(), found.end()
            if piece in ("`", "${"):
                break
            pieces.append({"``": "`", "\\${": "${"}.get(piece, piece))
        edge = at - len(piece)
        if pieces:
            yield self._string("TEXT", "".join(pieces), start, edge)
        self._skip(edge)
        if piece == "${":
            yield self._push("_INTERP", edge, at, opens="${")
        else:
            self._open.pop()
            yield self._make("_TICKEND", piece, edge, at)

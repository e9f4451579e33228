"""Values of literals. In: their text. Out: numbers, and strings without escapes.

Refuses (LiteralFault, with the offset): integers beyond 64 bits, escapes that LANGUAGE.md section 1
does not list, surrogates, a line end inside a string.
"""

from __future__ import annotations

import re
from typing import Final

from grammar.values import INT_MAX, INT_MIN

_PLAIN: Final = {'"': re.compile(r'[^"\\\n]+'), "'": re.compile(r"[^'\\\n]+")}
_ESCAPES: Final = {"\\": "\\", "t": "\t", "n": "\n", "r": "\r"}
_HEX_DIGITS: Final = {"x": 2, "u": 4, "U": 8}
_HEX: Final = re.compile(r"[0-9a-fA-F]+")
_BASES: Final = {"0x": 16, "0o": 8, "0b": 2}
_BITS: Final = 64
_DECIMAL_DIGITS_MAX: Final = 19
_CODE_POINT_MAX: Final = 0x10FFFF
_SURROGATES: Final = range(0xD800, 0xE000)


class LiteralFault(ValueError):  # noqa: N818 - it never leaves the parser
    """A literal that is none; `at` is the offset of the fault in the text."""

    def __init__(self, message: str, at: int = 0) -> None:
        super().__init__(message)
        self.at = at


def number_value(text: str) -> int | float:
    """Read a number literal, its sign included. A decimal one beyond i64 becomes a float."""
    digits = text.replace("_", "")
    body = digits.lstrip("-")
    base = _BASES.get(body[:2].lower())
    if base is not None:
        value = int(body[2:], base)
        if value >= 1 << _BITS:
            raise LiteralFault(f"Invalid number: '{text[:40]}'")
        value = value - (1 << _BITS) if value > INT_MAX else value
        return -value if digits != body and value != INT_MIN else value
    if body.isdigit():
        if len(body.lstrip("0")) <= _DECIMAL_DIGITS_MAX:
            value = int(digits)
            if INT_MIN <= value <= INT_MAX:
                return value
        return float(digits)
    return float(digits)


def quoted_value(text: str, at: int, quote: str, *, column: int) -> tuple[str, int]:
    """Read from behind the opening quote; give the value and the offset behind the closing one.

    `column` is that of the opening quote: a backslash at a line's end also drops the next line's
    blanks up to it.
    """
    pieces: list[str] = []
    opening, plain = at - 1, _PLAIN[quote]
    while True:
        run = plain.match(text, at)
        if run is not None:
            pieces.append(run.group())
            at = run.end()
        character = text[at : at + 1]
        if character == quote:
            if quote == '"' and text[at + 1 : at + 2] == quote:
                pieces.append(quote)
                at += 2
                continue
            return "".join(pieces), at + 1
        if character != "\\" or at + 1 >= len(text):
            raise LiteralFault("Open string is not terminated", opening)
        piece, at = _escape(text, at, quote, column)
        pieces.append(piece)


def _escape(text: str, at: int, quote: str, column: int) -> tuple[str, int]:
    letter = text[at + 1]
    if letter in _ESCAPES:
        return _ESCAPES[letter], at + 2
    if letter == quote:
        return quote, at + 2
    if letter in _HEX_DIGITS:
        return _code_point(text, at, _HEX_DIGITS[letter])
    ending = 2 if text.startswith("\r\n", at + 1) else 1 if letter == "\n" else 0
    if ending and quote == '"':
        start = at + 1 + ending
        end = start
        while end < start + column and text[end : end + 1] in (" ", "\t"):
            end += 1
        return "", end
    raise LiteralFault(f"Invalid escape sequence: '\\{letter}'", at)


def _code_point(text: str, at: int, digits: int) -> tuple[str, int]:
    raw = text[at + 2 : at + 2 + digits]
    if len(raw) < digits or _HEX.fullmatch(raw) is None:
        raise LiteralFault(f"Invalid escape sequence: '\\{text[at + 1]}{raw}'", at)
    value = int(raw, 16)
    if value > _CODE_POINT_MAX or value in _SURROGATES:
        raise LiteralFault(f"Invalid escape sequence: '\\{text[at + 1]}{raw}'", at)
    return chr(value), at + 2 + digits

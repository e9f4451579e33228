"""Plain YAML scalars as YAML 1.2's core schema reads them: no surprises of YAML 1.1.

In: the text of an unquoted scalar. Out: null, bool, int, float or the text itself. ``on``, ``NO``,
``12:30:45`` and dates stay text. Refuses numbers that JSON or the language could not carry.
"""

import math
import re
from typing import Final

from grammar.values import INT_MAX, INT_MIN

_NULLS: Final = frozenset({"", "~", "null", "Null", "NULL"})
_TRUE: Final = frozenset({"true", "True", "TRUE"})
_FALSE: Final = frozenset({"false", "False", "FALSE"})
_INTEGER = re.compile(r"[-+]?[0-9]+")
_OCTAL = re.compile(r"0o[0-7]+")
_HEX = re.compile(r"0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_NUMBER_CHARS_MAX: Final = 400
"""Longer digits cannot be a number we carry; also keeps ``int()`` away from its own limit."""

PlainValue = str | int | float | bool | None


class ScalarError(ValueError):
    """A number that no JSON document can carry exactly enough; the text says which and why."""


def resolve_plain(text: str) -> PlainValue:
    """Read an unquoted scalar. Raises ScalarError for numbers out of range and for NaN."""
    if text in _NULLS:
        return None
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    if text[0] not in "+-.0123456789":
        return text
    return _number(text)


def _number(text: str) -> PlainValue:
    if _NOT_FINITE.fullmatch(text):
        raise ScalarError(f"{text} is no value that JSON has")
    if len(text) > _NUMBER_CHARS_MAX:
        if _FLOAT.fullmatch(text):
            raise ScalarError("the number is too long")
        return text
    for pattern, radix in ((_INTEGER, 10), (_OCTAL, 8), (_HEX, 16)):
        if pattern.fullmatch(text):
            return _integer(text, radix)
    return _float(text) if _FLOAT.fullmatch(text) else text


def _integer(text: str, radix: int) -> int:
    value = int(text, radix)
    if not INT_MIN <= value <= INT_MAX:
        raise ScalarError("the number needs more than 64 bits")
    return value


def _float(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ScalarError("the number is too large")
    return value

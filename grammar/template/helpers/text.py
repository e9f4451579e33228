"""Helpers on text. In: a value (numbers and booleans as their text). Out: text.

Null and missing values give empty text. Refuses arrays and maps (type_mismatch).
"""

from __future__ import annotations

from typing import Any, Final

from grammar.budget import Budget
from grammar.template.formatting import HelperFaultError, claim, to_text

TRUNCATE_MAX: Final = 1_000_000


def uppercase(budget: Budget, value: Any) -> str:
    """`uppercase text`: the text in capitals. Errors: type_mismatch. Charged by length."""
    return _text(budget, "uppercase", value).upper()


def lowercase(budget: Budget, value: Any) -> str:
    """`lowercase text`: the text in small letters. Errors: type_mismatch. Charged by length."""
    return _text(budget, "lowercase", value).lower()


def capitalize(budget: Budget, value: Any) -> str:
    """`capitalize text`: the first letter in capital, the rest as it is. Errors: type_mismatch."""
    text = _text(budget, "capitalize", value)
    return text[:1].upper() + text[1:]


def truncate(budget: Budget, value: Any, length: Any, suffix: Any = "...") -> str:
    """`truncate text length [suffix]`: at most `length` code points, the suffix (`...`) included.

    Errors: type_mismatch, also for a length that is no integer from 0 to 1,000,000.
    """
    if isinstance(length, bool) or not isinstance(length, int) or not 0 <= length <= TRUNCATE_MAX:
        raise HelperFaultError("truncate: the length must be an integer, 0 or more")
    text = _text(budget, "truncate", value)
    if len(text) <= length:
        return text
    end = _text(budget, "truncate", suffix)[:length]
    return text[: length - len(end)] + end


def _text(budget: Budget, name: str, value: Any) -> str:
    if value is not None and not isinstance(value, str | int | float):
        raise HelperFaultError(f"{name}: takes text, not an array or a map")
    text = to_text(value, budget)
    claim(len(text), budget)
    return text

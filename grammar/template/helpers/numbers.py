"""Helpers on numbers. In: a number, or a string that is one. Out: text for people, en-US style.

Halves round away from zero, judged by the digits that the number shows (`1.005` to two places is
`1.01`). Null and missing values give empty text. Refuses everything else (type_mismatch).
"""

from __future__ import annotations

import re
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Any, Final

from grammar.budget import Budget
from grammar.template.formatting import (
    CHARACTERS_AN_OPERATION,
    HelperFaultError,
    float_text,
    integer_text,
)

DECIMALS_MAX: Final = 20
DIGITS_MAX: Final = 400
"""Digits of a number that is shown; the largest float has 309."""
_NUMBER: Final = re.compile(r"\s*[+-]?\d{1,400}(?:\.\d{1,400})?(?:[eE][+-]?\d{1,2})?\s*", re.ASCII)
_CODE: Final = re.compile(r"[A-Za-z]{3}", re.ASCII)
_SYMBOLS: Final = {
    "AUD": "A$",
    "BRL": "R$",
    "CAD": "CA$",
    "CNY": "CN¥",
    "EUR": "€",
    "GBP": "£",
    "ILS": "₪",
    "INR": "₹",
    "JPY": "¥",
    "KRW": "₩",
    "MXN": "MX$",
    "NZD": "NZ$",
    "USD": "$",
    "VND": "₫",
}
_NO_DECIMALS: Final = frozenset({"CLP", "ISK", "JPY", "KRW", "PYG", "UGX", "VND", "XAF", "XOF"})
_THREE_DECIMALS: Final = frozenset({"BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"})
_CURRENCY_DECIMALS: Final = 2
_DECIMALS_SHOWN: Final = 3


def format_number(budget: Budget, value: Any, decimals: Any = None) -> str:
    """`formatNumber number [decimals]`: thousands by comma, `1,234,567.5`.

    Without `decimals` (0 to 20) at most three, and no trailing zeros. Errors: type_mismatch.
    """
    number = _number(budget, "formatNumber", value)
    if not isinstance(number, Decimal):
        return number
    if decimals is not None:
        return f"{_rounded(number, _decimals('formatNumber', decimals)):,f}"
    text = f"{_rounded(number, _DECIMALS_SHOWN):,f}"
    return text.rstrip("0").rstrip(".")


def currency(budget: Budget, value: Any, code: Any = "USD") -> str:
    """`currency amount [code]`: `$1,234.50`; `code` is ISO 4217 (USD), or a symbol to put first.

    Errors: type_mismatch, also for a code that is no text.
    """
    if not isinstance(code, str):
        raise HelperFaultError("currency: the code must be text, like `EUR`")
    number = _number(budget, "currency", value)
    if not isinstance(number, Decimal):
        return number
    name = code.upper()
    decimals = _CURRENCY_DECIMALS
    if name in _NO_DECIMALS:
        decimals = 0
    elif name in _THREE_DECIMALS:
        decimals = 3
    mark = _SYMBOLS.get(name) or (f"{name} " if _CODE.fullmatch(code) else code)
    shown = _rounded(number, decimals)
    return f"{'-' if shown < 0 else ''}{mark}{abs(shown):,f}"


def percent(budget: Budget, value: Any, decimals: Any = 0) -> str:
    """`percent ratio [decimals]`: 0.256 is `26%`. Errors: type_mismatch."""
    places = _decimals("percent", decimals)
    number = _number(budget, "percent", value)
    if not isinstance(number, Decimal):
        return number
    return f"{_rounded(_EXACT.scaleb(number, 2), places):,f}%"


_EXACT: Final = Context(prec=DIGITS_MAX * 3, rounding=ROUND_HALF_UP)


def _rounded(number: Decimal, places: int) -> Decimal:
    rounded = number.quantize(Decimal(1).scaleb(-places), context=_EXACT)
    return rounded or abs(rounded)


def _decimals(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= DECIMALS_MAX:
        raise HelperFaultError(f"{name}: decimals must be an integer from 0 to {DECIMALS_MAX}")
    return value


def _number(budget: Budget, name: str, value: Any) -> Decimal | str:
    """Return the number, or the text to show at once: nothing for null, `NaN` and the like."""
    budget.charge(2)
    if value is None or value == "":
        return ""
    if isinstance(value, str):
        budget.charge(len(value) // CHARACTERS_AN_OPERATION)
        if _NUMBER.fullmatch(value):
            return Decimal(value.strip())
    elif isinstance(value, int | float) and not isinstance(value, bool):
        text = integer_text(value, budget) if isinstance(value, int) else repr(float(value))
        if len(text) <= DIGITS_MAX:
            number = Decimal(text)
            return number if number.is_finite() else float_text(float(value))
    raise HelperFaultError(f"{name}: takes a number")

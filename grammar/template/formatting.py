"""Values as text. In: JSON values. Out: what a tag renders for them.

As JavaScript does: null renders as nothing, an integral float without a fraction (`150.0` is
`150`), an array as its items joined by commas. A map renders as its JSON text, where JavaScript
would write `[object Object]`. Integers stay exact. Refuses values with no text (HelperFaultError).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from typing import Any, Final

from grammar.budget import Budget
from grammar.errors import BudgetExceededError
from grammar.values import HostMap

find_special: Final = re.compile("[&<>\"'`=]").search
_ENTITIES: Final = (
    ("&", "&amp;"),
    ("<", "&lt;"),
    (">", "&gt;"),
    ('"', "&quot;"),
    ("'", "&#x27;"),
    ("`", "&#x60;"),
    ("=", "&#x3D;"),
)
"""`&` first: the others write one."""
CHARACTERS_AN_OPERATION: Final = 16
"""Characters of built text that count as one operation."""
BITS_AN_OPERATION: Final = 64
CHARACTERS_UNPAID: Final = 32
"""The length up to which a text is escaped as part of its tag."""
SMALL: Final = 2**63
_PLAIN_FLOAT_MAX: Final = 1e21
_PLAIN_FLOAT_MIN: Final = 1e-6


class HelperFaultError(Exception):
    """What a helper or a read refuses, before the template gives it its place in the source."""

    def __init__(self, message: str, *, kind: str = "type_mismatch") -> None:
        super().__init__(message)
        self.message = message
        self.kind = kind


def claim(characters: int, budget: Budget) -> None:
    """Pay for a text before it is built. Raises BudgetExceededError, also limit_data_size."""
    cap = budget.limits.string_bytes
    if cap is not None and characters > cap:
        raise BudgetExceededError(
            f"Text too long: the limit is {cap} bytes", kind="limit_data_size"
        )
    budget.charge(characters // CHARACTERS_AN_OPERATION)


def to_text(value: Any, budget: Budget) -> str:
    """Return the text a tag renders. Raises HelperFaultError for what has none.

    Arrays and maps are measured and paid for before their text is built.
    """
    if type(value) is int and -SMALL < value < SMALL:
        return str(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return integer_text(value, budget)
    if isinstance(value, list | tuple):
        claim_whole(value, budget)
        return _array_text(value, budget)
    return _text_of(value, budget)


def _text_of(value: Any, budget: Budget) -> str:
    if isinstance(value, str):
        text = str(value)
    elif value is None:
        text = ""
    elif isinstance(value, bool):
        text = "true" if value else "false"
    elif isinstance(value, float):
        text = float_text(value)
    else:
        text = json_text(value, budget)
    return text


def _array_text(value: Sequence[Any], budget: Budget) -> str:
    """Return the items' texts joined by commas, nested arrays included."""
    return ",".join(
        _array_text(item, budget) if isinstance(item, list | tuple) else to_text(item, budget)
        for item in value
    )


def escape_html(value: Any, budget: Budget) -> str:
    """Return the text of a value with the seven characters escaped that Handlebars escapes."""
    if type(value) is int:
        return to_text(value, budget)
    text = value if type(value) is str else to_text(value, budget)
    if len(text) > CHARACTERS_UNPAID:
        claim(len(text), budget)
    if find_special(text):
        for mark, entity in _ENTITIES:
            text = text.replace(mark, entity)
    return text


def integer_text(value: int, budget: Budget) -> str:
    """Return an integer's digits. Raises HelperFaultError past CPython's limit of digits."""
    budget.charge(value.bit_length() // BITS_AN_OPERATION)
    try:
        return str(int(value))
    except ValueError:
        raise HelperFaultError("The integer has too many digits", kind="arithmetic") from None


def float_text(value: float) -> str:
    """Return a float as JavaScript writes it: shortest digits, `1e+21`, `1e-7`, `Infinity`."""
    if not math.isfinite(value):
        return "NaN" if value != value else ("Infinity" if value > 0 else "-Infinity")  # noqa: PLR0124
    if value == int(value) and abs(value) < _PLAIN_FLOAT_MAX:
        text = repr(value)
        return str(int(value)) if "e" in text or value == 0 else text.removesuffix(".0")
    text = repr(value)
    if "e" not in text:
        return text
    mantissa, exponent = text.split("e")
    power = int(exponent)
    if abs(value) >= _PLAIN_FLOAT_MIN and power < 0:
        sign = "-" if value < 0 else ""
        digits = mantissa.lstrip("-").replace(".", "")
        return f"{sign}0.{'0' * (-power - 1)}{digits}"
    return f"{mantissa}e{'+' if power > 0 else '-'}{abs(power)}"


def json_text(value: Any, budget: Budget, indent: int | None = None) -> str:
    """Return a value's JSON text, compact unless indented. Raises HelperFaultError."""
    claim_whole(value, budget, indent or 0)
    separators = (",", ":") if indent is None else (",", ": ")
    try:
        return json.dumps(
            value,
            ensure_ascii=False,
            allow_nan=False,
            indent=indent,
            separators=separators,
            default=_refuse,
        )
    except (ValueError, TypeError):
        raise HelperFaultError("The value has no JSON form", kind="not_serialisable") from None


def _refuse(value: object) -> Any:
    name = "a host map" if isinstance(value, HostMap) else type(value).__name__
    raise HelperFaultError(f"{name} cannot be shown whole; name a key", kind="not_serialisable")


def claim_whole(value: Any, budget: Budget, indent: int = 0) -> None:
    """Pay for the JSON text of a value, by levels; escapes in it are not counted.

    Raises BudgetExceededError, also limit_data_size and, past the limit of nesting, limit_depth.
    """
    characters, depth = 0, 0
    level = [value]
    while level:
        below: list[Any] = []
        for item in level:
            if not isinstance(item, dict | list | tuple):
                characters += _characters_of(item)
                continue
            if depth == budget.limits.data_depth:
                raise HelperFaultError("The value is nested too deeply", kind="limit_depth")
            budget.charge(1 + len(item) // 4)
            characters += 2 + len(item) * (2 + indent * (depth + 1))
            below.extend(item)
            if isinstance(item, dict):
                below.extend(item.values())
        level, depth = below, depth + 1
    claim(characters, budget)


def _characters_of(value: Any) -> int:
    """Return how many characters a value's JSON text has at least."""
    if isinstance(value, str):
        return 2 + len(value)
    return 1 + value.bit_length() // 4 if isinstance(value, int) else 3

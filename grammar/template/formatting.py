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

from grammar.values import HostMap

_SPECIAL: Final = re.compile("[&<>\"'`=]")
_ENTITIES: Final = str.maketrans(
    {
        "&": "&amp;",
        "<": "&lt;",
        ">": "&gt;",
        '"': "&quot;",
        "'": "&#x27;",
        "`": "&#x60;",
        "=": "&#x3D;",
    }
)
_PLAIN_FLOAT_MAX: Final = 1e21
_PLAIN_FLOAT_MIN: Final = 1e-6


class HelperFaultError(Exception):
    """What a helper or a read refuses, before the template gives it its place in the source."""

    def __init__(self, message: str, *, kind: str = "type_mismatch") -> None:
        super().__init__(message)
        self.message = message
        self.kind = kind


def to_text(value: Any) -> str:
    """Return the text a tag renders. Raises HelperFaultError for what has none."""
    if isinstance(value, str):
        text = str(value)
    elif value is None:
        text = ""
    elif isinstance(value, bool):
        text = "true" if value else "false"
    elif isinstance(value, int):
        text = integer_text(value)
    elif isinstance(value, float):
        text = float_text(value)
    elif isinstance(value, list | tuple):
        text = array_text(value)
    else:
        text = json_text(value)
    return text


def array_text(value: Sequence[Any]) -> str:
    """Return the items' texts joined by commas, nested arrays included."""
    try:
        return ",".join(to_text(item) for item in value)
    except RecursionError:
        raise HelperFaultError("The value is nested too deeply", kind="limit_depth") from None


def escape_html(value: Any) -> str:
    """Return the text of a value with the seven characters escaped that Handlebars escapes."""
    text = value if type(value) is str else to_text(value)
    return text.translate(_ENTITIES) if _SPECIAL.search(text) else text


def integer_text(value: int) -> str:
    """Return an integer's digits. Raises HelperFaultError past CPython's limit of digits."""
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


def json_text(value: Any, indent: int | None = None) -> str:
    """Return a value's JSON text, compact unless indented. Raises HelperFaultError."""
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
    except RecursionError:
        raise HelperFaultError("The value is nested too deeply", kind="limit_depth") from None


def _refuse(value: object) -> Any:
    name = "a host map" if isinstance(value, HostMap) else type(value).__name__
    raise HelperFaultError(f"{name} cannot be shown whole; name a key", kind="not_serialisable")

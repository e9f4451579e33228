"""The value of a node: JSON, no larger than SPEC 13 allows, or the step fails.

In: any Python value. Out: the same value. Refuses, as PermanentError, what is too large
(``too_large``), nests too deeply or is not JSON (``not_json``). Small values cost next to nothing:
a rough upper bound is taken first and the exact size only when that is not enough.
"""

import json
from math import isfinite
from typing import Any, Final

from actors.errors import PermanentError
from actors.events import JSON_DEPTH_MAX

OUTPUT_BYTES_MAX: Final = 256 * 1024
"""A node's value, as JSON (SPEC 13)."""

EVENT_BYTES_MAX: Final = 768 * 1024
"""A stored event (SPEC 13)."""

_CHAR_BYTES_MAX: Final = 6
"""A code point takes at most six bytes of JSON: an escaped control character."""

_SCALAR_BYTES_MAX: Final = 26
"""A float of 17 digits with sign, point, exponent and the comma behind it."""

_FLAT_ENTRIES_MAX: Final = 32
_FLAT_CHARS_MAX: Final = 256
_FLAT_INT_MAX: Final = 1 << 63
_FLAT_BYTES_MAX: Final = 128 * 1024
"""What 32 entries of 256 characters each take at most, with room to spare."""


def check_output(value: Any, what: str = "value", *, bytes_max: int = OUTPUT_BYTES_MAX) -> Any:
    """Give ``value`` back if a run may carry it. ``what`` names it in the error."""
    kind = type(value)
    if kind is bool or value is None:
        return value
    if kind is str and len(value) * _CHAR_BYTES_MAX < bytes_max:
        return value
    if kind is dict and bytes_max >= _FLAT_BYTES_MAX and _is_small_and_flat(value):
        return value
    if _bytes_at_most(value, what, bytes_max) > bytes_max and _json_bytes(value) > bytes_max:
        raise _too_large(what, bytes_max)
    return value


def _is_small_and_flat(entries: dict[Any, Any]) -> bool:
    """Tell quickly whether a map is one of the usual: few entries, none of them a container."""
    if len(entries) > _FLAT_ENTRIES_MAX:
        return False
    for key, value in entries.items():
        if type(key) is not str or len(key) > _FLAT_CHARS_MAX:
            return False
        kind = type(value)
        is_small = (
            value is None
            or kind is bool
            or (kind is int and -_FLAT_INT_MAX < value < _FLAT_INT_MAX)
            or (kind is str and len(value) <= _FLAT_CHARS_MAX)
            or (kind is float and isfinite(value))
        )
        if not is_small:
            return False
    return True


def _bytes_at_most(value: Any, what: str, bytes_max: int) -> int:
    """Bound the size of the JSON text from above, checking every part on the way."""
    total, level = 0, [value]
    for _ in range(JSON_DEPTH_MAX + 1):
        deeper: list[Any] = []
        for item in level:
            total += _own_bytes(item, what, deeper)
            if len(deeper) > bytes_max:  # each takes a byte at least; shared parts multiply
                raise _too_large(what, bytes_max)
        if not deeper:
            return total
        level = deeper
    raise PermanentError(f"the {what} nests deeper than {JSON_DEPTH_MAX}", reason="too_large")


def _too_large(what: str, bytes_max: int) -> PermanentError:
    return PermanentError(f"the {what} is larger than {bytes_max} bytes", reason="too_large")


def _own_bytes(item: Any, what: str, deeper: list[Any]) -> int:
    if item is None or isinstance(item, bool):
        return _SCALAR_BYTES_MAX
    if isinstance(item, str):
        return len(item) * _CHAR_BYTES_MAX + 3
    if isinstance(item, int):
        return item.bit_length() // 3 + 3
    return _container_bytes(item, what, deeper)


def _container_bytes(item: Any, what: str, deeper: list[Any]) -> int:
    if isinstance(item, dict):
        if not all(isinstance(key, str) for key in item):
            raise PermanentError(f"the {what} has a key that is not text", reason="not_json")
        deeper.extend(item.values())
        return 2 + sum(len(key) * _CHAR_BYTES_MAX + 4 for key in item)
    if isinstance(item, list):
        deeper.extend(item)
        return 2 + len(item)
    if isinstance(item, float) and isfinite(item):
        return _SCALAR_BYTES_MAX
    name = "NaN or infinity" if isinstance(item, float) else f"a {type(item).__name__}"
    raise PermanentError(f"the {what} has {name}, which is no JSON", reason="not_json")


def _json_bytes(value: Any) -> int:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return len(text.encode("utf-8", "surrogatepass"))

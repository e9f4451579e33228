"""Durations as flow files write them: milliseconds, or a number with its unit.

In: a number or a text. Out: milliseconds. Refuses everything else with ValueError.
"""

import re
from typing import Any, Final

_DURATION = re.compile(r"([0-9]{1,9}) ?(ms|s|m|h|d)", re.ASCII)
_DIGITS_MAX: Final = 20
_UNIT_MS: Final = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


def read_duration_ms(value: Any) -> int:
    """Read ``1500``, ``"500ms"``, ``"30s"``, ``"5m"``, ``"1h"`` or ``"2d"``."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    if isinstance(value, str):
        if value.isdecimal() and value.isascii() and len(value) <= _DIGITS_MAX:
            return int(value)
        found = _DURATION.fullmatch(value)
        if found is not None:
            return int(found[1]) * _UNIT_MS[found[2]]
    raise ValueError("must be milliseconds, or a number with ms, s, m, h or d, like '30s'")

"""Moments as people write them: ``2h`` ago, or a time of ISO 8601.

In: a text. Out: milliseconds since the epoch. Refuses every other text with ValueError, whose words
say what is understood.
"""

import re
from datetime import UTC, datetime
from typing import Final

_AGO: Final = re.compile(r"([0-9]{1,6})([smhdw])")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
UNDERSTOOD: Final = "how long ago, like 30m, 2h or 7d, or 2026-03-29T01:00Z"


def span_ms(text: str) -> int:
    """Read a length of time like ``90d`` or ``24h``, in milliseconds; ``0s`` is none."""
    found = _AGO.fullmatch(text)
    if found is None:
        raise ValueError(f"{text[:40]!r} is no length of time: write 30m, 24h or 90d")
    return int(found[1]) * _SECONDS[found[2]] * 1000


def parse_moment(text: str, now_ms: int) -> int:
    """Read a moment; a time without an offset is UTC."""
    ago = _AGO.fullmatch(text)
    if ago is not None:
        return max(0, now_ms - int(ago[1]) * _SECONDS[ago[2]] * 1000)
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return max(0, int(moment.timestamp() * 1000))
    except (ValueError, OverflowError):
        raise ValueError(f"{text[:40]!r} is no time: write {UNDERSTOOD}") from None

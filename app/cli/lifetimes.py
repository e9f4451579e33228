"""How long something shall last, as people write it: ``15m``, ``24h``, ``30d``, ``never``.

In: text. Out: milliseconds, None for never. Refuses anything else, and more than ten years.
"""

import re
from typing import Final

from app.errors import CommandError

LIFETIME_DAYS_MAX: Final = 3650
MS_PER_DAY: Final = 86_400_000

_LIFETIME = re.compile(r"([1-9][0-9]{0,8})([smhd])")
_MS = {"s": 1000, "m": 60_000, "h": 3_600_000, "d": MS_PER_DAY}


def parse_lifetime(text: str) -> int | None:
    """Read a lifetime in milliseconds; None is for ever."""
    if text == "never":
        return None
    found = _LIFETIME.fullmatch(text)
    lifetime_ms = int(found[1]) * _MS[found[2]] if found else 0
    if not 0 < lifetime_ms <= LIFETIME_DAYS_MAX * MS_PER_DAY:
        raise CommandError(
            f"{text!r} is no time to live", hint="write it like 15m, 24h, 30d or never"
        )
    return lifetime_ms

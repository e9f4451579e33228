"""``Retry-After``: when the world itself says to come again (RFC 9110, 10.2.3).

In: an answer's headers. Out: seconds from now, or None. A time in the past is 0.
"""

from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final

RETRY_AFTER_SECONDS_MAX: Final = 86_400.0
"""SPEC 13: a retry is put off by a day at most."""

_DIGITS_MAX: Final = 9


def delay_seconds(headers: Mapping[str, str]) -> float | None:
    """Read the form in seconds, the one that SendGrid and Twilio send; None for any other."""
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdecimal() and len(text) <= _DIGITS_MAX:
        return min(float(text), RETRY_AFTER_SECONDS_MAX)
    return None


def retry_after_seconds(headers: Mapping[str, str], now_ms: int) -> float | None:
    """Read seconds or a date; None where there is neither."""
    delay = delay_seconds(headers)
    if delay is not None:
        return delay
    try:
        moment = parsedate_to_datetime(headers.get("retry-after", "").strip())
    except (ValueError, IndexError, TypeError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    left = moment.timestamp() - now_ms / 1000
    return min(max(left, 0.0), RETRY_AFTER_SECONDS_MAX)

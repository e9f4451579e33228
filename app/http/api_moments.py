"""From when and until when, as a query or a body says it.

In: two texts, each how long ago (``2h``) or a time of ISO 8601. Out: milliseconds since the epoch.
Refuses every other text (BadRequestError).
"""

from app.dead_letters.moments import parse_moment
from app.errors import BadRequestError


def period_ms(since: str | None, until: str | None, now_ms: int) -> tuple[int | None, int | None]:
    """Give both; None where nothing is said."""
    return _moment_ms("since", since, now_ms), _moment_ms("until", until, now_ms)


def _moment_ms(name: str, text: str | None, now_ms: int) -> int | None:
    try:
        return None if text is None else parse_moment(text, now_ms)
    except ValueError:
        # The text itself is not repeated: it may be a secret at the wrong place.
        raise BadRequestError(
            f"{name} is no time: write how long ago, like 30m, 2h or 7d, or 2026-03-29T01:00Z"
        ) from None

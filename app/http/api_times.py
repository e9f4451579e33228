"""Times in queries and bodies of the API: ``since`` and ``until``.

In: texts as people write them, a clock. Out: milliseconds since the epoch. Refuses what is no time
(BadRequestError).
"""

from app.dead_letters.moments import UNDERSTOOD, parse_moment
from app.errors import BadRequestError
from app.http.api_models import QueryModel, Text


class TimesQuery(QueryModel):
    """Between which times."""

    since: Text | None = None
    """At this time or later: ``2026-03-29T01:00:00Z``, or ``2h`` for two hours ago."""
    until: Text | None = None
    """Before this time."""

    def between(self, now_ms: int) -> tuple[int | None, int | None]:
        """Give both in milliseconds. BadRequestError: one is no time."""
        return between(self.since, self.until, now_ms)


def between(since: str | None, until: str | None, now_ms: int) -> tuple[int | None, int | None]:
    """Give both in milliseconds. BadRequestError: one is no time."""
    return _parsed(since, now_ms, "since"), _parsed(until, now_ms, "until")


def _parsed(text: str | None, now_ms: int, name: str) -> int | None:
    try:
        return None if text is None else parse_moment(text, now_ms)
    except ValueError:
        # The text is not repeated: it may be a secret at the wrong place.
        raise BadRequestError(f"{name} is no time: write {UNDERSTOOD}") from None

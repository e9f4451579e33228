"""Times in queries of the API: ``since`` and ``until``.

In: texts as people write them, a clock. Out: milliseconds since the epoch. Refuses what is no time
(BadRequestError).
"""

from app.dead_letters.moments import parse_moment
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
        return _parsed(self.since, now_ms, "since"), _parsed(self.until, now_ms, "until")


def _parsed(text: str | None, now_ms: int, name: str) -> int | None:
    if text is None:
        return None
    try:
        return parse_moment(text, now_ms)
    except ValueError as error:
        raise BadRequestError(f"{name}: {error}") from None

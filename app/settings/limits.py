"""``[limits]``: how much of a tenant's work may wait.

In: plain values. Out: a frozen section. Refuses a backlog that a tenant's stream could not keep:
past the stream's size the oldest events go, processed or not.
"""

from typing import Final

from pydantic import Field

from app.settings.section import Section

BACKLOG_EVENTS: Final = 100_000
BACKLOG_BYTES: Final = 256 * 1024 * 1024
BACKLOG_BYTES_MAX: Final = 512 * 1024 * 1024
"""Half of a tenant's stream (`app.control.limits`), which keeps results and what is done too."""


class LimitsSection(Section):
    """``[limits]``: how much of a tenant's work may wait; past it webhooks get 429."""

    backlog_events: int = Field(default=BACKLOG_EVENTS, ge=10, le=10_000_000)
    """Events of a tenant that are stored and not yet processed; past it, webhooks get 429."""

    backlog_bytes: int = Field(default=BACKLOG_BYTES, ge=1024 * 1024, le=BACKLOG_BYTES_MAX)
    """And how many bytes they may have together."""

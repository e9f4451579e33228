"""``[plans.NAME]``: what tenants with a plan may use.

In: plain values. Out: frozen sections. Refuses plans that allow nothing at all: to stop a tenant is
something else.
"""

from typing import Final

from pydantic import Field

from actors.quotas.plan import PlanLimits
from app.settings.limits import BACKLOG_BYTES_MAX
from app.settings.section import Section

PLANS_MAX: Final = 100
STORED_BYTES_MIN: Final = 16 * 1024 * 1024
"""Sixteen of the largest events."""
STORED_BYTES_MAX: Final = 1 << 40


class PlanSection(Section):
    """``[plans.NAME]``: what a tenant with this plan may use; what is left out has no limit."""

    events_per_second: float | None = Field(default=None, gt=0, le=1_000_000)
    """Events taken in; past it webhooks get 429."""

    backlog_events: int | None = Field(default=None, ge=10, le=10_000_000)
    """Events that wait to be processed; `[limits]` says it for plans that do not."""

    backlog_bytes: int | None = Field(default=None, ge=1024 * 1024, le=BACKLOG_BYTES_MAX)
    """And how many bytes they may have together."""

    stored_bytes: int | None = Field(default=None, ge=STORED_BYTES_MIN, le=STORED_BYTES_MAX)
    """What its events and results take at most, 1 GiB for plans that do not say; the oldest go."""

    concurrent_runs: int | None = Field(default=None, ge=1, le=100_000)
    """Runs that wait for something at once, over all flows of the tenant; one for each worker."""

    script_operations_per_second: float | None = Field(default=None, ge=1000, le=1e12)
    """Operations of its scripts on the event loop; past it they are spaced out."""

    effects_per_minute: float | None = Field(default=None, gt=0, le=10_000_000)
    """Calls, actions of providers and emitted events; past it runs are put off."""

    weight: float = Field(default=1.0, ge=0.1, le=100)
    """Its share of a busy worker against that of other tenants."""

    def as_limits(self, name: str) -> PlanLimits:
        """Give the core's value."""
        return PlanLimits(name=name, **self.model_dump())

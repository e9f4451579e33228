"""A plan: what a tenant that has it may use.

In: an operator's numbers. Out: frozen limits; None is no limit. Refuses nothing: settings have
checked the numbers.
"""

from dataclasses import dataclass

DEFAULT_PLAN = "default"


@dataclass(frozen=True, slots=True)
class PlanLimits:
    """Limits of one tenant. Each process enforces its share of rates and runs (`Share`)."""

    name: str = DEFAULT_PLAN
    events_per_second: float | None = None
    """Events taken in."""
    backlog_events: int | None = None
    """Events that wait to be processed; None: as ``[limits]`` says."""
    backlog_bytes: int | None = None
    stored_bytes: int | None = None
    """What its events and results may take together; past it the oldest go. At most half of it may
    wait to be processed."""
    concurrent_runs: int | None = None
    """Runs that wait for the world at once."""
    script_operations_per_second: float | None = None
    """Of scripts on the event loop."""
    effects_per_minute: float | None = None
    """Calls, actions of providers and emitted events."""
    weight: float = 1.0
    """Its share of a busy worker against that of other tenants."""


UNLIMITED = PlanLimits()

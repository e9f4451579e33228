"""How long and how much each stream keeps, and how consumers are bounded.

In: nothing, or an operator's wishes. Out: frozen numbers. Refuses with BusError what would lose
events: a stream must keep what it has to recognize as a duplicate (DESIGN 3, Deduplication).
"""

from dataclasses import dataclass
from typing import Final

from app.errors import BusError

_HOUR: Final = 3600
_DAY: Final = 24 * _HOUR
_GIBIBYTE: Final = 1 << 30

DUPLICATE_WINDOW_SECONDS_MAX: Final = 3 * _DAY
"""A window costs about 200 bytes of server memory for each event within it."""


@dataclass(frozen=True, slots=True)
class StreamLimits:
    """Ages in seconds, sizes in bytes; 0 is no limit."""

    events_age_seconds: int = 7 * _DAY
    """How long a tenant's events and results are kept."""
    events_bytes: int = _GIBIBYTE
    """For each tenant; past it the oldest go. Four times the backlog quota of SPEC 13."""
    blobs_bytes: int = 4 * _GIBIBYTE
    """Attachments of all tenants, kept as long as events; past it they are refused (503)."""
    versions_age_seconds: int = 400 * _DAY
    """Flows that runs are bound to: longer than a run may sleep; each start keeps its own anew."""
    versions_bytes: int = _GIBIBYTE
    bundles_bytes: int = 4 * _GIBIBYTE
    """Bundles of all tenants, as long as a deployment's history names them."""
    events_duplicate_window_seconds: int = _DAY
    """How long a delivery or a run's result that comes again is recognized; at most 3 days."""
    work_duplicate_window_seconds: int = _HOUR
    """How long a continuation scheduled twice is one."""
    runs_age_seconds: int = 7 * _DAY
    runs_bytes: int = 4 * _GIBIBYTE
    usage_age_seconds: int = 35 * _DAY
    """How long an hour's usage is kept after it was counted last."""
    dead_age_seconds: int = 30 * _DAY
    dead_bytes: int = _GIBIBYTE
    egress_age_seconds: int = 7 * _DAY
    egress_bytes: int = _GIBIBYTE
    audit_age_seconds: int = 365 * _DAY
    audit_bytes: int = _GIBIBYTE
    consumers_max: int = 100_000
    """Of a stream of continuations: one for each tenant and lane. A server's default refuses the
    1,001st."""
    ack_pending_max: int = 512
    """What one tenant may have in flight over all workers."""
    lane_ack_pending_max: int = 1000
    """What a private lane may have in flight: its worker holds what may not run yet."""
    ack_wait_seconds: int = 30
    replicas: int = 0
    """On how many servers each stream is kept; 0 leaves those there are as they are."""

    def __post_init__(self) -> None:
        window = self.events_duplicate_window_seconds
        if not 0 < window <= DUPLICATE_WINDOW_SECONDS_MAX:
            raise BusError(f"the duplicate window must be 1 to {DUPLICATE_WINDOW_SECONDS_MAX} s")
        if 0 < self.events_age_seconds < window:
            raise BusError("events must be kept at least as long as the duplicate window")

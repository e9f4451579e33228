"""What is counted of private lanes.

In: what lanes report of themselves. Out: counters, and gauges of what a worker holds of each lane.
"""

from prometheus_client import CollectorRegistry, Counter, Gauge

from actors.observations import LaneHeld


class LaneMeter:
    """The metrics of lanes. Labels are bounded by the caller."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.refused = Counter(
            "greentic_lane_refused_total",
            "Runs that flow control refused or cancelled.",
            ("tenant", "flow", "rule"),
            registry=registry,
        )
        self.put_off = Counter(
            "greentic_lane_put_off_total",
            "Runs that a throttle sent back to their lane.",
            ("tenant", "flow"),
            registry=registry,
        )
        self.batched_events = Counter(
            "greentic_lane_batched_events_total",
            "Events that became part of a batch.",
            ("tenant", "flow"),
            registry=registry,
        )
        self._runs = Gauge(
            "greentic_lane_runs",
            "Runs that a worker holds of a lane.",
            ("tenant", "lane", "state"),
            registry=registry,
        )
        self._room = Gauge(
            "greentic_lane_room",
            "Deliveries of a lane that a worker could hold besides.",
            ("tenant", "lane"),
            registry=registry,
        )

    def hold(self, tenant: str, lane: str, held: LaneHeld) -> None:
        """Take what a worker holds now."""
        for state in ("waiting", "working", "asleep"):
            self._runs.labels(tenant, lane, state).set(getattr(held, state))
        self._room.labels(tenant, lane).set(held.room)

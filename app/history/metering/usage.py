"""What is counted of runs.

In: runs that ended. Out: sums, and percentiles of how long they took. Refuses nothing. Sums of sums
are sums: of flows, a tenant's; of hours, a day's.
"""

from typing import Annotated, Final

import msgspec

from app.history.metering.durations import bucket_of, percentile
from app.history.metering.records import CountedRun

STATUSES: Final = ("completed", "failed", "rejected", "cancelled")
FIGURES: Final = ("events", "runs", *STATUSES, "operations", "effects", "bytes", "duration_ms")
"""What is summed. ``events``: an event that two flows take counts for each of them."""
PERCENTILES: Final = {"p50_ms": 500, "p95_ms": 950, "p99_ms": 990}


Count = Annotated[int, msgspec.Meta(ge=0)]


class Usage(msgspec.Struct):
    """Sums over runs that ended; ``duration_ms`` is the sum of their durations."""

    events: Count = 0
    runs: Count = 0
    completed: Count = 0
    failed: Count = 0
    rejected: Count = 0
    cancelled: Count = 0
    operations: Count = 0
    effects: Count = 0
    bytes: Count = 0
    duration_ms: Count = 0
    durations: dict[int, Count] = {}
    """How many runs took how long, by `durations.bucket_of`."""

    def count(self, run: CountedRun) -> None:
        """Count one run. A status that nobody knows yet counts as a run alone."""
        self.runs += 1
        if run.status in STATUSES:
            setattr(self, run.status, getattr(self, run.status) + 1)
        self.events += run.events
        self.operations += run.operations
        self.effects += run.effects
        self.bytes += run.bytes
        self.duration_ms += run.duration_ms
        bucket = bucket_of(run.duration_ms)
        self.durations[bucket] = self.durations.get(bucket, 0) + 1

    def add(self, other: "Usage") -> None:
        """Add what another one counted."""
        for name in FIGURES:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for bucket, count in other.durations.items():
            self.durations[bucket] = self.durations.get(bucket, 0) + count

    def figures(self) -> dict[str, int]:
        """Give the sums by name."""
        return {name: getattr(self, name) for name in FIGURES}

    def percentiles(self) -> dict[str, float | None]:
        """Give how long runs took, in ms; None: there were none. See `RELATIVE_ERROR`."""
        return {
            name: None if value is None else round(value, 1)
            for name, value in (
                (name, percentile(self.durations, per_mille))
                for name, per_mille in PERCENTILES.items()
            )
        }

"""What is counted of runs.

In: runs that ended. Out: sums, and percentiles of how long they took. Refuses, when it is read,
what is no usage (ValueError). Sums of sums are sums: of flows, a tenant's; of hours, a day's.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from app.history.metering.durations import BOUNDS_MS, bucket_of, percentile
from app.history.metering.records import CountedRun

STATUSES: Final = ("completed", "failed", "rejected", "cancelled")
FIGURES: Final = ("events", "runs", *STATUSES, "operations", "effects", "bytes", "duration_ms")
"""What is summed. ``events``: an event that two flows take counts for each of them."""
PERCENTILES: Final = {"p50_ms": 500, "p95_ms": 950, "p99_ms": 990}


@dataclass(slots=True)
class Usage:
    """Sums over runs that ended; ``duration_ms`` is the sum of their durations."""

    events: int = 0
    runs: int = 0
    completed: int = 0
    failed: int = 0
    rejected: int = 0
    cancelled: int = 0
    operations: int = 0
    effects: int = 0
    bytes: int = 0
    duration_ms: int = 0
    durations: dict[int, int] = field(default_factory=dict)
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

    def as_mapping(self) -> dict[str, Any]:
        """Give it as JSON; `parse_usage` is the inverse."""
        buckets = {str(bucket): self.durations[bucket] for bucket in sorted(self.durations)}
        return {**self.figures(), "durations": buckets}


def parse_usage(document: Mapping[str, Any]) -> Usage:
    """Read usage; ValueError for what is none."""
    try:
        figures = {name: _count(document[name]) for name in FIGURES}
        durations = document["durations"].items()
        return Usage(**figures, durations={_bucket(key): _count(value) for key, value in durations})
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"this is no usage: {error}") from None


def _bucket(key: str) -> int:
    bucket = int(key)
    if not 0 <= bucket < len(BOUNDS_MS):
        raise ValueError(f"there is no bucket {bucket}")
    return bucket


def _count(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f"{value!r} is no count")
    return value

"""What is counted of the history.

In: what the history role reports. Out: counters, a histogram, and gauges of how far it is behind.
"""

from collections.abc import Mapping
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from app.observability.usage import UsageMeter

WRITE_SECONDS_BUCKETS: Final = (0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 10.0)


class HistoryMeter:
    """The metrics of the history. Streams are few: one for each shard."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.usage = UsageMeter(registry)
        self._records = Counter(
            "greentic_history_records_total",
            "Run records that the history has read, by what became of them.",
            ("outcome",),
            registry=registry,
        )
        self.write_seconds = Histogram(
            "greentic_history_write_seconds",
            "How long batches of runs took to be written.",
            buckets=WRITE_SECONDS_BUCKETS,
            registry=registry,
        )
        self._failures = Counter(
            "greentic_history_failures_total",
            "Failures of the history's work; it is tried again.",
            ("what",),
            registry=registry,
        )
        self._forgotten = Counter(
            "greentic_history_forgotten_total",
            "Runs that the history let go, since they were old or their tenant was deleted.",
            ("why",),
            registry=registry,
        )
        self._lag_records = Gauge(
            "greentic_history_lag_records",
            "Run records that are not in the history yet, estimated from the messages they are in.",
            ("stream",),
            registry=registry,
        )
        self._lag_seconds = Gauge(
            "greentic_history_lag_seconds",
            "Age of the oldest run record that is not in the history yet.",
            ("stream",),
            registry=registry,
        )

    def count_records(self, outcomes: Mapping[str, int]) -> None:
        """Count records: ``written``, ``repeated``, ``erased``, ``malformed``."""
        for outcome, count in outcomes.items():
            if count:
                self._records.labels(outcome).inc(count)

    def fail(self, what: str) -> None:
        """Count a failure: ``database``, ``stream``, ``retention``, ``erasure``, ``role``."""
        self._failures.labels(what).inc()

    def forget(self, why: str, runs: int) -> None:
        """Count runs that were let go: ``old``, ``tenant``."""
        if runs:
            self._forgotten.labels(why).inc(runs)

    def lag(self, stream: str, records: int, seconds: float) -> None:
        """Take how far it is behind."""
        self._lag_records.labels(stream).set(records)
        self._lag_seconds.labels(stream).set(seconds)

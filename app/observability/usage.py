"""What metering shows of itself, and of what tenants have used in the current hour.

In: what the process that counts reports, and where it can be asked for the current hour. Out:
counters and gauges. Tenants beyond `TENANTS_MAX` are summed as ``other``. Refuses nothing.

The windows themselves, by flow and for as long as they are kept, are read through the API: as
metrics they would be a number for each flow and hour.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from app.observability.labels import TENANTS_MAX, BoundedLabels

FIGURES: Final = ("events", "operations", "effects", "bytes")
OUTCOMES: Final = ("completed", "failed", "rejected", "cancelled")


@dataclass(frozen=True, slots=True)
class TenantHour:
    """What a tenant has used since the hour began."""

    figures: Mapping[str, int]
    """By the names of `FIGURES`."""
    outcomes: Mapping[str, int]
    """Runs, by the names of `OUTCOMES`."""


class UsageMeter(Collector):
    """The metrics of metering."""

    def __init__(self, registry: CollectorRegistry, tenants_max: int = TENANTS_MAX) -> None:
        self._tenants = BoundedLabels(tenants_max)
        self._hour: Callable[[], Mapping[str, TenantHour]] = dict
        self._counted = Counter(
            "greentic_usage_runs_counted_total",
            "Runs that metering has counted.",
            registry=registry,
        )
        self._repeated = Counter(
            "greentic_usage_records_repeated_total",
            "Run records that were stored before, and so were not counted again.",
            registry=registry,
        )
        self._lag = Gauge(
            "greentic_usage_lag_records",
            "Run records that are not counted yet, estimated from the messages they are in.",
            ("stream",),
            registry=registry,
        )
        registry.register(self)

    def show(self, hour: Callable[[], Mapping[str, TenantHour]]) -> None:
        """Ask this for the current hour, by tenant, whenever somebody looks."""
        self._hour = hour

    def count(self, counted: int, repeated: int) -> None:
        """Count what became of a message's records."""
        self._counted.inc(counted)
        self._repeated.inc(repeated)

    def lag(self, stream: str, records: int) -> None:
        """Take how far metering is behind."""
        self._lag.labels(stream).set(records)

    def collect(self) -> Iterable[Metric]:
        """Give the gauges of the current hour. See `prometheus_client.registry.Collector`."""
        sums: dict[str, dict[str, int]] = {}
        for tenant, hour in self._hour().items():
            mine = sums.setdefault(self._tenants.bound(tenant), {})
            for name, value in (*hour.figures.items(), *hour.outcomes.items()):
                mine[name] = mine.get(name, 0) + value
        for figure in FIGURES:
            family = GaugeMetricFamily(
                f"greentic_usage_hour_{figure}",
                f"What flows have used since the hour began (UTC): {figure}.",
                labels=("tenant",),
            )
            for tenant, mine in sums.items():
                family.add_metric((tenant,), mine.get(figure, 0))
            yield family
        runs = GaugeMetricFamily(
            "greentic_usage_hour_runs",
            "Runs that have ended since the hour began (UTC), by how they ended.",
            labels=("tenant", "outcome"),
        )
        for tenant, mine in sums.items():
            for outcome in OUTCOMES:
                runs.add_metric((tenant, outcome), mine.get(outcome, 0))
        yield runs

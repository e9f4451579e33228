"""What metering shows of the current hour: a bounded number of tenants, the rest as ``other``."""

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest

from app.observability.usage import TenantHour, UsageMeter


def an_hour(runs: int) -> TenantHour:
    figures = {"events": runs, "operations": 10 * runs, "effects": 0, "bytes": 5}
    return TenantHour(figures, {"completed": runs, "failed": 1})


def test_tenants_beyond_the_bound_are_summed() -> None:
    registry = CollectorRegistry()
    meter = UsageMeter(registry, tenants_max=2)
    hours = {name: an_hour(runs) for name, runs in (("a", 1), ("b", 2), ("c", 3), ("d", 4))}
    meter.show(lambda: hours)
    assert registry.get_sample_value("greentic_usage_hour_events", {"tenant": "b"}) == 2
    assert registry.get_sample_value("greentic_usage_hour_operations", {"tenant": "other"}) == 70
    ended = {"tenant": "other", "outcome": "failed"}
    assert registry.get_sample_value("greentic_usage_hour_runs", ended) == 2
    text = generate_latest(registry).decode()
    assert text.count("greentic_usage_hour_bytes{") == 3
    assert 'tenant="d"' not in text


def test_an_hour_that_is_over_shows_nothing() -> None:
    registry = CollectorRegistry()
    meter = UsageMeter(registry)
    meter.show(lambda: {"a": an_hour(1)})
    assert registry.get_sample_value("greentic_usage_hour_events", {"tenant": "a"}) == 1
    meter.show(dict)
    assert registry.get_sample_value("greentic_usage_hour_events", {"tenant": "a"}) is None


def test_what_was_counted_is_counted() -> None:
    registry = CollectorRegistry()
    meter = UsageMeter(registry)
    meter.count(3, 1)
    meter.count(2, 0)
    meter.lag("RUNS-dev-0", 7)
    assert registry.get_sample_value("greentic_usage_runs_counted_total") == 5
    assert registry.get_sample_value("greentic_usage_records_repeated_total") == 1
    assert registry.get_sample_value("greentic_usage_lag_records", {"stream": "RUNS-dev-0"}) == 7

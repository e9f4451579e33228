"""Backlogs and refusals by tenant, with labels that strangers cannot multiply."""

from actors.observations import BacklogMeasured, EventRefused
from app.bus.observations import BacklogDrained, BacklogFilled, EventsLost
from app.observability.labels import TENANTS_MAX
from app.observability.loop_watchdog import LoopResumed, LoopStalled, LoopStuck, ProcessPaused
from app.observability.metrics import Metrics
from app.observability.observer import ReportingObserver
from app.observability.rules import rule_by_name


def test_backlog_shows_what_was_measured_last() -> None:
    metrics = Metrics()
    observer = ReportingObserver(metrics)
    observer.observe(BacklogMeasured("acme", 10, 1000, 0))
    observer.observe(BacklogMeasured("acme", 7, 700, 2))
    value = metrics.registry.get_sample_value
    assert value("greentic_backlog_events", {"tenant": "acme"}) == 7
    assert value("greentic_backlog_bytes", {"tenant": "acme"}) == 700
    assert value("greentic_events_lost", {"tenant": "acme"}) == 2


def test_refusals_are_counted_by_a_bounded_number_of_tenants() -> None:
    metrics = Metrics()
    observer = ReportingObserver(metrics)
    for number in range(TENANTS_MAX + 3):
        observer.observe(EventRefused(f"t{number}", "quota_exceeded"))
    labels = {"tenant": "other", "reason": "quota_exceeded"}
    assert metrics.registry.get_sample_value("greentic_events_refused_total", labels) == 3


def test_what_a_person_must_look_at_is_an_error() -> None:
    levels = {
        kind.__name__: rule_by_name(kind).level
        for kind in (
            EventsLost, LoopStuck, BacklogFilled, LoopStalled, ProcessPaused, BacklogDrained,
            LoopResumed,
        )
    }  # fmt: skip
    assert levels == {
        "EventsLost": "error",
        "LoopStuck": "error",
        "BacklogFilled": "warning",
        "LoopStalled": "warning",
        "ProcessPaused": "warning",
        "BacklogDrained": "info",
        "LoopResumed": "info",
    }

"""The metrics of one process, by name, and the page that shows them.

In: counts and durations from the observer and the ingress. Out: the Prometheus text format. Label
values are bounded: tenants and flows beyond `labels` count as ``other``.

    greentic_http_requests_total{route, status}      requests answered
    greentic_events_accepted_total{tenant, source, duplicate}  events stored, or stored before
    greentic_events_refused_total{tenant, reason}    events not taken in, by the quota they exceed
    greentic_effects_put_off_total{tenant, reason}   calls, actions and emitted events that wait
    greentic_backlog_events{tenant}                  events stored and not processed, as last seen
    greentic_backlog_bytes{tenant}                   their bytes, estimated
    greentic_events_lost{tenant}                     unprocessed events that the stream let go
    greentic_pulls{state}                            tenants of a worker by their pull's state
    greentic_event_loop_lag_seconds                  how late the event loop turned (histogram)
    greentic_event_loop_stalls_total                 how often it stood still
    greentic_tasks                                   tasks of the event loop now
    greentic_deliveries_unwanted_total{tenant}       events that no flow wanted
    greentic_deliveries_parked_total{tenant, code}   messages that were no events
    greentic_dead_letters_total{tenant, flow, reason}  dead letters stored; ``none``: of no flow
    greentic_dead_letters_redriven_total{tenant}     of them, redriven since a delivery came again
    greentic_runs_total{tenant, flow, outcome}       runs that reached an outcome
    greentic_run_duration_seconds{tenant}            how long runs took (histogram)
    greentic_script_wait_seconds                     how long scripts waited for a process
    greentic_script_run_seconds                      how long they ran there
    greentic_script_processes_lost_total{how}        processes that died, overran or grew too large
    greentic_http_calls_total{tenant, outcome}       calls to services, by status class or reason
    greentic_http_call_duration_seconds              how long they took, repeats included
    greentic_http_circuits_open                      hosts of tenants left alone since they failed
    greentic_secrets_read_total{tenant, source}      secrets asked for, by what gave them
    greentic_timers_fired_total{tenant, duplicate}   ticks stored, or stored by another worker
    greentic_timer_late_seconds                      how late ticks were (histogram)
    greentic_lane_refused_total{tenant, flow, rule}  runs that flow control refused or cancelled
    greentic_lane_put_off_total{tenant, flow}        runs that a throttle sent back to their lane
    greentic_lane_batched_events_total{tenant, flow}  events that became part of a batch
    greentic_lane_runs{tenant, lane, state}          runs a worker holds: waiting, working, asleep
    greentic_lane_room{tenant, lane}                 deliveries it could hold besides
    greentic_deployment_flows{tenant}                flows in force
    greentic_history_records_total{outcome}          run records read, by what became of them
    greentic_history_write_seconds                   how long batches took to be written
    greentic_history_failures_total{what}            failures of its work, which is tried again
    greentic_history_forgotten_total{why}            runs let go: ``old``; of a ``tenant`` deleted
    greentic_history_lag_records{stream}             run records not in the history, estimated
    greentic_history_lag_seconds{stream}             age of the oldest of them
    greentic_usage_runs_counted_total                runs that metering has counted
    greentic_usage_records_repeated_total            records stored before, not counted again
    greentic_usage_lag_records{stream}               run records not counted yet, estimated
    greentic_usage_hour_events{tenant}               used since the hour began: events,
    greentic_usage_hour_operations{tenant}           script operations,
    greentic_usage_hour_effects{tenant}              calls, actions, emitted events, starts,
    greentic_usage_hour_bytes{tenant}                bytes of payloads
    greentic_usage_hour_runs{tenant, outcome}        runs, by how they ended
    greentic_api_keys_refused_total{reason}          wrong API keys, or none judged (``locked``)
    greentic_lock_outs_total{by}                     lock-outs for guessing, by address or prefix
    greentic_actor_crashes_total{code}               crashes of actors
    greentic_actor_restarts_total                    restarts of actors
    greentic_actors_quarantined                      actors set aside now
    greentic_occurrences_total{event}                everything else that was observed, by name
"""

import asyncio
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

from app.observability.children import CachedCounter
from app.observability.history import HistoryMeter
from app.observability.labels import FLOWS_MAX, TENANTS_MAX, BoundedLabels
from app.observability.lanes import LaneMeter
from app.observability.requests import RequestMeter

CODES_MAX: Final = 100
SOURCES_MAX: Final = 50
OCCURRENCES_MAX: Final = 100
QUARANTINED_MAX: Final = 10_000

RUN_SECONDS_BUCKETS: Final = (0.001, 0.005, 0.02, 0.1, 0.5, 2.0, 10.0, 60.0, 300.0)
SCRIPT_SECONDS_BUCKETS: Final = (0.001, 0.01, 0.1, 0.5, 1.0, 2.0, 5.0, 10.0)
LAG_SECONDS_BUCKETS: Final = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0)
CALL_SECONDS_BUCKETS: Final = (0.01, 0.05, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
LATE_SECONDS_BUCKETS: Final = (0.05, 0.25, 1.0, 5.0, 30.0, 300.0, 3600.0)


class Metrics:
    """Everything this process counts; a registry of its own, so nothing is shared by accident."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests, self.lanes = RequestMeter(self.registry), LaneMeter(self.registry)
        self.history = HistoryMeter(self.registry)
        self.tenants = BoundedLabels(TENANTS_MAX)
        self.flows = BoundedLabels(FLOWS_MAX)
        self.codes = BoundedLabels(CODES_MAX)
        self.sources = BoundedLabels(SOURCES_MAX)
        self.occurrence_names = BoundedLabels(OCCURRENCES_MAX)
        self._add_event_metrics()
        self._add_run_metrics()
        self._add_access_metrics()
        self._add_actor_metrics()
        self._add_script_metrics()
        self._add_call_metrics()
        self._add_pressure_metrics()
        self._quarantined: set[str] = set()
        self._run_seconds_by_tenant: dict[str, Histogram] = {}

    def _add_event_metrics(self) -> None:
        self.accepted = self._counter(
            "greentic_events_accepted_total", "Events stored.", "tenant", "source", "duplicate"
        )
        self.unwanted = self._counter(
            "greentic_deliveries_unwanted_total", "Events that no flow wanted.", "tenant"
        )
        self.parked = self._counter(
            "greentic_deliveries_parked_total", "Messages that were no events.", "tenant", "code"
        )
        self.letters = self._counter(
            "greentic_dead_letters_total", "Dead letters stored.", "tenant", "flow", "reason"
        )
        self.letters_redriven = Counter(
            "greentic_dead_letters_redriven_total",
            "Dead letters redriven since a delivery came again.",
            ("tenant",),
            registry=self.registry,
        )
        self.timers = self._counter(
            "greentic_timers_fired_total", "Timer ticks stored.", "tenant", "duplicate"
        )
        self.timer_late_seconds = self._histogram(
            "greentic_timer_late_seconds", "How late timer ticks were stored.", LATE_SECONDS_BUCKETS
        )

    def _add_run_metrics(self) -> None:
        self.runs = self._counter(
            "greentic_runs_total", "Runs that reached an outcome.", "tenant", "flow", "outcome"
        )
        self.run_seconds = Histogram(
            "greentic_run_duration_seconds",
            "How long runs took.",
            ("tenant",),
            buckets=RUN_SECONDS_BUCKETS,
            registry=self.registry,
        )
        self.flows_in_force = Gauge(
            "greentic_deployment_flows", "Flows in force.", ("tenant",), registry=self.registry
        )

    def _add_access_metrics(self) -> None:
        self.keys_refused = self._counter(
            "greentic_api_keys_refused_total", "API keys refused.", "reason"
        )
        self.lock_outs = self._counter(
            "greentic_lock_outs_total", "Lock-outs for guessing API keys.", "by"
        )
        self.effects_put_off = self._counter(
            "greentic_effects_put_off_total",
            "Calls, actions and emitted events that wait for their tenant's quota.",
            "tenant",
            "reason",
        )
        self.secrets_read = self._counter(
            "greentic_secrets_read_total",
            "Secrets asked for, by what gave them.",
            "tenant",
            "source",
        )

    def _add_actor_metrics(self) -> None:
        self.crashes = self._counter("greentic_actor_crashes_total", "Crashes of actors.", "code")
        self.occurrences = self._counter(
            "greentic_occurrences_total", "Other observations, by name.", "event"
        )
        self.restarts = Counter(
            "greentic_actor_restarts_total", "Restarts of actors.", registry=self.registry
        )
        self._quarantined_gauge = Gauge(
            "greentic_actors_quarantined", "Actors set aside now.", registry=self.registry
        )

    def _add_script_metrics(self) -> None:
        self.script_wait_seconds = self._histogram(
            "greentic_script_wait_seconds",
            "How long scripts waited for a process.",
            SCRIPT_SECONDS_BUCKETS,
        )
        self.script_run_seconds = self._histogram(
            "greentic_script_run_seconds",
            "How long scripts ran in a process.",
            SCRIPT_SECONDS_BUCKETS,
        )
        self.script_processes_lost = self._counter(
            "greentic_script_processes_lost_total", "Script processes that ended.", "how"
        )

    def _add_call_metrics(self) -> None:
        self.calls = self._counter(
            "greentic_http_calls_total", "Calls to services outside.", "tenant", "outcome"
        )
        self.call_seconds = self._histogram(
            "greentic_http_call_duration_seconds",
            "How long calls to services outside took.",
            CALL_SECONDS_BUCKETS,
        )
        self.open_circuits = Gauge(
            "greentic_http_circuits_open",
            "Hosts of tenants that are left alone since they failed.",
            registry=self.registry,
        )

    def _add_pressure_metrics(self) -> None:
        self.refused = self._counter(
            "greentic_events_refused_total", "Events not taken in.", "tenant", "reason"
        )
        self.backlog_events = self._gauge(
            "greentic_backlog_events", "A tenant's events stored and not processed.", "tenant"
        )
        self.backlog_bytes = self._gauge(
            "greentic_backlog_bytes", "Bytes of a tenant's backlog, estimated.", "tenant"
        )
        self.events_lost = self._gauge(
            "greentic_events_lost",
            "Events that a stream let go before a worker had them: alert above 0.",
            "tenant",
        )
        self.pulls = self._gauge(
            "greentic_pulls", "Tenants of this worker, by the state of their pull.", "state"
        )
        self.loop_lag_seconds = self._histogram(
            "greentic_event_loop_lag_seconds",
            "How late the event loop turned.",
            LAG_SECONDS_BUCKETS,
        )
        self.loop_stalls = Counter(
            "greentic_event_loop_stalls_total",
            "How often the event loop stood still.",
            registry=self.registry,
        )
        self.tasks = Gauge(
            "greentic_tasks",
            "Tasks of the event loop, as the page is made.",
            registry=self.registry,
        )

    def render(self) -> tuple[bytes, str]:
        """Give the page and its media type."""
        self.tasks.set(count_tasks())
        return generate_latest(self.registry), CONTENT_TYPE_PLAIN_0_0_4

    def time_run(self, tenant: str, seconds: float) -> None:
        """Record how long a run took. ``tenant`` is bounded already."""
        child = self._run_seconds_by_tenant.get(tenant)
        if child is None:
            child = self._run_seconds_by_tenant[tenant] = self.run_seconds.labels(tenant)
        child.observe(seconds)

    def quarantine(self, name: str) -> None:
        """Count an actor as set aside, once."""
        if len(self._quarantined) < QUARANTINED_MAX:
            self._quarantined.add(name)
        self._quarantined_gauge.set(len(self._quarantined))

    def release(self, name: str) -> None:
        """Count an actor as no longer set aside; one that was not is no error."""
        if name in self._quarantined:
            self._quarantined.discard(name)
            self._quarantined_gauge.set(len(self._quarantined))

    def _counter(self, name: str, text: str, *labels: str) -> CachedCounter:
        return CachedCounter(Counter(name, text, labels, registry=self.registry))

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(name, text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(name, text, buckets=buckets, registry=self.registry)


def count_tasks() -> int:
    """Count the event loop's tasks; 0 where none runs."""
    try:
        return len(asyncio.all_tasks())
    except RuntimeError:
        return 0

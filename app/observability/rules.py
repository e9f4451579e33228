"""One table: what each observation of the core means as a log line and as a metric.

In: an observation's type. Out: its rule. The table is total over the core's observations, which a
test proves; what rooms above this one observe gets a rule made of its name (`rule_by_name`).

Levels: info = state changed; warning = will heal itself; error = a person must act; debug = the
hot path, which is counted and not said (a line costs more than the rest of an observation).
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

from actors import observations as core
from actors.kernel import observations as kernel
from app.identity import observations as identity
from app.observability.metrics import Metrics

NO_FLOW: Final = "none"
"""Stands for the flow of a dead letter that has none."""
_MS: Final = 1000
_YES_NO: Final = ("false", "true")
_MESSAGE_CHARS_MAX: Final = 4096
_FLOW_LEVELS: Final[Mapping[str, str]] = {
    "trace": "debug",
    "debug": "debug",
    "warn": "warning",
    "warning": "warning",
    "error": "error",
}


@dataclass(frozen=True, slots=True)
class Rule:
    """What one type of observation becomes."""

    event: str
    """The log line's name, ``noun.past_verb``."""
    level: str | Callable[[Any], str]
    record: Callable[[Metrics, Any], None]
    keys: tuple[str, ...]
    """The fields a log line carries, under the fixed keys of STYLE 5."""

    def level_of(self, observation: object) -> str:
        """Give the level of this very observation."""
        return self.level if isinstance(self.level, str) else self.level(observation)

    def fields_of(self, observation: object) -> dict[str, Any]:
        """Give what the log line carries; what is None is left out."""
        values = ((key, getattr(observation, key)) for key in self.keys)
        return {key: _shorten(value) for key, value in values if value is not None}


def _accepted(metrics: Metrics, seen: core.EventAccepted) -> None:
    tenant, source = metrics.tenants.bound(seen.tenant), metrics.sources.bound(seen.source)
    metrics.accepted.count(tenant, source, _YES_NO[seen.is_duplicate])


def _unwanted(metrics: Metrics, seen: core.DeliveryUnwanted) -> None:
    metrics.unwanted.count(metrics.tenants.bound(seen.tenant))


def _parked(metrics: Metrics, seen: core.DeliveryParked) -> None:
    metrics.parked.count(metrics.tenants.bound(seen.tenant), metrics.codes.bound(seen.error_code))


def _letter_parked(metrics: Metrics, seen: core.LetterParked) -> None:
    tenant, reason = metrics.tenants.bound(seen.tenant), metrics.codes.bound(seen.reason)
    flow = NO_FLOW if seen.flow is None else metrics.flows.bound(seen.flow)
    metrics.letters.count(tenant, flow, reason)


def _event_redriven(metrics: Metrics, seen: core.EventRedriven) -> None:
    metrics.letters_redriven.labels(metrics.tenants.bound(seen.tenant)).inc(seen.letters)


def _finished(metrics: Metrics, seen: core.RunFinished) -> None:
    tenant = metrics.tenants.bound(seen.tenant)
    metrics.runs.count(tenant, metrics.flows.bound(seen.flow), seen.outcome)
    metrics.time_run(tenant, seen.duration_ms / _MS)


def _pooled(metrics: Metrics, seen: core.ScriptPooled) -> None:
    metrics.script_wait_seconds.observe(seen.wait_ms / _MS)
    metrics.script_run_seconds.observe(seen.run_ms / _MS)


def _process_lost(metrics: Metrics, seen: core.ScriptProcessLost) -> None:
    metrics.script_processes_lost.count(metrics.codes.bound(seen.how))


def _called(metrics: Metrics, seen: core.CallEnded) -> None:
    tenant = metrics.tenants.bound(seen.tenant)
    metrics.calls.count(tenant, metrics.codes.bound(seen.outcome))
    metrics.call_seconds.observe(seen.duration_ms / _MS)
    metrics.open_circuits.set(seen.open_circuits)


def _measured(metrics: Metrics, seen: core.BacklogMeasured) -> None:
    tenant = metrics.tenants.bound(seen.tenant)
    metrics.backlog_events.labels(tenant).set(seen.events)
    metrics.backlog_bytes.labels(tenant).set(seen.bytes)
    metrics.events_lost.labels(tenant).set(seen.lost)


def _secret_read(metrics: Metrics, seen: core.SecretRead) -> None:
    metrics.secrets_read.count(metrics.tenants.bound(seen.tenant), seen.source)


def _refused(metrics: Metrics, seen: core.EventRefused) -> None:
    metrics.refused.count(metrics.tenants.bound(seen.tenant), metrics.codes.bound(seen.reason))


def _put_off(metrics: Metrics, seen: core.EffectPutOff) -> None:
    metrics.effects_put_off.count(
        metrics.tenants.bound(seen.tenant), metrics.codes.bound(seen.reason)
    )


def _fired(metrics: Metrics, seen: core.TimerFired) -> None:
    metrics.timers.count(metrics.tenants.bound(seen.tenant), _YES_NO[seen.is_duplicate])
    metrics.timer_late_seconds.observe(max(0, seen.late_ms) / _MS)


def _lane_refused(metrics: Metrics, seen: core.LaneRefused) -> None:
    tenant, flow = metrics.tenants.bound(seen.tenant), metrics.flows.bound(seen.flow)
    metrics.lanes.refused.labels(tenant, flow, seen.rule).inc()


def _lane_put_off(metrics: Metrics, seen: core.LanePutOff) -> None:
    tenant, flow = metrics.tenants.bound(seen.tenant), metrics.flows.bound(seen.flow)
    metrics.lanes.put_off.labels(tenant, flow).inc()


def _lane_batched(metrics: Metrics, seen: core.LaneBatched) -> None:
    tenant, flow = metrics.tenants.bound(seen.tenant), metrics.flows.bound(seen.flow)
    metrics.lanes.batched_events.labels(tenant, flow).inc(seen.events)


def _lane_held(metrics: Metrics, seen: core.LaneHeld) -> None:
    tenant, lane = metrics.tenants.bound(seen.tenant), metrics.flows.bound(seen.lane)
    metrics.lanes.hold(tenant, lane, seen)


def _key_refused(metrics: Metrics, seen: identity.KeyRefused) -> None:
    metrics.keys_refused.count(metrics.codes.bound(seen.reason))


def _guessing_locked(metrics: Metrics, seen: identity.GuessingLocked) -> None:
    metrics.lock_outs.count(seen.by)


def _applied(metrics: Metrics, seen: core.DeploymentApplied) -> None:
    metrics.flows_in_force.labels(metrics.tenants.bound(seen.tenant)).set(seen.flows)


def _crashed(metrics: Metrics, seen: kernel.ActorCrashed) -> None:
    metrics.crashes.count(metrics.codes.bound(seen.error_code))


def _restarted(metrics: Metrics, seen: kernel.ActorRestarted) -> None:
    metrics.restarts.inc()
    metrics.release(seen.name)


def _released(metrics: Metrics, seen: kernel.ActorStarted | kernel.ActorStopped) -> None:
    metrics.release(seen.name)


def _quarantined(metrics: Metrics, seen: kernel.ChildQuarantined) -> None:
    metrics.quarantine(seen.name)


def _occurrence(event: str, level: str | Callable[[Any], str], keys: tuple[str, ...]) -> Rule:
    """Make the rule of what has no metric of its own: it is counted under its name."""

    def count(metrics: Metrics, _: object) -> None:
        metrics.occurrences.count(metrics.occurrence_names.bound(event))

    return Rule(event, level, count, keys)


def _run_level(seen: core.RunFinished) -> str:
    return "warning" if seen.outcome == "failed" else "debug"


def _flow_level(seen: core.FlowLogged) -> str:
    return _FLOW_LEVELS.get(seen.level, "info")


_RUN: Final = ("tenant", "flow", "run_id", "event_id", "event_type", "outcome", "error_code")
_RUN_MORE: Final = ("node", "attempt", "steps", "duration_ms")
_ACTOR_ERROR: Final = ("name", "error", "error_code")

RULES: Final[Mapping[type, Rule]] = {
    core.EventAccepted: Rule(
        "event.accepted",
        "debug",
        _accepted,
        ("tenant", "event_type", "event_id", "source", "is_duplicate"),
    ),
    core.DeliveryUnwanted: Rule("delivery.unwanted", "debug", _unwanted, ("tenant", "event_type")),
    core.DeliveryParked: Rule(
        "delivery.parked", "warning", _parked, ("tenant", "subject", "error_code")
    ),
    core.LetterParked: Rule(
        "letter.parked", "warning", _letter_parked, ("tenant", "flow", "reason")
    ),
    core.EventRedriven: Rule(
        "event.redriven", "info", _event_redriven, ("tenant", "event_id", "letters")
    ),
    core.RedriveSkipped: _occurrence(
        "redrive.skipped", "warning", ("tenant", "event_id", "reason")
    ),
    core.RunFinished: Rule("run.finished", _run_level, _finished, _RUN + _RUN_MORE),
    core.FlowLogged: _occurrence(
        "flow.logged", _flow_level, ("tenant", "flow", "run_id", "node", "message")
    ),
    core.ScriptPooled: Rule("script.pooled", "debug", _pooled, ("tenant", "wait_ms", "run_ms")),
    core.ScriptProcessLost: Rule(
        "script.process_lost", "warning", _process_lost, ("tenant", "how", "pid")
    ),
    core.CallEnded: Rule("call.ended", "debug", _called, ("tenant", "outcome", "duration_ms")),
    core.BacklogMeasured: Rule(
        "backlog.measured", "debug", _measured, ("tenant", "events", "bytes", "lost")
    ),
    core.EventRefused: Rule("event.refused", "debug", _refused, ("tenant", "reason")),
    core.EffectPutOff: Rule("effect.put_off", "debug", _put_off, ("tenant", "reason")),
    core.SecretRead: Rule("secret.read", "debug", _secret_read, ("tenant", "source")),
    core.TimerFired: Rule(
        "timer.fired", "debug", _fired, ("tenant", "flow", "event_type", "scheduled_ms", "late_ms")
    ),
    core.LaneRefused: Rule("lane.refused", "debug", _lane_refused, ("tenant", "flow", "rule")),
    core.LanePutOff: Rule("lane.put_off", "debug", _lane_put_off, ("tenant", "flow", "wait_ms")),
    core.LaneBatched: Rule("lane.batched", "debug", _lane_batched, ("tenant", "flow", "events")),
    core.LaneHeld: Rule(
        "lane.held", "debug", _lane_held, ("tenant", "lane", "waiting", "working", "asleep", "room")
    ),
    core.LaneTaken: _occurrence("lane.taken", "info", ("tenant", "lane", "missing")),
    core.DeploymentApplied: Rule(
        "deployment.applied", "info", _applied, ("tenant", "revision", "flows")
    ),
    identity.KeyRefused: Rule("key.refused", "debug", _key_refused, ("reason",)),
    identity.GuessingLocked: Rule(
        "guessing.locked", "warning", _guessing_locked, ("by", "what", "failures", "seconds")
    ),
    kernel.ActorStarted: Rule("actor.started", "debug", _released, ("name",)),
    kernel.ActorCrashed: Rule("actor.crashed", "warning", _crashed, _ACTOR_ERROR),
    kernel.ActorRestarted: Rule("actor.restarted", "info", _restarted, ("name", "restarts")),
    kernel.ActorStopped: Rule("actor.stopped", "debug", _released, ("name",)),
    kernel.ActorStopFailed: _occurrence("actor.stop_failed", "warning", _ACTOR_ERROR),
    kernel.ActorAbandoned: _occurrence(
        "actor.abandoned", "error", ("name", "stop_timeout_seconds")
    ),
    kernel.ChildQuarantined: Rule(
        "actor.quarantined", "error", _quarantined, (*_ACTOR_ERROR, "retry_after_seconds")
    ),
    kernel.SupervisorFailed: _occurrence("supervisor.failed", "error", ("name", "child")),
}

_LEVELS_BY_VERB: Final[Mapping[str, str]] = {
    "connected": "info",
    "drained": "info",
    "given_up": "error",
    "lost": "error",
    "resumed": "info",
    "stuck": "error",
    "failed": "error",
    "restarted": "info",
}


def rule_by_name(kind: type) -> Rule:
    """Make a rule for an observation of a room above: ``BusConnected`` is ``bus.connected``."""
    event = name_of(kind)
    level = _LEVELS_BY_VERB.get(event.partition(".")[2], "warning")
    keys = tuple(field.name for field in fields(kind) if field.repr)
    return _occurrence(event, level, keys)


def name_of(kind: type) -> str:
    """Turn a class's name into ``noun.past_verb``; one word stands for itself."""
    noun, *verb = re.findall(r"[A-Z]+[a-z0-9]*", kind.__name__) or [kind.__name__]
    return f"{noun.lower()}.{'_'.join(verb).lower()}" if verb else noun.lower()


def _shorten(value: Any) -> Any:
    return value[:_MESSAGE_CHARS_MAX] if isinstance(value, str) else value

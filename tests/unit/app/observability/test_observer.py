"""Observations become lines and counts: the table is total, bounded and says no secrets."""

import dataclasses
import inspect
import types
import typing
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from structlog.testing import LogCapture

from actors import observations as core
from actors.kernel import observations as kernel
from app.bus import observations as bus
from app.observability import metrics as metrics_module
from app.observability.labels import OTHER, BoundedLabels
from app.observability.metrics import Metrics
from app.observability.observer import ReportingObserver
from app.observability.rules import RULES, name_of


def observation_types(module: types.ModuleType) -> Iterator[type]:
    for _, kind in inspect.getmembers(module, dataclasses.is_dataclass):
        if isinstance(kind, type) and kind.__module__ == module.__name__:
            yield kind


CORE_TYPES = [*observation_types(core), *observation_types(kernel)]
ALL_TYPES = [*CORE_TYPES, *observation_types(bus)]
SAMPLES: dict[Any, Any] = {str: "hunter", int: 3, bool: True, float: 0.5, BaseException: None}


def an_observation(kind: type, **given: Any) -> Any:
    hints = typing.get_type_hints(kind)
    values = {}
    for field in dataclasses.fields(kind):
        hint = hints[field.name]
        plain = next((part for part in typing.get_args(hint) if part in SAMPLES), hint)
        values[field.name] = ValueError("hunter2") if plain is BaseException else SAMPLES[plain]
    return kind(**(values | given))


class Watched:
    """An observer whose lines and metrics a test can read."""

    def __init__(self, level: str = "debug") -> None:
        self.capture = LogCapture()
        threshold = {"debug": 10, "info": 20, "warning": 30, "error": 40}[level]
        log = structlog.wrap_logger(
            None,
            processors=[self.capture],
            wrapper_class=structlog.make_filtering_bound_logger(threshold),
        ).bind()
        self.metrics = Metrics()
        self.observer = ReportingObserver(self.metrics, log)

    def observe(self, observation: object) -> list[Any]:
        before = len(self.capture.entries)
        self.observer.observe(observation)
        return list(self.capture.entries[before:])

    def value(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(name, labels)


@pytest.mark.parametrize("kind", CORE_TYPES, ids=lambda kind: kind.__name__)
def test_every_observation_of_the_core_has_a_rule(kind: type) -> None:
    assert kind in RULES
    names = {field.name for field in dataclasses.fields(kind)}
    assert set(RULES[kind].keys) <= names


def test_event_names_are_unique_and_of_the_form_noun_past_verb() -> None:
    names = [rule.event for rule in RULES.values()]
    assert len(names) == len(set(names))
    assert all(name.count(".") == 1 and name == name.lower() for name in names)


@pytest.mark.parametrize("kind", ALL_TYPES, ids=lambda kind: kind.__name__)
def test_every_observation_is_said_and_counted(kind: type) -> None:
    watched = Watched()
    before = watched.metrics.render()[0]
    lines = watched.observe(an_observation(kind))
    assert len(lines) == 1
    assert "hunter2" not in str(lines), "the text of an exception may quote a payload"
    if kind not in (kernel.ActorStarted, kernel.ActorStopped):
        assert watched.metrics.render()[0] != before


def test_what_is_no_observation_is_ignored() -> None:
    watched = Watched()
    assert watched.observe(object()) == []
    assert watched.observe("text") == []


@pytest.mark.parametrize(
    ("name", "expected"),
    [("BusConnected", "bus.connected"), ("ServerGivenUp", "server.given_up"), ("Odd", "odd"),
     ("_", "_")],
)  # fmt: skip
def test_rules_of_the_rooms_above_are_named_after_their_class(name: str, expected: str) -> None:
    assert name_of(type(name, (), {})) == expected


def test_completed_runs_are_counted_and_failed_ones_are_said() -> None:
    watched = Watched("info")
    assert watched.observe(an_observation(core.RunFinished, outcome="completed")) == []
    [line] = watched.observe(an_observation(core.RunFinished, outcome="failed", node=None))
    assert (line["event"], line["log_level"]) == ("run.finished", "warning")
    assert "node" not in line, "what is absent is left out"
    labels = {"tenant": "hunter", "flow": "hunter"}
    assert watched.value("greentic_runs_total", outcome="completed", **labels) == 1
    assert watched.value("greentic_runs_total", outcome="failed", **labels) == 1
    assert watched.value("greentic_run_duration_seconds_count", tenant="hunter") == 2


@pytest.mark.parametrize(
    ("said", "level"),
    [
        ("debug", "debug"),
        ("info", "info"),
        ("warn", "warning"),
        ("error", "error"),
        ("odd", "info"),
    ],
)
def test_flows_speak_at_their_own_level(said: str, level: str) -> None:
    [line] = Watched().observe(an_observation(core.FlowLogged, level=said, message="x" * 9000))
    assert line["log_level"] == level
    assert len(line["message"]) == 4096


def test_quarantine_is_a_gauge_that_falls_again() -> None:
    watched = Watched()
    for name in ("a", "a", "b"):
        watched.observe(an_observation(kernel.ChildQuarantined, name=name))
    assert watched.value("greentic_actors_quarantined") == 2
    watched.observe(an_observation(kernel.ActorRestarted, name="a"))
    watched.observe(an_observation(kernel.ActorStopped, name="b"))
    watched.observe(an_observation(kernel.ActorStopped, name="c"))
    assert watched.value("greentic_actors_quarantined") == 0
    assert watched.value("greentic_actor_restarts_total") == 1


def test_crash_is_described_by_class_and_place() -> None:
    try:
        int("hunter2")
    except ValueError as error:
        observation = an_observation(kernel.ActorCrashed, error=error)
    [line] = Watched().observe(observation)
    assert line["error_type"] == "ValueError"
    assert "test_crash_is_described" in line["error_stack"][-1]
    assert "error" not in line


def test_names_beyond_the_limit_are_counted_together() -> None:
    labels = BoundedLabels(2)
    assert [labels.bound(name) for name in ("a", "b", "c", "a", "d")] == [
        "a",
        "b",
        OTHER,
        "a",
        OTHER,
    ]


def test_tenants_cannot_multiply_label_values() -> None:
    watched = Watched()
    for number in range(300):
        watched.observe(an_observation(core.DeliveryUnwanted, tenant=f"t{number}"))
    page = watched.metrics.render()[0].decode()
    assert page.count("greentic_deliveries_unwanted_total{") == 201
    assert watched.value("greentic_deliveries_unwanted_total", tenant=OTHER) == 100


def test_documented_metrics_are_those_that_exist() -> None:
    doc = metrics_module.__doc__ or ""
    documented = {word.partition("{")[0] for word in doc.split() if word.startswith("greentic_")}
    watched = Watched()
    watched.metrics.requests.count("webhook", 202)
    for kind in CORE_TYPES:
        watched.observe(an_observation(kind))
    page = watched.metrics.render()[0].decode().splitlines()
    present = {line.split()[2] for line in page if line.startswith("# TYPE")}
    assert {name for name in present if not name.endswith("_created")} == documented

"""Triggers (SPEC 4, 12.5). In: trigger documents. Out: compiled triggers and findings."""

from collections.abc import Callable
from typing import Any

import pytest

from actors.diagnostics import Diagnostic
from actors.flows.compiled import CompiledTrigger, TimerSchedule
from actors.flows.compiler import compile_flow
from actors.nodes.resources import FlowResources

Flow = Callable[..., dict[str, Any]]
Examine = Callable[..., list[Diagnostic]]

TIMER = {"type": "timer", "cron": "0 9 * * 1", "target": "note"}


def compiled(document: Any, **resources: Any) -> tuple[CompiledTrigger, ...]:
    return compile_flow(document, FlowResources(**resources)).triggers


def test_triggers_are_numbered_in_file_order(flow: Flow) -> None:
    triggers = [
        {"type": "message", "target": "note"},
        {"type": "event", "event_type": "order.*", "target": "note"},
        TIMER,
        {"type": "default", "target": "done"},
        {**TIMER, "cron": "*/5 * * * * *", "timezone": "Europe/Paris", "misfire": "skip"},
    ]
    event, first, default, second = compiled(flow(name="auth/login", triggers=triggers))
    assert (event.number, event.type, event.pattern) == (2, "event", "order.*")
    assert (first.number, first.pattern) == (3, "timer.auth.login.1")
    assert first.schedule == TimerSchedule("0 9 * * 1", "UTC")
    assert (default.number, default.type, default.target) == (4, "default", "done")
    assert (second.number, second.pattern) == (5, "timer.auth.login.2")
    assert second.schedule == TimerSchedule("*/5 * * * * *", "Europe/Paris", "skip")


def test_timer_without_zone_uses_the_providers(flow: Flow) -> None:
    (trigger,) = compiled(flow(triggers=[TIMER]), timezone="Asia/Tokyo")
    assert trigger.schedule is not None
    assert trigger.schedule.timezone == "Asia/Tokyo"


def test_filter_is_compiled(flow: Flow) -> None:
    trigger = {"type": "default", "target": "note", "filter": "payload.total > 10"}
    (compiled_trigger,) = compiled(flow(triggers=[trigger]))
    assert compiled_trigger.filter is not None
    assert compiled_trigger.filter.run({"payload": {"total": 11}}) is True


@pytest.mark.parametrize("name", ["state", "secrets"])
def test_filter_cannot_wait(flow: Flow, findings: Examine, name: str) -> None:
    trigger = {"type": "default", "target": "note", "filter": f"{name}.x == 1"}
    found = findings(flow(triggers=[trigger]))
    assert "flow.filter_name" in [item.code for item in found]
    assert all(item.path == ("triggers", 0, "filter") for item in found)


def test_broken_filter_is_found_with_its_caret(flow: Flow, findings: Examine) -> None:
    trigger = {"type": "default", "target": "note", "filter": "payload.total >"}
    (finding,) = findings(flow(triggers=[trigger]))
    assert finding.code == "flow.condition"
    assert "^" in str(finding.excerpt)


@pytest.mark.parametrize(
    "event_type", ["a.result", "a.*.result", "a.>.b", "Order.Created", "a b", "", "x" * 129, "a..b"]
)
def test_bad_event_type_is_refused(flow: Flow, findings: Examine, event_type: str) -> None:
    trigger = {"type": "event", "event_type": event_type, "target": "note"}
    (finding,) = findings(flow(triggers=[trigger]))
    assert (finding.code, finding.path) == ("flow.bad_event_type", ("triggers", 0, "event_type"))


def test_upper_case_gets_a_hint(flow: Flow, findings: Examine) -> None:
    trigger = {"type": "event", "event_type": "Order.Created", "target": "note"}
    (finding,) = findings(flow(triggers=[trigger]))
    assert finding.hint == "event types are lower-case: 'order.created'"


@pytest.mark.parametrize("event_type", ["email.delivered", "twilio.sms.incoming", "timer.x.1", "*"])
def test_flow_may_listen_to_reserved_types(flow: Flow, event_type: str) -> None:
    trigger = {"type": "event", "event_type": event_type, "target": "note"}
    assert compiled(flow(triggers=[trigger]))[0].pattern == event_type


@pytest.mark.parametrize(
    "cron", ["61 * * * *", "* * * *", "a b c d e", "", "*/0 * * * *", "* * * * * * *", "@never"]
)
def test_bad_cron_is_refused(flow: Flow, findings: Examine, cron: str) -> None:
    (finding,) = findings(flow(triggers=[{**TIMER, "cron": cron}]))
    assert (finding.code, finding.path) == ("flow.bad_cron", ("triggers", 0, "cron"))
    assert finding.hint is not None


def test_time_that_never_comes_is_a_warning(flow: Flow, findings: Examine) -> None:
    (finding,) = findings(flow(triggers=[{**TIMER, "cron": "0 0 30 2 *"}]))
    assert (finding.severity, finding.code) == ("warning", "flow.cron_never")


def test_bad_zone_gets_a_hint(flow: Flow, findings: Examine) -> None:
    (finding,) = findings(flow(triggers=[{**TIMER, "timezone": "Europe/Pariss"}]))
    assert (finding.code, finding.hint) == ("flow.bad_timezone", "did you mean 'Europe/Paris'?")


@pytest.mark.parametrize("overlap", ["skip", "queue", "allow", "cancel"])
def test_overlap_is_one_of_four(flow: Flow, findings: Examine, overlap: str) -> None:
    document = flow(triggers=[{**TIMER, "overlap": overlap}])
    assert findings(document) == []
    schedule = compiled(document)[0].schedule
    assert schedule is not None
    assert schedule.overlap == overlap


def test_without_a_word_a_tick_is_skipped_while_the_last_one_runs(flow: Flow) -> None:
    schedule = compiled(flow(triggers=[TIMER]))[0].schedule
    assert schedule is not None
    assert (schedule.overlap, schedule.jitter_ms) == ("skip", 0)


@pytest.mark.parametrize(
    ("jitter", "milliseconds"),
    [(0, 0), (30, 30), ("500ms", 500), ("5s", 5000), ("2 m", 120_000), ("24h", 86_400_000)],
)
def test_jitter_is_milliseconds_or_says_its_unit(
    flow: Flow, jitter: int | str, milliseconds: int
) -> None:
    schedule = compiled(flow(triggers=[{**TIMER, "jitter": jitter}]))[0].schedule
    assert schedule is not None
    assert schedule.jitter_ms == milliseconds


@pytest.mark.parametrize(
    "jitter",
    [-1, 86_400_001, "25h", "5", "-5s", "5 s ", "s", "5d", "\u0665s", 1.5, True, None, [5]],
)
def test_bad_jitter_is_an_error(flow: Flow, findings: Examine, jitter: object) -> None:
    (finding,) = findings(flow(triggers=[{**TIMER, "jitter": jitter}]))
    assert (finding.severity, finding.path) == ("error", ("triggers", 0, "jitter"))


@pytest.mark.parametrize(
    ("cron", "jitter", "codes"),
    [
        ("*/5 * * * *", "299s", []),
        ("*/5 * * * *", "5m", ["flow.jitter"]),
        ("0,1 * * * *", "1m", ["flow.jitter"]),
        ("*/10 * * * * *", "10s", ["flow.jitter"]),
        ("0 0 30 2 *", "1h", ["flow.cron_never"]),
        ("61 * * * *", "1h", ["flow.bad_cron"]),
    ],
)
def test_jitter_as_long_as_the_interval_is_a_warning(
    flow: Flow, findings: Examine, cron: str, jitter: str, codes: list[str]
) -> None:
    found = findings(flow(triggers=[{**TIMER, "cron": cron, "jitter": jitter}]))
    assert [item.code for item in found] == codes
    if codes == ["flow.jitter"]:
        assert (found[0].severity, found[0].path) == ("warning", ("triggers", 0, "jitter"))


@pytest.mark.parametrize("kind", ["webhook", "setup"])
def test_trigger_of_a_later_version_is_an_error(flow: Flow, findings: Examine, kind: str) -> None:
    (finding,) = findings(flow(triggers=[{"type": kind, "target": "note", "path": "/x"}]))
    assert (finding.severity, finding.code) == ("error", "flow.not_yet")
    assert kind in finding.message


@pytest.mark.parametrize("kind", ["message", "callback_query", "block_action"])
def test_messaging_trigger_is_ignored_with_a_warning(
    flow: Flow, findings: Examine, kind: str
) -> None:
    document = flow(triggers=[{"type": kind, "target": "note", "pattern": "^hi"}])
    (finding,) = findings(document)
    assert (finding.severity, finding.code) == ("warning", "flow.unsupported_trigger")
    assert compiled(document) == ()


def test_messaging_trigger_without_target_is_an_error(flow: Flow, findings: Examine) -> None:
    found = findings(flow(triggers=[{"type": "message"}]))
    assert ("flow.missing_key", ("triggers", 0, "target")) in [(f.code, f.path) for f in found]


def test_unknown_type_gets_a_hint(flow: Flow, findings: Examine) -> None:
    (finding,) = findings(flow(triggers=[{"type": "evnt", "target": "note"}]))
    assert finding.hint == "did you mean 'event'?"
    (finding,) = findings(flow(triggers=[{"type": "qqq", "target": "note"}]))
    assert finding.hint == "known types: event, default, timer"


def test_too_long_a_name_for_timers_is_an_error(flow: Flow, findings: Examine) -> None:
    assert findings(flow(name="a/b/c/d/e/f", triggers=[TIMER])) == []
    (finding,) = findings(flow(name="a/b/c/d/e/f/g", triggers=[TIMER]))
    assert (finding.code, finding.path) == ("flow.timer_name", ("triggers", 0))
    assert findings(flow(name="a/b/c/d/e/f/g")) == []


def test_timer_type_longer_than_an_event_type_is_an_error(flow: Flow, findings: Examine) -> None:
    name = "/".join(["a" * 60, "b" * 62])
    (finding,) = findings(flow(name=name, triggers=[TIMER]))
    assert finding.code == "flow.timer_name"

"""Flow control in flow files. In: `config`. Out: a plan with bounds and keys, or findings."""

from collections.abc import Callable
from itertools import combinations
from typing import Any

import pytest

from actors.diagnostics import Diagnostic
from actors.events import Event
from actors.flows.compiled import TENANT_LANE, CompiledFlow
from actors.flows.compiler import compile_flow
from actors.flows.control import ControlPlan
from actors.flows.control_compiler import CLASHES
from actors.nodes.resources import FlowResources
from actors.outcomes import Completed
from actors.testing.clock import VirtualClock
from actors.testing.http import MemoryHttp
from actors.testing.ids import CountingIds
from actors.testing.local import LocalWorld, run_locally

Flow = Callable[..., dict[str, Any]]
Examine = Callable[..., list[Diagnostic]]

RULES: dict[str, dict[str, Any]] = {
    "concurrency": {"concurrency": {"limit": 2}},
    "tenant": {"concurrency": {"limit": 2, "scope": "tenant"}},
    "throttle": {"throttle": {"limit": 2, "period": "1s"}},
    "rate_limit": {"rate_limit": {"limit": 2, "period": "1s"}},
    "debounce": {"debounce": {"period": "1s"}},
    "batch": {"batch": {"max_size": 2, "max_wait": "1s"}},
    "skip": {"singleton": {"mode": "skip"}},
    "cancel": {"singleton": {"mode": "cancel"}},
    "ordered": {"ordered": "payload.id"},
    "isolated": {"isolated": True},
}
SAME_KEY = ({"concurrency", "tenant"}, {"skip", "cancel"})
PAIRS = [pair for pair in combinations(RULES, 2) if set(pair) not in SAME_KEY]
REFUSED = {
    frozenset(pair)
    for pair in (
        ("batch", "debounce"), ("batch", "rate_limit"), ("batch", "skip"), ("batch", "cancel"),
        ("batch", "ordered"), ("debounce", "rate_limit"), ("debounce", "skip"),
        ("debounce", "ordered"), ("ordered", "skip"), ("ordered", "cancel"), ("isolated", "tenant"),
    )
}  # fmt: skip


def compiled(document: dict[str, Any]) -> CompiledFlow:
    return compile_flow(document, FlowResources())


def plan_of(flow: Flow, config: dict[str, Any]) -> ControlPlan:
    control = compiled(flow(config=config)).control
    assert control is not None
    return control


# ── Plans ────────────────────────────────────────────────────────────────────────────────────


def test_flow_without_rules_has_no_lane(flow: Flow) -> None:
    found = compiled(flow(config={"isolated": False, "batch": None}))
    assert (found.control, found.lane) == (None, None)


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_alone_makes_a_lane(flow: Flow, rule: str) -> None:
    found = compiled(flow(config=RULES[rule], name="auth/login"))
    assert found.lane == (TENANT_LANE if rule == "tenant" else "auth.login")
    assert found.control is not None
    assert found.control.is_exclusive is (rule != "isolated")


def test_times_are_milliseconds_whatever_their_unit(flow: Flow) -> None:
    plan = plan_of(
        flow,
        {"throttle": {"limit": 3, "period": "1 h"}, "rate_limit": {"limit": 1, "period": "1d"}},
    )
    assert plan.throttle is not None
    assert plan.rate_limit is not None
    assert (plan.throttle.period_ms, plan.rate_limit.period_ms) == (3_600_000, 86_400_000)
    plan = plan_of(flow, {"debounce": {"period": 250, "max_wait": "2m"}})
    assert plan.debounce is not None
    assert (plan.debounce.period_ms, plan.debounce.max_wait_ms) == (250, 120_000)


def test_singleton_refuses_unless_told_to_cancel(flow: Flow) -> None:
    plan = plan_of(flow, {"singleton": {}})
    assert plan.singleton is not None
    assert plan.singleton.mode == "skip"


def test_key_is_an_expression_over_the_event(flow: Flow) -> None:
    plan = plan_of(flow, {"ordered": "payload.customer + '-' + event.event_type"})
    assert plan.ordered is not None
    scope = {"payload": {"customer": "c1"}, "event": {"event_type": "a.b"}}
    assert plan.ordered.run(scope) == "c1-a.b"


# ── Bounds ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("config", "path"),
    [
        ({"concurrency": {"limit": 0}}, ("concurrency", "limit")),
        ({"concurrency": {"limit": 1001}}, ("concurrency", "limit")),
        ({"concurrency": {"limit": True}}, ("concurrency", "limit")),
        ({"concurrency": {"limit": 1, "scope": "team"}}, ("concurrency", "scope")),
        ({"concurrency": {"limit": 1, "key": ""}}, ("concurrency", "key")),
        ({"concurrency": {"limit": 1, "key": "x" * 1001}}, ("concurrency", "key")),
        ({"concurrency": 3}, ("concurrency",)),
        ({"throttle": {"limit": 1, "period": 0}}, ("throttle", "period")),
        ({"throttle": {"limit": 1, "period": "25h"}}, ("throttle", "period")),
        ({"throttle": {"limit": 1, "period": "5"}}, ("throttle", "period")),
        ({"throttle": {"limit": 1, "period": 1.5}}, ("throttle", "period")),
        ({"rate_limit": {"limit": 1001, "period": 1}}, ("rate_limit", "limit")),
        ({"debounce": {"period": "2h"}}, ("debounce", "period")),
        ({"debounce": {"period": "1s", "max_wait": "2d"}}, ("debounce", "max_wait")),
        ({"debounce": {"period": "2s", "max_wait": "1s"}}, ("debounce",)),
        ({"batch": {"max_size": 1001, "max_wait": 1}}, ("batch", "max_size")),
        ({"batch": {"max_size": 1, "max_wait": "61m"}}, ("batch", "max_wait")),
        ({"singleton": {"mode": "wait"}}, ("singleton", "mode")),
        ({"ordered": True}, ("ordered",)),
        ({"isolated": "yes"}, ("isolated",)),
    ],
)
def test_value_out_of_bounds_is_an_error(
    flow: Flow, findings: Examine, config: Any, path: tuple[str, ...]
) -> None:
    (finding,) = findings(flow(config=config))
    assert (finding.code, finding.path) == ("flow.bad_value", ("config", *path))


@pytest.mark.parametrize(
    ("rule", "missing"),
    [("concurrency", ["limit"]), ("throttle", ["limit", "period"]), ("debounce", ["period"]),
     ("rate_limit", ["limit", "period"]), ("batch", ["max_size", "max_wait"])],
)  # fmt: skip
def test_what_a_rule_needs_is_required(
    flow: Flow, findings: Examine, rule: str, missing: list[str]
) -> None:
    found = [(item.code, item.path) for item in findings(flow(config={rule: {}}))]
    assert found == [("flow.missing_key", ("config", rule, key)) for key in missing]


def test_misspelt_key_gets_a_hint(flow: Flow, findings: Examine) -> None:
    (finding,) = findings(flow(config={"batch": {"max_size": 1, "max_wait": 1, "kee": "x"}}))
    assert (finding.code, finding.hint) == ("flow.unknown_key", "did you mean 'key'?")


# ── Keys ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ["state", "secrets"])
@pytest.mark.parametrize(
    "rule", ["concurrency", "throttle", "rate_limit", "debounce", "batch", "skip"]
)
def test_key_reads_only_what_is_known_before_the_run(
    flow: Flow, findings: Examine, rule: str, name: str
) -> None:
    ((key, value),) = RULES[rule].items()
    found = findings(flow(config={key: {**value, "key": f"{name}.x"}}))
    told = [(item.severity, item.path) for item in found if item.code == "flow.control_key"]
    assert told == [("error", ("config", key, "key"))]


def test_order_key_reads_only_what_is_known_before_the_run(flow: Flow, findings: Examine) -> None:
    (finding,) = findings(flow(config={"ordered": "state.get('x')"}))
    assert (finding.code, finding.path) == ("flow.control_key", ("config", "ordered"))


def test_key_that_is_no_expression_is_an_error(flow: Flow, findings: Examine) -> None:
    (finding,) = findings(flow(config={"ordered": "payload."}))
    assert (finding.severity, finding.code, finding.path) == (
        "error",
        "flow.script",
        ("config", "ordered"),
    )


# ── Pairs ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("one", "other"), PAIRS, ids="+".join)
def test_every_pair_is_either_fine_or_refused_with_a_way_out(
    flow: Flow, findings: Examine, one: str, other: str
) -> None:
    found = findings(flow(config={**RULES[one], **RULES[other]}))
    if {one, other} in REFUSED:
        (finding,) = found
        assert (finding.severity, finding.code) == ("error", "flow.control_clash")
        assert finding.path[0] == "config"
        assert finding.hint
    else:
        assert found == []


def test_no_clash_is_listed_that_never_strikes() -> None:
    listed = {frozenset((clash.one, clash.other)) for clash in CLASHES}
    as_modes = {
        frozenset(pair) - {"skip", "cancel"} | {"singleton"}
        if "batch" in pair and pair & {"skip", "cancel"}
        else pair
        for pair in REFUSED
    }
    assert listed == as_modes


# ── Timers and webhooks ──────────────────────────────────────────────────────────────────────


def timer(**more: Any) -> dict[str, Any]:
    return {"type": "timer", "cron": "* * * * *", "target": "note", **more}


@pytest.mark.parametrize("overlap", ["skip", "queue", "cancel"])
def test_overlap_spelled_out_beside_a_rule_is_an_error(
    flow: Flow, findings: Examine, overlap: str
) -> None:
    document = flow(triggers=[timer(overlap=overlap)], config={"concurrency": {"limit": 1}})
    (finding,) = findings(document)
    assert (finding.code, finding.path) == ("flow.control_clash", ("triggers", 0, "overlap"))
    assert finding.hint


@pytest.mark.parametrize("given", [{}, {"overlap": "allow"}])
def test_rules_decide_about_ticks_in_place_of_overlap(flow: Flow, given: dict[str, str]) -> None:
    document = flow(triggers=[timer(**given)], config={"concurrency": {"limit": 1}})
    schedule = compiled(document).triggers[0].schedule
    assert schedule is not None
    assert schedule.overlap == "allow"


def test_isolated_flow_keeps_its_overlap(flow: Flow) -> None:
    for more, expected in (({}, "skip"), ({"overlap": "queue"}, "queue")):
        document = flow(triggers=[timer(**more)], config={"isolated": True})
        schedule = compiled(document).triggers[0].schedule
        assert schedule is not None
        assert schedule.overlap == expected


@pytest.mark.parametrize("rule", ["batch", "debounce"])
def test_nobody_waits_for_the_answer_of_several_events(
    flow: Flow, findings: Examine, rule: str
) -> None:
    document = flow({"id": "note", "type": "http_response"}, config=RULES[rule])
    (finding,) = findings(document)
    assert (finding.severity, finding.code) == ("warning", "flow.control_answer")
    assert not compiled(document).can_answer


def test_other_rules_let_webhooks_wait(flow: Flow, findings: Examine) -> None:
    document = flow({"id": "note", "type": "http_response"}, config=RULES["concurrency"])
    assert findings(document) == []
    assert compiled(document).can_answer


async def test_batch_of_one_event_is_what_a_local_run_sees(flow: Flow) -> None:
    note = {"id": "note", "type": "script", "config": {"script": "events.map(|e| e.id)"}}
    found = compiled(flow(note, config=RULES["batch"]))
    clock = VirtualClock()
    place = LocalWorld("dev", "demo", MemoryHttp(), clock, CountingIds())
    event = Event("evt-1", "order.created", "webhook", 0, {})
    done = await run_locally(found, {found.name: found}, event, place)
    assert done.outcome == Completed(["evt-1"])

"""The judge sees what it is there for: made-up lives of a deployment, right and wrong."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from tests.rollouts.judge import Change, Evidence, Judge, PassedEvent, PassedRun, Said
from tests.rollouts.versions import DEFAULT, Flow, Version

ONE = Version(1, {"take": Flow("take", 1, ("load.plain",)), "rest": Flow("rest", 1, (DEFAULT,))})
TWO = Version(2, {**ONE.flows, "take": Flow("take", 2, ("load.plain",))})
NAMED = Version(2, {**ONE.flows, "odd": Flow("odd", 2, ("odd.*",))})
EVENT = PassedEvent("a", "load.plain", 7, 10, 5.0)
LATER = PassedEvent("b", "load.plain", 8, 20, 15.0)


def a_change(number: int, version: Version, at: float, **activated: int) -> Change:
    known = {key: 0 for flow in version.flows.values() for key, _ in flow.triggers()}
    since = {f"{name}#1": sequence for name, sequence in activated.items()}
    return Change(number, 100 + number, "apply", at, at + 0.1, version, known | since)


def a_run(event: PassedEvent, flow: str = "take", version: int = 1) -> PassedRun:
    started = event.stored_at + 0.01
    return PassedRun(
        event.id, flow, version, "completed", str(version), started, f"{event.id}:{flow}"
    )


def a_begin(run: PassedRun) -> Said:
    return Said(run.started_at, run_id=run.run_id, flow=run.flow, version=run.version)


CHANGES = (a_change(1, ONE, 0.0), a_change(2, TWO, 10.0))
RUNS = (a_run(EVENT), a_run(LATER, version=2))
SAID = (Said(0.2, revision=101), a_begin(RUNS[0]), Said(10.2, revision=102), a_begin(RUNS[1]))
GOOD = Evidence(CHANGES, {"worker-0": SAID}, (EVENT, LATER), RUNS, frozenset({"a", "b"}))


def broken(evidence: Evidence) -> list[str]:
    return [finding.check for finding in Judge(evidence).judge().findings]


def test_nothing_is_said_against_what_is_right() -> None:
    verdict = Judge(GOOD).judge()
    assert verdict.findings == []
    assert (verdict.events, verdict.runs, verdict.sure, verdict.begun) == (2, 2, 2, 2)
    assert verdict.seconds == pytest.approx([0.1, 0.1])


@pytest.mark.parametrize(
    ("runs", "check"),
    [
        pytest.param(RUNS[:1], "a flow in force all the way has one run", id="lost"),
        pytest.param((*RUNS, RUNS[0]), "a flow in force all the way has one run", id="twice"),
        pytest.param(
            (*RUNS, a_run(EVENT, "rest")), "no flow runs for what it does not want", id="unwanted"
        ),
        pytest.param(
            (RUNS[0], a_run(LATER, version=1)),
            "a run is of a version in force on its event's way",
            id="old version",
        ),
        pytest.param(
            (RUNS[0], replace(RUNS[1], output="1 then 2")),
            "a run ends on the version that it began with",
            id="changed on its way",
        ),
    ],
)
def test_wrong_run_is_seen(runs: Sequence[PassedRun], check: str) -> None:
    assert check in broken(replace(GOOD, runs=runs))


def test_begin_on_an_old_version_is_seen_by_its_own_workers_order_alone() -> None:
    old = replace(a_begin(RUNS[1]), version=1)
    check = "no run begins on a version older than acknowledged"
    assert broken(replace(GOOD, said={"worker-0": (*SAID[:3], old)})) == [check]
    # Another worker, which had not acknowledged the change yet, may begin with what it has.
    behind = (SAID[0], replace(old, at=10.21), Said(10.3, revision=102))
    assert broken(replace(GOOD, said={"worker-0": SAID, "worker-1": behind})) == []


def test_either_version_may_take_what_comes_while_a_change_is_taken_up() -> None:
    between = replace(LATER, stored_at=10.05)
    for version in (1, 2):
        run = a_run(between, version=version)
        assert broken(replace(GOOD, events=(EVENT, between), runs=(RUNS[0], run))) == []


def test_newer_version_may_take_what_waited_and_an_older_one_may_not() -> None:
    waited = replace(EVENT, stored_at=9.9)
    late = replace(a_run(waited, version=2), started_at=12.0)
    said = {"worker-0": (SAID[0], SAID[2], a_begin(late))}
    evidence = Evidence(CHANGES, said, (waited,), (late,), frozenset({"a"}))
    assert broken(evidence) == []
    old = replace(late, version=1, output="1")
    said = {"worker-0": (SAID[0], SAID[2], a_begin(old))}
    check = "no run begins on a version older than acknowledged"
    assert broken(replace(evidence, runs=(old,), said=said)) == [check]


@pytest.mark.parametrize("flow", ["odd", "rest"])
def test_flow_that_comes_or_goes_while_an_event_does_may_run_or_not(flow: str) -> None:
    event = PassedEvent("c", "odd.thing", 9, 30, 10.05)
    changes = (CHANGES[0], a_change(2, NAMED, 10.0))
    version = 2 if flow == "odd" else 1
    run = replace(a_run(event, flow, version), started_at=10.06)
    said = {"worker-0": (SAID[0], a_begin(run), Said(10.2, revision=102))}
    evidence = Evidence(changes, said, (event,), (run,), frozenset({"c"}))
    assert broken(evidence) == []
    assert broken(replace(evidence, runs=())) == ["what somebody wanted at any time is run"]


def test_change_that_one_process_never_acknowledged_is_seen() -> None:
    said = {"worker-0": SAID, "ingress-0": SAID[:1]}
    assert broken(replace(GOOD, said=said)) == ["every change is acknowledged by all"]


def test_event_that_is_not_stored_is_seen() -> None:
    evidence = replace(GOOD, accepted=frozenset({"a", "b", "c"}))
    assert broken(evidence) == ["accepted events are stored, once"]


def test_default_trigger_has_an_event_that_came_before_another_flow_named_its_type() -> None:
    old = PassedEvent("c", "odd.thing", 9, 30, 9.9)
    changes = (CHANGES[0], a_change(2, NAMED, 10.0, odd=30))
    said = {"worker-0": (SAID[0], SAID[2])}
    evidence = Evidence(changes, said, (old,), (), frozenset({"c"}))
    assert broken(replace(evidence, runs=(a_run(old, "rest"),))) == []
    assert "what somebody wanted at any time is run" in broken(replace(evidence, runs=()))
    new = replace(old, sequence=31, stored_at=15.0)
    runs = (a_run(new, "odd", 2),)
    assert broken(replace(evidence, events=(new,), runs=runs)) == []


def test_effect_of_another_version_or_executed_twice_is_seen() -> None:
    ring = Flow("ring", 1, ("load.plain",))
    changes = (a_change(1, Version(1, {"ring": ring}), 0.0),)
    run = a_run(EVENT, "ring")
    evidence = Evidence(changes, {"worker-0": SAID[:1]}, (EVENT,), (run,))
    check = "an effect is executed once, by the version of its run"
    assert broken(replace(evidence, calls={"ring/1/7": 1})) == []
    assert broken(replace(evidence, calls={"ring/1/7": 2})) == [check]
    assert broken(replace(evidence, calls={"ring/2/7": 1})) == [check]

"""Scenarios that simulations have found: what strikes at which moment, and what must hold then.

A seed says the same only with the same code; these strike at a named moment of a run instead.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from actors.events import Event
from actors.tenants.deployment import Deployment
from tests.simulation import ports
from tests.simulation.faults import NO_FAULTS
from tests.simulation.flows import compile_all
from tests.simulation.invariants import breaches_of
from tests.simulation.simulation import Plan, Played, play
from tests.simulation.witness import watched
from tests.simulation.workers import Fleet
from tests.simulation.world import TENANT, Fact, Mood

Strike = Callable[[Fact, Fleet], None]


def a_call(number: int, **fields: Any) -> dict[str, Any]:
    config = {"url": "http://outside/", "method": "POST", **fields.pop("config", {})}
    return {"id": f"one_n{number}", "type": "http", "config": config, **fields}


def counting(number: int) -> dict[str, Any]:
    name = f"one_n{number}"
    script = f'let c = state.get("{name}", 0) + 1; state.set("{name}", c); c'
    return {"id": name, "type": "script", "config": {"script": script}}


def a_flow(*nodes: dict[str, Any], **config: Any) -> dict[str, Any]:
    """A flow of nodes that follow each other unless they say otherwise."""
    for node, follower in pairwise(nodes):
        node.setdefault("next", follower["id"])
    trigger = {"type": "event", "event_type": "order.created", "target": nodes[0]["id"]}
    return {
        "name": "one",
        "version": "1",
        "triggers": [trigger],
        "nodes": list(nodes),
        "config": config,
    }


def play_one(
    document: dict[str, Any], strike: Strike, *, failures: int = 0, **fields: Any
) -> Played:
    """Play one event's run on two workers that only `strike` troubles."""
    flows = watched(compile_all([document]))
    plan = Plan(
        seed=0,
        documents=[document],
        flows=flows,
        next_flows=lambda: flows,
        events=((0.0, Event("event", "order.created", "webhook", 1, {"n": 1})),),
        mood_of=lambda _: Mood(failures=failures),
        rates=NO_FAULTS,
        strike=strike,
        **fields,
    )
    return play(plan)


def once(kind: str, what: str, do: Callable[[Fleet, str], None]) -> Strike:
    """Strike whoever does this first, and then never again."""
    struck: list[Fact] = []

    def strike(fact: Fact, fleet: Fleet) -> None:
        if fact.kind == kind and fact.what.startswith(what) and not struck:
            struck.append(fact)
            do(fleet, fact.by)

    return strike


def freezing(seconds: float) -> Callable[[Fleet, str], None]:
    return lambda fleet, life: fleet.worker_of(life).freeze(seconds)


def dying(seconds: float) -> Callable[[Fleet, str], None]:
    return lambda fleet, life: fleet.worker_of(life).die(seconds)


# ── Deliveries ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("knows_when", [True, False])
def test_what_came_in_while_frozen_may_be_another_workers(
    knows_when: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says that it is the first delivery, and was; a worker must look how late it sees it."""
    monkeypatch.setattr(ports, "KNOWS_WHEN", knows_when)
    played = play_one(a_flow(a_call(0), a_call(1)), once("deliver", "", freezing(45.0)))
    repeated = [breach for breach in breaches_of(played) if "had kept its outcome" in breach]
    assert bool(repeated) is not knows_when


@pytest.mark.parametrize("moment", ["effect", "journal", "result"])
def test_a_run_goes_on_where_a_death_left_it(moment: str) -> None:
    what = "one" if moment == "result" else "one_n1"
    flow = a_flow(a_call(0), a_call(1), a_call(2))
    played = play_one(flow, once(moment, what, dying(1.0)))
    assert breaches_of(played) == []
    calls = [fact.what for fact in played.cluster.history.of("effect")]
    twice = {"one_n1:1"} if moment == "effect" else set()
    assert {call for call in calls if calls.count(call) > 1} == twice


# ── Continuations ────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("knows_schedules", [False, True])
def test_a_schedule_is_never_taken_for_one_that_was_replaced(knows_schedules: bool) -> None:
    """Two chains of one run replace each other's schedules; the last must stay, whatever its name.

    The first worker dies as it puts the run to sleep, before it acks: the event comes again while
    the run goes on. Both retry; the second one's sleep has the place in the run that a schedule of
    the first one had, which is no more.
    """
    flow = a_flow(
        {"id": "one_n0", "type": "wait", "config": {"for": "5s"}},
        a_call(1, config={"retry": {"max_retries": 9, "backoff": "fixed", "initial_ms": 20_000}}),
        {"id": "one_n2", "type": "wait", "config": {"for": "10m"}},
    )
    strike = once("schedule", "one", dying(0.5))
    played = play_one(flow, strike, failures=4, knows_schedules=knows_schedules)
    lost = [breach for breach in breaches_of(played) if "has no result" in breach]
    assert lost == []


def test_a_counter_counts_once_however_long_the_next_step_is_retried() -> None:
    """Its write is the last thing in the journal for longer than the state knows its id."""
    flow = a_flow(
        counting(0),
        a_call(1, config={"retry": {"max_retries": 5, "backoff": "fixed", "initial_ms": 200_000}}),
    )
    played = play_one(flow, once("nothing", "", dying(0.0)), failures=4)
    assert breaches_of(played) == []


def test_a_run_goes_on_from_its_own_trigger_after_a_deployment() -> None:
    flow = a_flow(a_call(0), a_call(1), a_call(2))
    other = {**flow["triggers"][0], "target": "one_n2", "filter": "payload.n == 2"}
    flow["triggers"].insert(0, other)
    later = watched(compile_all([{**flow, "version": "2"}]))

    def deploy_and_die(fleet: Fleet, life: str) -> None:
        fleet.deploy(Deployment(TENANT, "r2", later, has_timers=False))
        fleet.worker_of(life).die(0.5)

    played = play_one(flow, once("journal", "one_n0", deploy_and_die))
    assert breaches_of(played) == []
    (record,) = played.cluster.records.stored
    assert record.path == ("one_n0", "one_n1", "one_n2")
    assert record.trigger == "event:2"


# ── Frozen and thawed ────────────────────────────────────────────────────────────────────────


def test_two_walks_that_differ_before_the_first_entry_have_one_head() -> None:
    """The minute is young for the first worker, which freezes, and old for the second."""
    conditions = [{"expression": "now % 60 < 30", "next": "one_n1"}]
    flow = a_flow(
        {
            "id": "one_n0",
            "type": "branch",
            "config": {"conditions": conditions, "default": "one_n2"},
        },
        a_call(1, next="one_n3"),
        a_call(2, next="one_n3"),
        a_call(3),
    )
    played = play_one(flow, once("effect", "one_n1", freezing(45.0)))
    assert breaches_of(played) == []


def test_a_thawed_worker_does_not_end_what_another_goes_on_with() -> None:
    """Its time is over, since it slept; the run's is not."""
    sleep = {"id": "one_n1", "type": "wait", "config": {"for": "1m"}}
    flow = a_flow(a_call(0), sleep, a_call(2), timeout=20_000)
    played = play_one(flow, once("effect", "one_n0", freezing(40.0)))
    assert breaches_of(played) == []
    assert [one.result.status for one in played.cluster.results.stored] == ["completed"]
    assert played.cluster.letters.parked == []


@pytest.mark.parametrize("seconds", [10.0, 20.0, 29.0, 31.0, 45.0, 90.0])
@pytest.mark.parametrize("moment", ["effect", "journal"])
def test_a_worker_may_freeze_for_as_long_as_it_likes(moment: str, seconds: float) -> None:
    flow = a_flow(a_call(0), counting(1), a_call(2))
    for what in ("one_n0", "one_n1", "one_n2"):
        if (moment, what) != ("effect", "one_n1"):
            played = play_one(flow, once(moment, what, freezing(seconds)))
            assert breaches_of(played) == []

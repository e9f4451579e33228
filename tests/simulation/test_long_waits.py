"""A day of waiting, compressed: hundreds of runs that sleep while workers die and come back."""

from actors.events import Event
from tests.simulation.faults import FaultRates
from tests.simulation.flows import compile_all, draw_mood
from tests.simulation.invariants import breaches_of
from tests.simulation.loop import chance_of
from tests.simulation.simulation import Plan, play
from tests.simulation.witness import watched

DAY_SECONDS = 86_400
RUNS = 300
WAITS_PER_RUN = 2

SLEEPER = {
    "name": "sleeper",
    "version": "1",
    "triggers": [{"type": "event", "event_type": "order.created", "target": "sleeper_n0"}],
    "nodes": [
        {
            "id": "sleeper_n0",
            "type": "http",
            "config": {"url": "http://outside/", "method": "POST", "body": {"at": "{{now}}"}},
            "next": "sleeper_n1",
        },
        {
            "id": "sleeper_n1",
            "type": "wait",
            "config": {"for": "{{payload.n}}s"},
            "next": "sleeper_n2",
        },
        {
            "id": "sleeper_n2",
            "type": "script",
            "config": {
                "script": 'let c = state.get("sleeper_n2", 0) + 1; state.set("sleeper_n2", c); c'
            },
            "next": "sleeper_n3",
        },
        {"id": "sleeper_n3", "type": "wait", "config": {"for": "6h"}, "next": "sleeper_n4"},
        {
            "id": "sleeper_n4",
            "type": "http",
            "config": {"url": "http://outside/", "method": "POST", "body": {"at": "{{now}}"}},
        },
    ],
    "config": {
        "retry_policy": {"max_retries": 4, "backoff": "fixed", "initial_ms": 60_000},
    },
}


def test_runs_sleep_through_a_day_of_deaths() -> None:
    random = chance_of(24)
    events = tuple(
        (
            random.uniform(0, 3600),
            Event(f"e{number}", "order.created", "webhook", 1, {"n": random.randint(1, 18 * 3600)}),
        )
        for number in range(RUNS)
    )
    flows = watched(compile_all([SLEEPER]))
    plan = Plan(
        seed=24,
        documents=[SLEEPER],
        flows=flows,
        next_flows=lambda: flows,
        events=events,
        mood_of=lambda key: draw_mood(24, key, trouble=0.1),
        workers=2,
        rates=FaultRates(
            dies=1.0, deaths_max=100, outages=8, deploys=0.0, cancels=0.0, restarts=1.0
        ),
        trouble_seconds=DAY_SECONDS,
        look_seconds=60.0,
    )
    played = play(plan)
    assert breaches_of(played) == []
    assert played.seconds >= DAY_SECONDS
    results = played.cluster.results.stored
    assert len(results) == RUNS
    assert sum(one.result.status == "completed" for one in results) > RUNS * 0.8
    sleeps = [
        fact for fact in played.cluster.history.of("journal") if fact.value["kind"] == "sleep"
    ]
    assert len(sleeps) > RUNS * WAITS_PER_RUN * 0.8
    counts = played.weather.toll.counts
    assert counts["die sent"] + counts["die unsent"] + counts["die soon"] > 50

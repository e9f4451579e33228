"""Lanes under any schedule of arrivals, crashes, hand-overs and outages.

In: rules, events, what runs do, what happens to workers. Out: every event has one outcome, an
order is kept, no limit is passed, and nothing is left on the lane.
"""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from random import Random

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from actors.flows.control import (
    BatchRule,
    ConcurrencyRule,
    ControlPlan,
    DebounceRule,
    RateRule,
    SingletonRule,
)
from actors.ids import run_id
from actors.outcomes import Completed, Failed, Interrupted
from actors.testing.lanes import MemoryLane
from grammar import compile_script
from tests.support.lanes import LaneYard, Script

KEY = compile_script("payload.k")
EVENTS_MAX = 16
WORKERS_MAX = 3

PLANS = {
    "concurrency": ControlPlan(concurrency=ConcurrencyRule(2, KEY)),
    "ordered": ControlPlan(ordered=KEY),
    "ordered and concurrency": ControlPlan(ordered=KEY, concurrency=ConcurrencyRule(2)),
    "ordered and throttle": ControlPlan(ordered=KEY, throttle=RateRule(1, 1500)),
    "throttle": ControlPlan(throttle=RateRule(2, 5000, KEY)),
    "throttle and concurrency": ControlPlan(
        throttle=RateRule(1, 4000), concurrency=ConcurrencyRule(1)
    ),
    "rate limit": ControlPlan(rate_limit=RateRule(1, 2000, KEY)),
    "debounce": ControlPlan(debounce=DebounceRule(1500, KEY, 5000)),
    "debounce and singleton": ControlPlan(
        debounce=DebounceRule(1500, KEY), singleton=SingletonRule("cancel", KEY)
    ),
    "batch": ControlPlan(batch=BatchRule(4, 2000, KEY)),
    "batch and concurrency": ControlPlan(batch=BatchRule(3, 1000), concurrency=ConcurrencyRule(1)),
    "singleton skip": ControlPlan(singleton=SingletonRule("skip", KEY)),
    "singleton cancel": ControlPlan(singleton=SingletonRule("cancel", KEY)),
    "singleton and concurrency": ControlPlan(
        singleton=SingletonRule("cancel", KEY), concurrency=ConcurrencyRule(1)
    ),
}


@dataclass
class Drama:
    """One story of a lane, told by its seed."""

    plan: ControlPlan
    seed: int
    faults: int
    broken: list[str] = field(default_factory=list)

    async def play(self) -> LaneYard:
        """Tell it to its end, and give the yard as it is then."""
        random = Random(self.seed)  # noqa: S311 - a story, not a secret
        yard = LaneYard(self.plan)
        self.keys: dict[str, int] = {}
        self.first: dict[str, int] = {}
        self.interruptions = Counter[str]()
        yard.on_begin = lambda name: self._watch(yard, name)
        await yard.start()
        names = [f"e{number}" for number in range(random.randint(1, EVENTS_MAX))]
        faults = self.faults
        while names or faults:
            if names and random.random() < 0.6:
                for _ in range(min(len(names), random.randint(1, 4))):
                    self._add(yard, names.pop(0), random)
            elif faults:
                faults -= 1
                await self._harm(yard, random)
            await yard.advance(random.choice((0.0, 0.1, 0.7, 2.5, 9.0)), step=0.5)
        yard.bus.is_available = yard.work.is_available = True
        for _ in range(12):
            await yard.advance(40, step=1.0)
            if not yard.bus.unsettled and not yard.work.waiting:
                break
        await yard.stop()
        return yard

    def _add(self, yard: LaneYard, name: str, random: Random) -> None:
        key = random.randint(1, 3)
        self.keys[name] = key
        sleeps = random.choice(([], [], [], [1.0], [0.0], [20.0, 3.0]))
        yard.scripts[name] = Script(random.choice((0.0, 0.0, 0.4, 4.0)), sleeps)
        if random.random() < 0.15:
            yard.scripts[name].end = Interrupted("by chance", is_lost=random.random() < 0.5)
            self.interruptions[name] = random.randint(1, 2)
        yard.add(name, {"k": key})

    async def _harm(self, yard: LaneYard, random: Random) -> None:
        living = [worker for worker in yard.workers if not worker.is_stopped]
        what = random.choice(("kill", "start", "pass on", "outage", "forget", "crash", "rules"))
        if what == "kill":
            await random.choice(living).kill()
            if len(living) == 1:
                await yard.start()
        elif what == "start" and len(living) < WORKERS_MAX:
            await yard.start()
        elif what == "pass on":
            holder = random.choice(living).pull
            if yard.bus.holder is not holder:
                yard.bus.holder = holder
                holder.term = yard.bus.terms = yard.bus.terms + 1
                yard.stream.wake()
        elif what == "outage":
            yard.bus.is_available = yard.work.is_available = not yard.bus.is_available
        elif what == "forget":
            yard.work.forget_ids()
        elif what == "crash":
            actor = random.choice(living).actor
            assert actor is not None
            actor.add_task(_crash())
        else:
            yard.revision = f"r{random.random()}"

    def _watch(self, yard: LaneYard, name: str) -> None:
        """Look at everything that must hold when a run begins."""
        script, plan = yard.scripts[name], self.plan
        self.interruptions[name] -= 1
        if isinstance(script.end, Interrupted) and self.interruptions[name] < 0:
            script.end = Completed("done")
        self.first.setdefault(name, yard.clock.now_ms())
        together = [self.keys[other] for other in yard.running]
        mine = together.count(self.keys[name])
        if plan.concurrency is not None:
            most = len(together) if plan.concurrency.key is None else mine
            if most > plan.concurrency.limit:
                self.broken.append(f"{name}: {most} at once")
        if plan.singleton is not None and mine > 1:
            self.broken.append(f"{name}: beside {yard.running}")
        if plan.ordered is not None:
            before = list(self.keys)[: list(self.keys).index(name)]
            early = [
                other
                for other in before
                if self.keys[other] == self.keys[name] and yard.outcome(other) is None
            ]
            if early or mine > 1:
                self.broken.append(f"{name}: before {early}")


async def _crash() -> None:
    raise RuntimeError("a bug")


def check_outcomes(drama: Drama, yard: LaneYard) -> None:
    """One outcome for each event, as a run of its own or within a batch.

    One that is repeated after its end comes to the same end, by its journal.
    """
    if drama.plan.batch is None:
        given = {name: yard.outcomes.get(run_id(name, "orders"), []) for name in drama.keys}
        assert {
            name: found for name, found in given.items() if len(set(map(repr, found))) != 1
        } == {}
        return
    batches = {request.run_id: request for request in yard.completed}
    counts = Counter(event.id for request in batches.values() for event in request.events)
    assert counts == Counter(list(drama.keys))


def check_pace(rule: RateRule, drama: Drama) -> None:
    """No more begin in a period than may; a repetition is no second beginning."""
    keyed: dict[int, list[int]] = {}
    for name, at_ms in drama.first.items():
        keyed.setdefault(0 if rule.key is None else drama.keys[name], []).append(at_ms)
    for begun in keyed.values():
        begun.sort()
        for index in range(len(begun) - rule.limit):
            assert begun[index + rule.limit] - begun[index] >= rule.period_ms


def run(plan: ControlPlan, seed: int, faults: int) -> tuple[Drama, LaneYard]:
    drama = Drama(plan, seed, faults)
    return drama, asyncio.run(drama.play())


@pytest.mark.parametrize("name", PLANS)
@settings(
    max_examples=4,
    deadline=None,
    database=None,
    phases=[Phase.generate],  # a seed is the smallest story already
    suppress_health_check=[HealthCheck.too_slow],
)
@given(seed=st.integers(0, 2**32), faults=st.integers(0, 7))
def test_rules_hold_and_nothing_is_lost(name: str, seed: int, faults: int) -> None:
    plan = PLANS[name]
    drama, yard = run(plan, seed, faults)
    assert drama.broken == []
    check_outcomes(drama, yard)
    assert yard.bus.unsettled == 0
    assert yard.work.waiting == []
    assert not any(isinstance(one, Failed) for found in yard.outcomes.values() for one in found)
    for rule in (plan.throttle, plan.rate_limit):
        if rule is not None:
            check_pace(rule, drama)


def hide(_: MemoryLane) -> list[int]:
    return []


def test_a_lane_without_gate_would_not_hold() -> None:
    """The stories can fail: with nothing known to be missing, orders break."""
    broken: list[str] = []
    outstanding = MemoryLane.outstanding
    MemoryLane.outstanding = property(hide)  # type: ignore[method-assign, assignment]
    try:
        for seed in range(40):
            broken += run(PLANS["ordered"], seed, 5)[0].broken
            if broken:
                break
    finally:
        MemoryLane.outstanding = outstanding  # type: ignore[method-assign]
    assert broken

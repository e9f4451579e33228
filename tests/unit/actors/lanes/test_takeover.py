"""A lane that goes from worker to worker. Out: rules that hold all the same, and nothing lost."""

from collections.abc import Callable
from typing import Any

import pytest

from actors.flows.control import BatchRule, ConcurrencyRule, ControlPlan, RateRule, SingletonRule
from actors.lanes.board import SINGLETON_SKIP
from actors.observations import LaneHeld, LaneTaken
from actors.outcomes import Completed, Interrupted, Rejected, Settlement
from actors.testing.lanes import MemoryLane
from grammar import compile_script
from tests.support.lanes import LaneYard, Script

MakeYard = Callable[..., LaneYard]

DONE = Completed("done")
ORDERED = ControlPlan(ordered=compile_script("payload.k"))
SKIP = ControlPlan(singleton=SingletonRule("skip", compile_script("payload.k")))
ONE = ControlPlan(concurrency=ConcurrencyRule(1))


@pytest.mark.parametrize("plan", [ORDERED, ONE], ids=["ordered", "concurrency"])
async def test_later_run_does_not_overtake_what_a_dead_worker_had(
    make_yard: MakeYard, plan: ControlPlan
) -> None:
    yard = make_yard(plan)
    yard.default = Script(seconds=5)
    worker = await yard.start()
    yard.add("a", {"k": 1})
    yard.add("b", {"k": 1})
    await yard.settle()
    await worker.kill()
    await yard.start()
    yard.add("c", {"k": 1})
    await yard.advance(20)
    assert yard.names() == ["a"]
    await yard.advance(40)
    assert yard.names() == ["a", "a", "b", "c"]
    assert yard.most_running == 1
    assert yard.bus.unsettled == 0
    taken = yard.observer.of(LaneTaken)
    assert max(one.missing for one in taken) == 2


async def test_key_of_a_dead_workers_run_is_not_free(make_yard: MakeYard) -> None:
    yard = make_yard(SKIP)
    yard.default = Script(seconds=60)
    worker = await yard.start()
    yard.add("a", {"k": 1})
    await yard.settle()
    await worker.kill()
    await yard.start()
    yard.add("b", {"k": 1})
    await yard.advance(120)
    assert yard.names() == ["a", "a"]
    assert yard.outcome("b") == Rejected(SINGLETON_SKIP)


@pytest.mark.parametrize("plan", [ORDERED, ONE], ids=["ordered", "concurrency"])
async def test_later_run_waits_for_what_a_living_worker_has(
    make_yard: MakeYard, plan: ControlPlan
) -> None:
    yard = make_yard(plan)
    yard.default = Script(seconds=10)
    await yard.start()
    yard.add("a", {"k": 1})
    yard.add("b", {"k": 1})
    await yard.settle()
    await yard.start()
    first, second = yard.workers
    yard.bus.holder = second.pull
    second.pull.term = yard.bus.terms = yard.bus.terms + 1
    yard.add("c", {"k": 1})
    await yard.advance(60)
    assert yard.names() == ["a", "b", "c"]
    assert yard.most_running == 1
    assert yard.bus.unsettled == 0
    assert first.pull.term < second.pull.term


async def test_sleeper_goes_over_to_the_worker_that_has_the_lane_now(make_yard: MakeYard) -> None:
    yard = make_yard(ORDERED)
    yard.scripts["a"] = Script(sleeps=[200])
    await yard.start()
    yard.add("a", {"k": 1})
    await yard.settle()
    await yard.start()
    second = yard.workers[1]
    yard.bus.holder = second.pull
    second.pull.term = yard.bus.terms = yard.bus.terms + 1
    yard.add("b", {"k": 1})
    yard.add("x", {"k": 2})
    await yard.advance(120)
    assert yard.names() == ["a", "a", "x"]  # it sleeps on at the second one, and lets `x` pass
    await yard.advance(120)
    assert yard.names() == ["a", "a", "x", "a", "b"]
    assert yard.bus.unsettled == 0


async def test_sleeper_of_a_dead_worker_sleeps_on_and_keeps_its_key(make_yard: MakeYard) -> None:
    yard = make_yard(ORDERED)
    yard.scripts["a"] = Script(sleeps=[100])
    worker = await yard.start()
    yard.add("a", {"k": 1})
    yard.add("b", {"k": 1})
    await yard.settle()
    await worker.kill()
    await yard.start()
    await yard.advance(60)
    assert yard.names() == ["a", "a"]
    await yard.advance(60)
    assert yard.names() == ["a", "a", "a", "b"]
    assert [yard.outcome(name) for name in ("a", "b")] == [DONE, DONE]
    assert yard.bus.unsettled == 0


async def test_nothing_begins_before_it_is_known_what_others_have(make_yard: MakeYard) -> None:
    yard = make_yard(ORDERED)
    outstanding = MemoryLane.outstanding

    worker = await yard.start()
    calls: list[int] = []

    async def away() -> list[int]:
        from actors.errors import UnavailableError

        calls.append(1)
        raise UnavailableError("the bus is away")

    original = worker.pull.outstanding
    worker.pull.outstanding = away  # type: ignore[method-assign]
    yard.add("a", {"k": 1})
    await yard.advance(5)
    assert yard.names() == []
    assert 3 <= len(calls) <= 7
    worker.pull.outstanding = original  # type: ignore[method-assign]
    await yard.advance(2)
    assert yard.names() == ["a"]
    assert outstanding is MemoryLane.outstanding


async def test_pull_that_fails_is_tried_again(make_yard: MakeYard) -> None:
    yard = make_yard(ORDERED)
    yard.bus.is_available = False
    await yard.start()
    yard.add("a", {"k": 1})
    await yard.advance(3)
    yard.bus.is_available = True
    await yard.advance(3)
    assert yard.names() == ["a"]


async def test_frozen_worker_gives_up_what_it_only_holds(make_yard: MakeYard) -> None:
    yard = make_yard(ORDERED)
    yard.default = Script(seconds=60)
    worker = await yard.start()
    yard.add("a", {"k": 1})
    yard.add("b", {"k": 1})
    await yard.settle()
    await yard.clock.jump(20)  # past half of the ack wait
    await yard.settle()
    assert [delivery.settlement for delivery in yard.stream.handed_out] == [None, Settlement.LEAVE]
    await yard.advance(120)
    assert yard.names() == ["a", "b"]
    assert worker.pull.term == 1


async def test_interrupted_run_comes_again_before_those_behind_it(make_yard: MakeYard) -> None:
    yard = make_yard(ORDERED)
    yard.scripts["a"] = Script(end=Interrupted("the worker goes"))
    await yard.start()
    yard.add("a", {"k": 1})
    yard.add("b", {"k": 1})

    def heal(name: str) -> None:
        if yard.names().count("a") > 2:
            yard.scripts["a"] = Script()

    yard.on_begin = heal
    await yard.advance(5)
    assert yard.names() == ["a", "a", "a", "b"]


async def test_run_that_another_worker_has_is_left_alone(make_yard: MakeYard) -> None:
    yard = make_yard(ORDERED)
    yard.scripts["a"] = Script(end=Interrupted("its journal is another's", is_lost=True))
    await yard.start()
    yard.add("a", {"k": 1})
    yard.add("b", {"k": 1})
    await yard.advance(2)
    assert yard.names() == ["a"]
    assert yard.stream.handed_out[0].settlement is Settlement.LEAVE
    yard.scripts.clear()
    await yard.advance(40)
    assert yard.names() == ["a", "a", "b"]


async def test_pace_is_kept_by_the_worker_that_takes_over(make_yard: MakeYard) -> None:
    yard = make_yard(ControlPlan(rate_limit=RateRule(1, 60_000)))
    worker = await yard.start()
    yard.add("a")
    await yard.settle()
    await worker.kill()
    await yard.start()
    await yard.advance(10)
    yard.add("b")
    await yard.advance(1)
    assert isinstance(yard.outcome("b"), Rejected)


async def test_store_that_does_not_answer_holds_everything_back(make_yard: MakeYard) -> None:
    yard = make_yard(ControlPlan(rate_limit=RateRule(1, 60_000)))
    worker = await yard.start()
    put = yard.leases.put

    async def away(*_args: Any, **_fields: Any) -> bool:
        from actors.errors import UnavailableError

        raise UnavailableError("the bus is away")

    yard.leases.put = away  # type: ignore[method-assign]
    yard.add("a")
    await yard.advance(3)
    assert yard.names() == []
    yard.leases.put = put  # type: ignore[method-assign]
    await yard.advance(2)
    assert yard.names() == ["a"]
    assert worker.pull.term == 1


async def test_drained_worker_hands_its_sleepers_over(make_yard: MakeYard) -> None:
    yard = make_yard(ORDERED)
    yard.scripts["a"] = Script(sleeps=[100])
    worker = await yard.start()
    yard.add("a", {"k": 1})
    await yard.settle()
    await worker.drain()
    await yard.start()
    yard.add("b", {"k": 1})
    await yard.advance(10)
    assert yard.names() == ["a", "a"]
    await yard.advance(100)
    assert yard.names() == ["a", "a", "a", "b"]


async def test_batch_of_a_dead_worker_is_gathered_again(make_yard: MakeYard) -> None:
    yard = make_yard(ControlPlan(batch=BatchRule(3, 5000)))
    worker = await yard.start()
    yard.add("a")
    yard.add("b")
    await yard.settle()
    await worker.kill()
    await yard.start()
    yard.add("c")
    await yard.advance(60)
    seen = sorted(event.id for name in yard.names() for event in yard.began_with[name].events)
    assert seen == ["a", "b", "c"]
    assert yard.bus.unsettled == 0


async def test_lane_says_what_it_has(make_yard: MakeYard) -> None:
    yard = make_yard(ORDERED)
    yard.scripts = {"a": Script(seconds=100), "s": Script(sleeps=[100])}
    await yard.start()
    for name, k in (("a", 1), ("b", 1), ("s", 2)):
        yard.add(name, {"k": k})
    await yard.advance(6)
    held = yard.observer.of(LaneHeld)[-1]
    assert (held.waiting, held.working, held.asleep) == (1, 1, 1)
    assert held.room == 997

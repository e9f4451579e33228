"""A lane with one worker. In: rules and events. Out: which runs begin, when, and how others end."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from actors.flows.compiled import TENANT_LANE
from actors.flows.control import (
    BatchRule,
    ConcurrencyRule,
    ControlPlan,
    DebounceRule,
    RateRule,
    SingletonRule,
)
from actors.ids import run_id
from actors.lanes.board import DEBOUNCED, SINGLETON_CANCEL, SINGLETON_SKIP
from actors.lanes.lane import HOLD_MAX
from actors.observations import LaneBatched, LanePutOff, LaneRefused
from actors.outcomes import Cancelled, Completed, Failed, Rejected
from grammar import Program, compile_script
from tests.support.lanes import LaneYard, Script

MakeYard = Callable[..., LaneYard]

DONE = Completed("done")


def key(text: str = "payload.k") -> Program:
    return compile_script(text)


ORDERED = ControlPlan(ordered=key())
SKIP = ControlPlan(singleton=SingletonRule("skip", key()))
CANCEL = ControlPlan(singleton=SingletonRule("cancel", key()))


async def opened(yard: LaneYard) -> LaneYard:
    await yard.start()
    return yard


# ── Any lane ─────────────────────────────────────────────────────────────────────────────────


async def test_isolated_flow_runs_at_once_and_its_delivery_is_settled(make_yard: MakeYard) -> None:
    yard = await opened(make_yard(ControlPlan(is_isolated=True), is_exclusive=False))
    for name in ("a", "b", "c"):
        yard.add(name)
    await yard.settle()
    assert yard.names() == ["a", "b", "c"]
    assert yard.outcome("b") == DONE
    assert yard.bus.unsettled == 0


async def test_request_is_the_continuations_run(make_yard: MakeYard) -> None:
    yard = await opened(make_yard(ORDERED))
    run = yard.add("a", hops=3, reply_to="greentic.reply.i1.a")
    await yard.settle()
    request = yard.began_with["a"]
    assert (request.run_id, request.hops, request.reply_to) == (run, 3, "greentic.reply.i1.a")
    assert request.is_judged
    assert request.comes_from_lane
    assert request.may_be_repeated  # it may have gone on as another delivery


async def test_run_whose_flow_is_gone_is_a_dead_letter(make_yard: MakeYard) -> None:
    yard = await opened(make_yard(ORDERED))
    yard.add("a", flow="nobody")
    await yard.settle()
    (letter,) = yard.letters.parked
    assert (letter.reason, letter.flow) == ("unknown_flow", "nobody")
    assert yard.bus.unsettled == 0


async def test_run_whose_trigger_is_gone_fails(make_yard: MakeYard) -> None:
    yard = await opened(make_yard(ORDERED))
    yard.add("a", trigger=9)
    await yard.settle()
    outcome = yard.outcome("a")
    assert isinstance(outcome, Failed)
    assert outcome.error.code == "unknown_trigger"


@pytest.mark.parametrize(
    "plan",
    [
        ORDERED,
        SKIP,
        ControlPlan(concurrency=ConcurrencyRule(1, key())),
        ControlPlan(throttle=RateRule(1, 1000, key())),
        ControlPlan(rate_limit=RateRule(1, 1000, key())),
        ControlPlan(debounce=DebounceRule(1000, key())),
        ControlPlan(batch=BatchRule(2, 1000, key())),
    ],
    ids=["ordered", "singleton", "concurrency", "throttle", "rate_limit", "debounce", "batch"],
)
async def test_key_that_cannot_be_evaluated_fails_the_run(
    make_yard: MakeYard, plan: ControlPlan
) -> None:
    yard = await opened(make_yard(plan))
    yard.add("a", payload="no object")
    yard.add("b", payload={"k": 1})
    await yard.advance(1.5)
    outcome = yard.outcome("a")
    assert isinstance(outcome, Failed)
    assert outcome.error.code == "control_key_failed"
    assert "key of" in outcome.error.message
    assert yard.names() == ["b"]


async def test_full_mailbox_of_the_executor_holds_nothing_else_up(make_yard: MakeYard) -> None:
    yard = make_yard(ControlPlan(concurrency=ConcurrencyRule(100)))
    yard.default = Script(seconds=1.0)
    worker = await yard.start()
    worker.open_executor("orders", capacity=2)
    for number in range(10):
        yard.add(f"e{number}")
    await yard.settle()
    assert worker.boxes["orders"].depth == 2
    worker._begin(worker._serve(worker.boxes["orders"]))
    await yard.settle()
    assert yard.names() == [f"e{number}" for number in range(10)]


async def test_executor_that_is_away_is_asked_again(make_yard: MakeYard) -> None:
    yard = make_yard(ControlPlan(concurrency=ConcurrencyRule(1)))
    worker = await yard.start()
    worker.refs["orders"].suspend()
    yard.add("a", payload={"k": 1})
    await yard.settle()
    assert yard.names() == []
    worker.resume()
    await yard.advance(1.5)
    assert yard.outcome("a") == DONE
    (delivery,) = yard.stream.handed_out
    assert delivery.num_delivered == 1


async def test_verdict_waits_for_an_executor_that_is_away(make_yard: MakeYard) -> None:
    yard = make_yard(SKIP)
    yard.default = Script(seconds=60)
    worker = await yard.start()
    yard.add("a", {"k": 1})
    await yard.settle()
    worker.refs["orders"].suspend()
    yard.add("b", {"k": 1})
    await yard.settle()
    worker.resume()
    await yard.advance(1.5)
    assert yard.outcome("b") == Rejected(SINGLETON_SKIP)


async def test_no_more_is_pulled_than_may_be_held(make_yard: MakeYard) -> None:
    yard = make_yard(ORDERED)
    yard.default = Script(seconds=1000)
    await yard.start()
    for number in range(HOLD_MAX + 20):
        yard.add(f"e{number}", {"k": 1})
    await yard.advance(1)
    assert len(yard.bus.outstanding) == HOLD_MAX


async def test_what_waits_is_kept_alive(make_yard: MakeYard) -> None:
    yard = make_yard(ORDERED)
    yard.default = Script(seconds=100)
    await yard.start()
    yard.add("a", {"k": 1})
    yard.add("b", {"k": 1})
    await yard.advance(90)
    assert [delivery.num_delivered for delivery in yard.stream.handed_out] == [1, 1]
    await yard.advance(120)
    assert yard.outcome("b") == DONE


async def test_draining_gives_back_what_waits_and_ends_what_runs(make_yard: MakeYard) -> None:
    yard = make_yard(ORDERED)
    yard.default = Script(seconds=5)
    worker = await yard.start()
    yard.add("a", {"k": 1})
    yard.add("b", {"k": 1})
    await yard.settle()
    await worker.drain()
    assert yard.names() == ["a"]
    assert yard.outcome("a") == DONE
    assert yard.bus.unsettled == 1
    await yard.start()
    assert yard.names() == ["a", "b"]


async def test_crashed_lane_goes_on_with_what_it_had(make_yard: MakeYard) -> None:
    yard = make_yard(ORDERED)
    yard.default = Script(seconds=5)
    worker = await yard.start()
    yard.add("a", {"k": 1})
    yard.add("b", {"k": 1})
    await yard.settle()
    assert worker.actor is not None
    worker.actor.add_task(crash())
    await yard.advance(60)
    assert [yard.outcome(name) for name in ("a", "b")] == [DONE, DONE]
    assert yard.bus.unsettled == 0


async def test_end_that_a_crashing_lane_has_heard_is_settled(make_yard: MakeYard) -> None:
    yard = make_yard(ControlPlan(rate_limit=RateRule(1, 1000, key())))
    yard.default = Script(seconds=1)
    worker = await yard.start()
    yard.add("a", {"k": 1})
    await yard.settle()
    put, never = yard.leases.put, asyncio.Event()

    async def hang(*_args: Any, **_fields: Any) -> bool:
        return await never.wait()

    yard.leases.put = hang  # type: ignore[method-assign]
    yard.add("b", {"k": 2})
    await yard.advance(2)
    assert yard.outcome("a") == DONE
    yard.leases.put = put  # type: ignore[method-assign]
    assert worker.actor is not None
    worker.actor.add_task(crash())
    await yard.advance(60)
    assert yard.names() == ["a", "b"]
    assert yard.bus.unsettled == 0


async def crash() -> None:
    raise RuntimeError("a bug")


# ── Concurrency ──────────────────────────────────────────────────────────────────────────────


async def test_no_more_runs_at_once_than_the_limit(make_yard: MakeYard) -> None:
    yard = make_yard(ControlPlan(concurrency=ConcurrencyRule(2)))
    yard.default = Script(seconds=1)
    await yard.start()
    for number in range(6):
        yard.add(f"e{number}")
    await yard.advance(4, step=0.05)
    assert yard.most_running == 2
    assert yard.names() == [f"e{number}" for number in range(6)]
    assert yard.bus.unsettled == 0


async def test_keys_count_apart(make_yard: MakeYard) -> None:
    yard = make_yard(ControlPlan(concurrency=ConcurrencyRule(1, key())))
    yard.default = Script(seconds=10)
    await yard.start()
    for name, k in (("a", 1), ("b", 1), ("c", 2), ("d", None)):
        yard.add(name, {"k": k})
    await yard.settle()
    assert yard.names() == ["a", "c", "d"]


async def test_sleeping_run_gives_its_place_to_others(make_yard: MakeYard) -> None:
    yard = make_yard(ControlPlan(concurrency=ConcurrencyRule(1)))
    yard.scripts["a"] = Script(seconds=1, sleeps=[5])
    await yard.start()
    yard.add("a")
    yard.add("b")
    await yard.advance(2)
    assert yard.outcome("b") == DONE
    assert yard.outcome("a") is None
    assert yard.bus.unsettled == 0  # its continuation is all there is of it
    await yard.advance(8)
    assert yard.outcome("a") == DONE


async def test_continuation_that_is_there_before_its_run_rests_is_not_lost(
    make_yard: MakeYard,
) -> None:
    yard = make_yard(ControlPlan(concurrency=ConcurrencyRule(1)))
    yard.scripts["a"] = Script(sleeps=[0.0])
    await yard.start()
    yard.add("a")
    await yard.settle()
    assert yard.outcome("a") == DONE
    assert yard.bus.unsettled == 0


async def test_flows_of_tenant_scope_count_together(make_yard: MakeYard) -> None:
    rule = ConcurrencyRule(2, scope="tenant")
    plan = ControlPlan(concurrency=rule)
    yard = make_yard(plan, plan, lane=TENANT_LANE)
    yard.default = Script(seconds=1)
    await yard.start()
    for number in range(4):
        yard.add(f"e{number}", flow="orders")
        yard.add(f"e{number}", flow="orders2")
    await yard.advance(6)
    assert yard.most_running == 2
    assert len(yard.begun) == 8


# ── Throttle ─────────────────────────────────────────────────────────────────────────────────


async def test_runs_that_come_too_early_begin_at_their_time(make_yard: MakeYard) -> None:
    yard = await opened(make_yard(ControlPlan(throttle=RateRule(2, 1000))))
    for number in range(5):
        yard.add(f"e{number}")
    await yard.advance(3, step=0.05)
    assert yard.times() == [0, 500, 1000, 1500, 2000]
    assert yard.names() == [f"e{number}" for number in range(5)]


async def test_what_would_wait_long_goes_back_to_the_lane(make_yard: MakeYard) -> None:
    yard = await opened(make_yard(ControlPlan(throttle=RateRule(1, 10_000))))
    for number in range(4):
        yard.add(f"e{number}")
    await yard.settle()
    assert yard.bus.unsettled == 0
    assert [one.round for one in yard.work.waiting] == [1, 1, 1]
    assert len(yard.observer.of(LanePutOff)) == 3
    await yard.advance(35)
    assert yard.names() == [f"e{number}" for number in range(4)]
    assert yard.times() == [0, 10_000, 20_000, 30_000]
    assert all(yard.outcome(f"e{number}") == DONE for number in range(4))


async def test_throttle_is_remembered_by_the_next_worker(make_yard: MakeYard) -> None:
    yard = make_yard(ControlPlan(throttle=RateRule(1, 10_000)))
    worker = await yard.start()
    yard.add("a")
    await yard.settle()
    await worker.kill()
    await yard.advance(1)
    await yard.start()
    yard.add("b")
    await yard.advance(15)
    assert yard.times() == [0, 10_000]


async def test_ordered_runs_wait_for_the_throttle_in_their_order(make_yard: MakeYard) -> None:
    yard = await opened(make_yard(ControlPlan(throttle=RateRule(1, 10_000), ordered=key())))
    for number in range(3):
        yard.add(f"e{number}", {"k": 1})
    await yard.advance(25)
    assert yard.work.waiting == []
    assert yard.names() == ["e0", "e1", "e2"]
    assert yard.times() == [0, 10_000, 20_000]


async def test_run_that_goes_on_is_not_throttled(make_yard: MakeYard) -> None:
    yard = make_yard(ControlPlan(throttle=RateRule(1, 10_000)))
    yard.scripts["a"] = Script(sleeps=[2.0])
    await yard.start()
    yard.add("a")
    await yard.advance(4)
    assert yard.outcome("a") == DONE


# ── Rate limit ───────────────────────────────────────────────────────────────────────────────


async def test_runs_that_come_too_early_are_refused(make_yard: MakeYard) -> None:
    yard = await opened(make_yard(ControlPlan(rate_limit=RateRule(1, 1000, key()))))
    yard.add("a", {"k": 1})
    yard.add("b", {"k": 1})
    yard.add("c", {"k": 2})
    await yard.advance(1)
    yard.add("d", {"k": 1})
    await yard.settle()
    assert yard.names() == ["a", "c", "d"]
    outcome = yard.outcome("b")
    assert isinstance(outcome, Rejected)
    assert outcome.reason.startswith("rate_limit: ")
    assert [one.rule for one in yard.observer.of(LaneRefused)] == ["rate_limit"]


async def test_idle_time_saves_nothing_up(make_yard: MakeYard) -> None:
    yard = await opened(make_yard(ControlPlan(rate_limit=RateRule(10, 1000))))
    await yard.advance(60)
    for number in range(10):
        yard.add(f"e{number}")
    await yard.settle()
    assert yard.names() == ["e0"]


async def test_run_that_was_let_in_is_not_refused_when_it_comes_again(make_yard: MakeYard) -> None:
    yard = make_yard(ControlPlan(rate_limit=RateRule(1, 3_600_000)))
    yard.default = Script(seconds=10)
    worker = await yard.start()
    yard.add("a")
    yard.add("b")
    await yard.settle()
    await worker.kill()
    await yard.start()
    await yard.advance(60)
    assert yard.outcome("a") == DONE
    assert isinstance(yard.outcome("b"), Rejected)
    assert yard.bus.unsettled == 0


# ── Debounce ─────────────────────────────────────────────────────────────────────────────────


async def test_only_the_last_of_several_events_runs(make_yard: MakeYard) -> None:
    yard = await opened(make_yard(ControlPlan(debounce=DebounceRule(1000, key()))))
    for name in ("a", "b", "c"):
        yard.add(name, {"k": 1})
        await yard.advance(0.5)
    yard.add("x", {"k": 2})
    await yard.advance(2)
    assert yard.names() == ["c", "x"]
    assert yard.outcome("a") == yard.outcome("b") == Rejected(DEBOUNCED)
    assert yard.times()[0] == 2000
    assert yard.bus.unsettled == 0


async def test_first_event_waits_no_longer_than_max_wait(make_yard: MakeYard) -> None:
    rule = DebounceRule(1000, max_wait_ms=2000)
    yard = await opened(make_yard(ControlPlan(debounce=rule)))
    for number in range(12):
        yard.add(f"e{number}")
        await yard.advance(0.5)
    await yard.advance(2)
    assert yard.names()[0] == "e3"
    assert yard.times()[:2] == [2000, 4000]


async def test_winner_that_comes_again_is_not_overtaken(make_yard: MakeYard) -> None:
    yard = make_yard(ControlPlan(debounce=DebounceRule(1000)))
    yard.default = Script(seconds=10)
    worker = await yard.start()
    yard.add("a")
    await yard.advance(2)
    assert yard.names() == ["a"]
    yard.add("b")
    await yard.settle()
    await worker.kill()
    await yard.start()
    await yard.advance(60)
    assert [yard.outcome(name) for name in ("a", "b")] == [DONE, DONE]


async def test_loser_that_comes_again_loses_again(make_yard: MakeYard) -> None:
    yard = make_yard(ControlPlan(debounce=DebounceRule(5000)))
    worker = await yard.start()
    yard.add("a")
    await yard.settle()
    await worker.kill()
    await yard.advance(20)
    await yard.start()
    yard.add("b")  # its worker has never seen `a`, which comes after it
    await yard.advance(60)
    assert yard.names() == ["b"]
    assert yard.outcome("a") == Rejected(DEBOUNCED)


# ── Batch ────────────────────────────────────────────────────────────────────────────────────


def batched(yard: LaneYard) -> list[list[str]]:
    return [[event.id for event in yard.began_with[name].events] for name in yard.names()]


async def test_full_batch_runs_at_once_and_the_rest_in_time(make_yard: MakeYard) -> None:
    yard = await opened(make_yard(ControlPlan(batch=BatchRule(3, 2000, key()))))
    for number in range(4):
        yard.add(f"e{number}", {"k": 1})
    yard.add("x", {"k": 2})
    await yard.settle()
    assert batched(yard) == [["e0", "e1", "e2"]]
    await yard.advance(2.5)
    assert sorted(batched(yard)[1:]) == [["e3"], ["x"]]
    assert yard.bus.unsettled == 0
    assert [one.events for one in yard.observer.of(LaneBatched)] == [3, 1, 1]


async def test_batch_is_a_run_of_its_own_named_by_its_events(make_yard: MakeYard) -> None:
    yard = await opened(make_yard(ControlPlan(batch=BatchRule(2, 2000))))
    yard.add("a", hops=1)
    yard.add("b", hops=4)
    await yard.settle()
    request = yard.began_with["a"]
    assert request.event.id == "a"
    assert request.hops == 4
    assert request.run_id not in {run_id("a", "orders"), run_id("b", "orders")}


async def test_batch_is_no_larger_than_its_bytes(make_yard: MakeYard) -> None:
    yard = await opened(make_yard(ControlPlan(batch=BatchRule(100, 1000))))
    for number in range(5):
        yard.add(f"e{number}", "x" * 200_000)
    yard.add("large", "x" * 600_000)
    await yard.advance(2)
    assert batched(yard) == [["e0", "e1"], ["e2", "e3"], ["e4"], ["large"]]


async def test_batches_wait_for_room_like_any_run(make_yard: MakeYard) -> None:
    plan = ControlPlan(batch=BatchRule(2, 1000), concurrency=ConcurrencyRule(1))
    yard = make_yard(plan)
    yard.default = Script(seconds=1)
    await yard.start()
    for number in range(6):
        yard.add(f"e{number}")
    await yard.advance(5)
    assert yard.most_running == 1
    assert batched(yard) == [["e0", "e1"], ["e2", "e3"], ["e4", "e5"]]


async def test_full_lane_runs_its_oldest_batch_early(make_yard: MakeYard) -> None:
    yard = await opened(make_yard(ControlPlan(batch=BatchRule(10, 3_600_000, key()))))
    for number in range(HOLD_MAX + 5):
        yard.add(f"e{number}", {"k": number})
    await yard.advance(2)
    assert yard.names()[:5] == [f"e{number}" for number in range(5)]
    assert len(yard.begun) < 20


async def test_members_that_come_again_are_in_one_batch_only(make_yard: MakeYard) -> None:
    yard = make_yard(ControlPlan(batch=BatchRule(2, 1000)))
    worker = await yard.start()
    schedule = yard.work.schedule

    async def schedule_and_die(*args: Any, **fields: Any) -> None:
        await schedule(*args, **fields)
        worker.pull.die()  # before it can say of the members that they are settled

    yard.work.schedule = schedule_and_die  # type: ignore[method-assign]
    yard.add("a")
    yard.add("b")
    await yard.settle()
    yard.work.schedule = schedule  # type: ignore[method-assign]
    assert yard.bus.unsettled == 3
    await worker.kill()
    await yard.start()
    await yard.advance(60)
    assert batched(yard) == [["a", "b"]]
    assert yard.bus.unsettled == 0


# ── Singleton ────────────────────────────────────────────────────────────────────────────────


async def test_second_run_of_a_key_is_refused(make_yard: MakeYard) -> None:
    yard = make_yard(SKIP)
    yard.default = Script(seconds=2)
    await yard.start()
    yard.add("a", {"k": 1})
    yard.add("b", {"k": 1})
    yard.add("c", {"k": 2})
    await yard.advance(3)
    yard.add("d", {"k": 1})
    await yard.advance(3)
    assert yard.names() == ["a", "c", "d"]
    assert yard.outcome("b") == Rejected(SINGLETON_SKIP)


async def test_sleeping_run_keeps_its_key(make_yard: MakeYard) -> None:
    yard = make_yard(SKIP)
    yard.scripts["a"] = Script(sleeps=[60])
    await yard.start()
    yard.add("a", {"k": 1})
    await yard.advance(10)
    yard.add("b", {"k": 1})
    await yard.advance(60)
    assert yard.outcome("b") == Rejected(SINGLETON_SKIP)
    assert yard.outcome("a") == DONE
    assert yard.bus.unsettled == 0


async def test_later_run_takes_the_place_of_one_that_works(make_yard: MakeYard) -> None:
    yard = make_yard(CANCEL)
    yard.default = Script(seconds=5)
    await yard.start()
    yard.add("a", {"k": 1})
    await yard.advance(1)
    yard.add("b", {"k": 1})
    await yard.advance(1)
    assert yard.outcome("a") == Cancelled(SINGLETON_CANCEL)
    assert yard.names() == ["a", "b"]
    assert yard.most_running == 1
    await yard.advance(6)
    assert yard.outcome("b") == DONE


async def test_later_run_takes_the_place_of_one_that_sleeps(make_yard: MakeYard) -> None:
    yard = make_yard(CANCEL)
    yard.scripts["a"] = Script(sleeps=[60])
    await yard.start()
    yard.add("a", {"k": 1})
    await yard.advance(10)
    yard.add("b", {"k": 1})
    await yard.advance(2)
    assert yard.outcome("a") == Cancelled(SINGLETON_CANCEL)
    assert yard.outcome("b") == DONE
    await yard.advance(60)  # the continuation of `a` comes, and nothing runs again
    assert yard.names() == ["a", "b"]
    assert yard.bus.unsettled == 0


async def test_of_those_that_wait_for_a_key_only_the_last_has_it(make_yard: MakeYard) -> None:
    yard = make_yard(ControlPlan(singleton=CANCEL.singleton, concurrency=ConcurrencyRule(1)))
    yard.default = Script(seconds=3)
    await yard.start()
    yard.add("other", {"k": 9})
    for name in ("a", "b", "c"):
        yard.add(name, {"k": 1})
    await yard.advance(10)
    assert yard.names() == ["other", "c"]
    assert yard.outcome("a") == yard.outcome("b") == Cancelled(SINGLETON_CANCEL)


async def test_run_on_its_way_to_the_executor_is_cancelled_when_it_begins(
    make_yard: MakeYard,
) -> None:
    yard = make_yard(CANCEL)
    yard.default = Script(seconds=50)
    worker = await yard.start()
    worker.open_executor("orders")
    yard.add("a", {"k": 1})
    await yard.settle()
    yard.add("b", {"k": 1})
    await yard.advance(1)
    worker._begin(worker._serve(worker.boxes["orders"]))
    await yard.advance(2)
    assert yard.outcome("a") == Cancelled(SINGLETON_CANCEL)
    assert yard.names() == ["a", "b"]


# ── Ordered ──────────────────────────────────────────────────────────────────────────────────


async def test_runs_of_a_key_follow_each_other(make_yard: MakeYard) -> None:
    yard = make_yard(ORDERED)
    yard.scripts = {"a": Script(seconds=3), "x": Script(seconds=1)}
    await yard.start()
    for name, k in (("a", 1), ("x", 2), ("b", 1), ("y", 2)):
        yard.add(name, {"k": k})
    await yard.advance(4)
    assert yard.names() == ["a", "x", "y", "b"]


async def test_run_that_sleeps_holds_up_its_key_alone(make_yard: MakeYard) -> None:
    yard = make_yard(ORDERED)
    yard.scripts["a"] = Script(sleeps=[5, 5])
    await yard.start()
    for name, k in (("a", 1), ("b", 1), ("x", 2)):
        yard.add(name, {"k": k})
    await yard.advance(8)
    assert yard.names() == ["a", "x", "a"]
    await yard.advance(8)
    assert yard.names() == ["a", "x", "a", "a", "b"]
    assert len(yard.outcomes[run_id("a", "orders")]) == 1
    assert yard.bus.unsettled == 0


async def test_failed_run_does_not_hold_up_those_behind_it(make_yard: MakeYard) -> None:
    yard = make_yard(ORDERED)
    yard.scripts["a"] = Script(end=Cancelled("somebody"))
    await yard.start()
    yard.add("a", {"k": 1})
    yard.add("b", {"k": 1})
    await yard.settle()
    assert yard.outcome("b") == DONE


async def test_sleeper_wakes_though_the_lane_is_full_behind_it(make_yard: MakeYard) -> None:
    yard = make_yard(ORDERED, ack_pending_max=10)
    yard.scripts["e0"] = Script(sleeps=[5])
    await yard.start()
    for number in range(40):
        yard.add(f"e{number}", {"k": 1})
    await yard.advance(20)
    assert yard.names() == ["e0", *(f"e{number}" for number in range(40))]
    await yard.advance(40)
    assert yard.bus.unsettled == 0


# ── Changes ──────────────────────────────────────────────────────────────────────────────────


async def test_new_rules_count_for_what_waits_already(make_yard: MakeYard) -> None:
    yard = make_yard(ControlPlan(concurrency=ConcurrencyRule(1)))
    yard.default = Script(seconds=10)
    await yard.start()
    for name in ("a", "b", "c"):
        yard.add(name)
    await yard.settle()
    flow = yard.flows["orders"]
    yard.flows["orders"] = type(flow)(
        **{
            **{field: getattr(flow, field) for field in flow.__slots__},
            "control": ControlPlan(concurrency=ConcurrencyRule(2)),
        }
    )
    yard.revision = "r2"
    await yard.advance(2)
    assert yard.names() == ["a", "b"]
    assert yard.most_running == 2


async def test_flow_that_goes_away_leaves_dead_letters(make_yard: MakeYard) -> None:
    yard = make_yard(ORDERED)
    yard.default = Script(seconds=1)
    await yard.start()
    yard.add("a", {"k": 1})
    yard.add("b", {"k": 1})
    await yard.settle()
    del yard.flows["orders"]
    yard.revision = "r2"
    await yard.advance(4)
    assert yard.outcome("a") == DONE
    assert [letter.reason for letter in yard.letters.parked] == ["unknown_flow"]
    assert yard.bus.unsettled == 0

"""Beginning: a request becomes a run, or nothing, or a failure that somebody sees."""

from typing import Any

import pytest

from actors.errors import PermanentError
from actors.runs.begin import DELIVERIES_MAX, SUB_RUN_TRIGGER, begin, choose_trigger
from actors.runs.run import Run
from grammar import EvaluationError
from tests.support.builders import (
    REPLY_TO,
    Yard,
    a_flow,
    a_node,
    a_trigger,
    an_event,
    gives,
)

FLOW = a_flow(
    a_node("one", gives(1)),
    a_node("two", gives(2)),
    triggers=(
        a_trigger(target="one", number=1, judge=lambda scope: scope["total"] > 100),
        a_trigger(target="two", number=2),
    ),
)


def begun(yard: Yard, flow: Any = FLOW, **fields: Any) -> Run:
    return begin(yard.request(flow, **fields), yard.seat(flow))


def judged(yard: Yard, judge: Any) -> bool:
    return choose_trigger(begun(yard, a_flow(triggers=(a_trigger(judge=judge),))))


def test_a_run_fixes_its_time_and_its_deadline(yard: Yard) -> None:
    run = begun(yard)
    assert run.started_ms == yard.clock.now_ms()
    assert run.deadline == yard.clock.monotonic() + FLOW.timeout_seconds
    assert run.frame.scope["now"] == yard.clock.now_ms() // 1000


def test_a_run_carries_what_nodes_need_of_its_request(yard: Yard) -> None:
    run = begun(yard, reply_to=REPLY_TO, hops=3)
    context = run.context
    assert (context.run_id, context.flow, context.tenant) == ("run-1", "orders", "demo")
    assert (context.reply_to, context.hops, context.event.id) == (REPLY_TO, 3, "evt-of-run-1")


@pytest.mark.parametrize(("total", "target", "trigger"), [(101, "one", 1), (99, "two", 2)])
def test_the_first_trigger_whose_filter_holds_starts_the_run(
    yard: Yard, total: int, target: str, trigger: int
) -> None:
    run = begun(yard, event=an_event(payload={"total": total}))
    assert choose_trigger(run)
    assert (run.frame.target, run.trigger) == (target, f"event:{trigger}")


@pytest.mark.parametrize("value", [False, None, 1, "yes"])
def test_a_filter_that_is_not_true_starts_nothing(yard: Yard, value: Any) -> None:
    assert not judged(yard, lambda _: value)


def test_a_filter_that_cannot_be_evaluated_is_a_failure(yard: Yard) -> None:
    def judge(_scope: Any) -> bool:
        raise EvaluationError("no such name", kind="missing")

    with pytest.raises(
        PermanentError, match=r"the filter of trigger 1 failed: .*no such name"
    ) as e:
        judged(yard, judge)
    assert e.value.reason == "filter_failed"


def test_a_request_without_triggers_is_a_sub_run_from_the_flows_entry(yard: Yard) -> None:
    run = begun(yard, triggers=())
    assert choose_trigger(run)
    assert (run.trigger, run.frame.target) == (SUB_RUN_TRIGGER, "one")


def test_an_event_delivered_too_often_is_poison(yard: Yard) -> None:
    delivery = yard.delivered()
    delivery.num_delivered = DELIVERIES_MAX
    assert choose_trigger(begun(yard, delivery=delivery))
    delivery.num_delivered += 1
    with pytest.raises(PermanentError) as e:
        choose_trigger(begun(yard, delivery=delivery))
    assert e.value.reason == "poison"

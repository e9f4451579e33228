"""Pauses between tries, and what a run takes along from one try to the next."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from actors.errors import PermanentError, TransientError
from actors.flows.compiled import CompiledFlow
from actors.nodes.schema import RETRY_DELAY_MS_MAX, RetryPolicy
from actors.nodes.step import StepContext
from actors.outcomes import Advance, CallFlow, Completed, Continued, Failed, StepOutcome
from actors.ports import Continuation
from actors.runs.in_hand import RunsInHand
from actors.runs.request import SharedDelivery, request_of
from actors.runs.retrying import pause_ms
from actors.runs.way import Reached, Way
from tests.support.builders import (
    REPLY_TO,
    Inline,
    Waiting,
    Yard,
    a_flow,
    a_node,
    a_trigger,
    an_event,
    by_name,
)

AWAY = TransientError("not now", reason="http.connect")
ALWAYS = RetryPolicy(max_retries=20, backoff="fixed", initial_ms=1000)


def hinting(seconds: float) -> TransientError:
    return TransientError("not now", retry_after_seconds=seconds)


# ── Pauses ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("backoff", "expected"),
    [
        ("fixed", [2000, 2000, 2000, 2000, None]),
        ("linear", [2000, 4000, 6000, 7000, None]),
    ],
)
def test_pauses_grow_up_to_the_longest(backoff: Any, expected: list[int | None]) -> None:
    policy = RetryPolicy(max_retries=4, backoff=backoff, initial_ms=2000, max_ms=7000)
    assert [pause_ms(policy, tried, AWAY, "run:step") for tried in range(5)] == expected


def test_exponential_pauses_double_and_are_shortened_by_half_at_most() -> None:
    policy = RetryPolicy(max_retries=20, initial_ms=1000, max_ms=60_000)
    for tried in range(20):
        longest = min(1000 * 2**tried, 60_000)
        pauses = {pause_ms(policy, tried, AWAY, f"run-{number}:step") for number in range(50)}
        found = [pause for pause in pauses if pause is not None]
        assert all(longest / 2 <= pause <= longest for pause in found)
        assert len(found) > 25, "what failed together comes back together"


def test_a_repeated_run_makes_the_same_pause() -> None:
    policy = RetryPolicy(max_retries=20)
    first = [pause_ms(policy, tried, AWAY, "run-1:step") for tried in range(20)]
    assert [pause_ms(policy, tried, AWAY, "run-1:step") for tried in range(20)] == first


@pytest.mark.parametrize("tried", [0, 3])
def test_without_a_policy_or_retries_there_is_no_pause(tried: int) -> None:
    assert pause_ms(None, tried, AWAY, "x") is None
    assert pause_ms(RetryPolicy(), tried, AWAY, "x") is None
    assert pause_ms(RetryPolicy(max_retries=tried), tried, AWAY, "x") is None


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0.0, 5000),
        (4.9, 5000),
        (7.5, 7500),
        (3600.0, 3_600_000),
        (10 * 86_400.0, RETRY_DELAY_MS_MAX),
    ],
)
def test_a_hint_makes_a_pause_longer_and_never_shorter(seconds: float, expected: int) -> None:
    policy = RetryPolicy(max_retries=1, backoff="fixed", initial_ms=5000, max_ms=6000)
    assert pause_ms(policy, 0, hinting(seconds), "x") == expected


# ── Runs ─────────────────────────────────────────────────────────────────────────────────────


class Course:
    """A run that goes along as often as it has to."""

    def __init__(self, yard: Yard, *flows: CompiledFlow) -> None:
        self.yard = yard
        self.flow = flows[0]
        self._way = Way(yard.seat(flows[0]), by_name(*flows), yard.leases, RunsInHand())
        self.legs = 0

    async def run(self, **fields: Any) -> Reached:
        """Go on until it ends; give its outcome."""
        request = self.yard.request(self.flow, **fields)
        while True:
            _, outcome = await self._way.resume(request)
            if not isinstance(outcome, Continued):
                return outcome
            self.legs += 1
            await self.yard.clock.advance(max(0, outcome.due_ms - self.yard.clock.now_ms()) / 1000)
            delivery = self.yard.delivered(an_event(f"evt-{self.legs}"))
            woken = request_of(self.waiting(), self.flow, SharedDelivery(delivery, 1))
            assert woken is not None
            request = woken

    def waiting(self) -> Continuation:
        return list(self.yard.stage.continuations.scheduled.values())[-1]


def failing(times: int, error: Exception = AWAY) -> Callable[[StepContext], Any]:
    """A step that fails so many times before it gives how often it was taken."""
    taken = 0

    async def step(_context: StepContext) -> StepOutcome:
        nonlocal taken
        taken += 1
        if taken <= times:
            raise error
        return Advance(taken)

    return step


async def test_a_flow_without_effects_is_tried_again_too(yard: Yard) -> None:
    """A script that waits for a process, for instance: it has no journal to go by."""
    course = Course(yard, a_flow(a_node("first", Waiting(failing(3))), retry=ALWAYS))
    assert await course.run() == Completed(4)
    assert course.legs == 3


async def test_a_plain_step_is_tried_again_too(yard: Yard) -> None:
    taken: list[int] = []

    def step(_context: StepContext) -> StepOutcome:
        taken.append(1)
        if len(taken) < 3:
            raise AWAY
        return Advance("there")

    course = Course(yard, a_flow(a_node("first", Inline(step)), retry=ALWAYS))
    assert await course.run() == Completed("there")
    assert len(taken) == 3


async def test_the_flows_retries_are_those_of_all_its_steps_together(yard: Yard) -> None:
    policy = ALWAYS.model_copy(update={"max_retries": 3})
    flow = a_flow(
        a_node("first", Waiting(failing(2)), next="last", is_journalled=True),
        a_node("last", Waiting(failing(2)), is_journalled=True),
        retry=policy,
    )
    course = Course(yard, flow)
    outcome = await course.run()
    assert isinstance(outcome, Failed)
    assert outcome.error.node == "last"
    assert course.legs == 3


async def test_each_node_has_retries_of_its_own(yard: Yard) -> None:
    policy = ALWAYS.model_copy(update={"max_retries": 2})
    flow = a_flow(
        a_node("first", Waiting(failing(2)), next="last", is_journalled=True, retry=policy),
        a_node("last", Waiting(failing(2)), is_journalled=True, retry=policy),
    )
    course = Course(yard, flow)
    assert await course.run() == Completed(3)
    assert course.waiting().retries == {"first:1": 2, "last:1": 2}
    assert course.waiting().attempt == 5


async def test_each_time_a_loop_comes_by_a_node_has_its_retries_anew(yard: Yard) -> None:
    failures = {1: 1, 2: 1, 3: 1}

    async def step(context: StepContext) -> StepOutcome:
        if failures.pop(context.iteration, 0):
            raise AWAY
        return Advance(context.iteration, goto="done" if context.iteration == 3 else "first")

    once = ALWAYS.model_copy(update={"max_retries": 1})
    course = Course(yard, a_flow(a_node("first", Waiting(step), is_journalled=True, retry=once)))
    assert await course.run() == Completed(3)
    assert course.waiting().retries == {"first:1": 1, "first:2": 1, "first:3": 1}


async def test_on_error_of_a_calling_node_comes_before_the_flows_policy(yard: Yard) -> None:
    inner = a_flow(a_node("broken", Waiting(failing(9)), is_journalled=True), name="inner")
    outer = a_flow(
        a_node("call", Inline(lambda _: CallFlow("inner", None, passes_context=False)),
               on_error="mend"),
        a_node("mend", Inline(lambda context: Advance(context.scope["error"]["node"]))),
        a_node("unused", Waiting(failing(0)), is_journalled=True),
        retry=ALWAYS,
    )  # fmt: skip
    course = Course(yard, outer, inner)
    assert await course.run() == Completed("call/broken")
    assert course.legs == 0


async def test_a_failure_of_a_sub_flow_is_tried_again_by_the_runs_own_policy(yard: Yard) -> None:
    """A sub-flow is a part of the run: its own policy does not count there."""
    inner = a_flow(
        a_node("broken", Waiting(failing(1)), is_journalled=True),
        name="inner",
        retry=ALWAYS.model_copy(update={"max_retries": 0}),
    )
    outer = a_flow(
        a_node("call", Inline(lambda _: CallFlow("inner", None, passes_context=False))),
        a_node("unused", Waiting(failing(0)), is_journalled=True),
        retry=ALWAYS,
    )
    course = Course(yard, outer, inner)
    assert await course.run() == Completed(2)
    assert course.legs == 1


@pytest.mark.parametrize("code", ["steps_exceeded", "broken"])
async def test_what_cannot_pass_is_not_tried_again(yard: Yard, code: str) -> None:
    step = failing(9, PermanentError("never", reason=code))
    course = Course(yard, a_flow(a_node("first", Waiting(step), is_journalled=True), retry=ALWAYS))
    outcome = await course.run()
    assert isinstance(outcome, Failed)
    assert (outcome.error.code, course.legs) == (code, 0)


async def test_a_try_takes_everything_along(yard: Yard) -> None:
    flow = a_flow(
        a_node("first", Waiting(failing(9)), is_journalled=True, retry=ALWAYS),
        triggers=(a_trigger("user.*"), a_trigger("order.created", number=2)),
    )
    events = (an_event("evt-a"), an_event("evt-b"))
    request = yard.request(
        flow,
        event=events[0],
        events=events,
        triggers=flow.triggers[1:],
        hops=3,
        reply_to=REPLY_TO,
        parent_run_id="run-0",
        round=2,
    )
    way = Way(yard.seat(flow), by_name(flow), yard.leases, RunsInHand())
    _, outcome = await way.resume(request)
    assert isinstance(outcome, Continued)
    waiting = list(yard.stage.continuations.scheduled.values())[-1]
    assert replace(waiting, due_ms=0, spent_ms=0, version=None) == Continuation(
        run_id="run-1",
        flow="orders",
        event=events[0],
        attempt=2,
        parent_run_id="run-0",
        hops=3,
        trigger=2,
        round=2,
        leg=1,
        retries={"first:1": 1},
        reply_to=REPLY_TO,
        events=events,
    )
    woken = request_of(waiting, flow, SharedDelivery(yard.delivered(an_event("evt-w")), 1))
    assert woken is not None
    assert woken.triggers == flow.triggers[1:]
    assert (woken.events, woken.reply_to, woken.hops) == (events, REPLY_TO, 3)
    assert woken.is_judged
    assert woken.may_be_repeated

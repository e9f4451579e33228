"""Durable runs: what the journal recalls, what is tried again, what sleeps, who is cancelled."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from actors.errors import PermanentError, TransientError, UnavailableError
from actors.flows.compiled import CompiledFlow
from actors.nodes.schema import RetryPolicy
from actors.nodes.state_access import step_on_state
from actors.nodes.state_view import StateView
from actors.nodes.step import StepContext
from actors.outcomes import (
    Advance,
    Cancelled,
    Completed,
    Continued,
    Failed,
    Interrupted,
    Sleep,
    StepOutcome,
)
from actors.ports import Continuation, JournalEntry, StateScope
from actors.runs.in_hand import RunsInHand
from actors.runs.journal import KEPT_SECONDS
from actors.runs.journal_entries import CANCEL
from actors.runs.request import RunRequest, SharedDelivery, request_of
from actors.runs.run import Run
from actors.runs.way import Reached, Way
from tests.support.builders import Inline, Waiting, Yard, a_flow, a_node, an_event, by_name

DAY_MS = 86_400_000
DEMO = StateScope("demo")


@dataclass
class Effect:
    """A waiting node that counts what it does, under the key it does it by."""

    do: Callable[[StepContext, int], StepOutcome] = lambda _, times: Advance(times)
    done: list[str] = field(default_factory=list)

    async def step_waiting(self, context: StepContext) -> StepOutcome:
        self.done.append(f"{context.step_id}:{context.iteration}")
        return self.do(context, len(self.done))


def an_effect(node_id: str, effect: Any, **fields: Any) -> Any:
    return a_node(node_id, effect, is_journalled=True, **fields)


@dataclass
class Course:
    """One flow's way, and a run that goes along it as often as a test says."""

    yard: Yard
    flow: CompiledFlow
    version: str = "v1"
    in_hand: RunsInHand = field(default_factory=RunsInHand)

    @property
    def way(self) -> Way:
        seat = replace(self.yard.seat(self.flow), version=self.version)
        return Way(seat, by_name(self.flow), self.yard.leases, self.in_hand)

    def request(self, **fields: Any) -> RunRequest:
        return self.yard.request(self.flow, run_id="run-1", **fields)

    async def run(self, request: RunRequest | None = None) -> tuple[Run, Reached]:
        return await self.way.resume(request or self.request())

    def waiting(self) -> Continuation:
        """The continuation that was scheduled last."""
        return list(self.yard.stage.continuations.scheduled.values())[-1]

    def woken(self, waiting: Continuation | None = None) -> RunRequest:
        """The request that the last continuation becomes."""
        delivery = self.yard.delivered(an_event("evt-of-run-1"))
        request = request_of(waiting or self.waiting(), self.flow, SharedDelivery(delivery, 1))
        assert request is not None
        return request


def fails_times(times: int, error: Exception) -> Callable[[StepContext, int], StepOutcome]:
    def do(_context: StepContext, done: int) -> StepOutcome:
        if done <= times:
            raise error
        return Advance(f"after {times}")

    return do


# ── The journal ──────────────────────────────────────────────────────────────────────────────


async def test_an_effect_that_is_on_record_is_not_done_again(yard: Yard) -> None:
    effect = Effect()
    course = Course(
        yard, a_flow(an_effect("first", effect, next="last"), an_effect("last", effect))
    )
    assert (await course.run())[1] == Completed(2)
    run, outcome = await course.run()
    assert outcome == Completed(2)
    assert effect.done == ["first:1", "last:1"]
    assert run.path == ["first", "last"]


async def test_only_what_is_missing_is_done(yard: Yard) -> None:
    """As after a crash between the second effect and its entry."""
    first, last = Effect(), Effect(fails_times(1, RuntimeError("a crash")))
    course = Course(yard, a_flow(an_effect("first", first, next="last"), an_effect("last", last)))
    assert isinstance((await course.run())[1], Failed)
    assert (await course.run())[1] == Completed("after 1")
    assert (first.done, last.done) == (["first:1"], ["last:1", "last:1"])


async def test_a_repeated_run_sees_the_time_it_began_at(yard: Yard) -> None:
    seen: list[int] = []

    def look(context: StepContext) -> StepOutcome:
        seen.append(context.scope["now"])
        return Advance()

    flow = a_flow(a_node("look", Inline(look), next="first"), an_effect("first", Effect()))
    course = Course(yard, flow)
    await course.run()
    await yard.clock.advance(100)
    run, _ = await course.run()
    assert seen[0] == seen[1]
    assert run.started_ms == yard.clock.now_ms() - 100_000


async def test_a_step_taken_again_is_another_step(yard: Yard) -> None:
    effect = Effect(lambda _, times: Advance(times, goto="done" if times == 3 else "first"))
    course = Course(yard, a_flow(an_effect("first", effect)))
    assert (await course.run())[1] == Completed(3)
    assert (await course.run())[1] == Completed(3)
    assert effect.done == ["first:1", "first:2", "first:3"]


async def test_a_failure_that_led_elsewhere_leads_there_again(yard: Yard) -> None:
    broken = Effect(fails_times(1, PermanentError("no", reason="broken")))
    flow = a_flow(
        an_effect("first", broken, on_error="mend", next="done"),
        a_node("mend", Inline(lambda context: Advance(context.scope["error"]["code"]))),
    )
    course = Course(yard, flow)
    assert (await course.run())[1] == Completed("broken")
    assert (await course.run())[1] == Completed("broken")
    assert broken.done == ["first:1"]


async def test_two_workers_with_one_run_do_not_both_go_on(yard: Yard) -> None:
    gates = [asyncio.Event(), asyncio.Event()]
    entered: list[StepContext] = []

    async def step(context: StepContext) -> StepOutcome:
        entered.append(context)
        await gates[len(entered) - 1].wait()
        return Advance(len(entered))

    later = Effect()
    flow = a_flow(an_effect("first", Waiting(step), next="last"), an_effect("last", later))
    runs = [asyncio.ensure_future(Course(yard, flow).run()) for _ in gates]
    await yard.clock.settle()
    gates[1].set()
    await yard.clock.settle()
    gates[0].set()
    (_, first), (_, second) = await runs[0], await runs[1]
    assert isinstance(first, Interrupted)
    assert first.is_lost
    assert isinstance(second, Completed)
    assert later.done == ["last:1"]


async def test_a_journal_that_cannot_be_read_leaves_the_run_to_others(yard: Yard) -> None:
    course = Course(yard, a_flow(an_effect("first", Effect())))
    yard.stage.journal.is_available = False
    running = asyncio.ensure_future(course.run())
    await yard.clock.advance(20)
    _, outcome = await running
    assert isinstance(outcome, Interrupted)
    assert outcome.is_lost


async def test_an_outcome_is_kept_as_soon_as_the_bus_is_back(yard: Yard) -> None:
    effect = Effect()

    def cut(context: StepContext, _times: int) -> StepOutcome:
        yard.stage.journal.is_available = False
        return Advance("kept")

    effect.do = cut
    course = Course(yard, a_flow(an_effect("first", effect)))
    running = asyncio.ensure_future(course.run())
    await yard.clock.advance(40)
    yard.stage.journal.is_available = True
    await yard.clock.advance(1)
    assert (await running)[1] == Completed("kept")
    assert (await course.run())[1] == Completed("kept")
    assert effect.done == ["first:1"]


async def test_a_step_waits_out_the_absence_of_the_bus(yard: Yard) -> None:
    effect = Effect(fails_times(3, UnavailableError("away")))
    course = Course(yard, a_flow(an_effect("first", effect)))
    running = asyncio.ensure_future(course.run())
    await yard.clock.advance(10)
    assert (await running)[1] == Completed("after 3")


async def test_an_outage_of_the_bus_is_no_time_of_the_flows(yard: Yard) -> None:
    effect = Effect(fails_times(12, UnavailableError("away")))
    course = Course(yard, a_flow(an_effect("first", effect), timeout_seconds=2))
    running = asyncio.ensure_future(course.run())
    await yard.clock.advance(10)
    assert (await running)[1] == Completed("after 12")


async def test_a_value_too_large_for_the_journal_fails_its_node(yard: Yard) -> None:
    class Narrow(type(yard.stage.journal)):  # type: ignore[misc]
        async def write(self, *args: Any, **more: Any) -> bool:
            if args[2].value["kind"] == "advance":
                raise PermanentError("too large", reason="too_large")
            return bool(await super().write(*args, **more))

    yard.stage.journal = Narrow()
    course = Course(yard, a_flow(an_effect("first", Effect())))
    _, outcome = await course.run()
    assert isinstance(outcome, Failed)
    assert outcome.error.code == "too_large"


# ── Writes to the state ──────────────────────────────────────────────────────────────────────


def counts() -> Waiting:
    """A node that adds one to the state's `n`."""

    async def attempt(view: StateView) -> StepOutcome:
        value = (view.get("n") or 0) + 1
        view.set("n", value)
        return Advance(value)

    return Waiting(lambda context: step_on_state(context, attempt))


async def test_a_write_on_record_is_applied_once(yard: Yard) -> None:
    course = Course(yard, a_flow(an_effect("first", counts())))
    assert (await course.run())[1] == Completed(1)
    assert (await course.run())[1] == Completed(1)
    assert (await yard.stage.state.get(DEMO, "n")).value == 1


async def test_a_write_that_a_crash_kept_back_is_applied_by_who_comes_next(yard: Yard) -> None:
    store = yard.stage.state
    put = store.put

    async def die(*_args: Any, **_more: Any) -> bool:
        raise RuntimeError("a crash")

    store.put = die
    course = Course(yard, a_flow(an_effect("first", counts())))
    assert isinstance((await course.run())[1], Failed)
    store.put = put
    assert (await store.get(DEMO, "n")).value is None
    assert (await course.run())[1] == Completed(1)
    assert (await store.get(DEMO, "n")).value == 1


async def test_a_write_that_others_came_before_is_worked_out_afresh(yard: Yard) -> None:
    """It was on record, was not applied, and the key has changed since."""
    store = yard.stage.state
    put = store.put

    async def die(*_args: Any, **_more: Any) -> bool:
        raise RuntimeError("a crash")

    store.put = die
    course = Course(yard, a_flow(an_effect("first", counts())))
    await course.run()
    store.put = put
    await store.put(DEMO, "n", 10)
    assert (await course.run())[1] == Completed(11)
    assert (await course.run())[1] == Completed(11)
    assert (await store.get(DEMO, "n")).value == 11


# ── Retries ──────────────────────────────────────────────────────────────────────────────────

TWICE = RetryPolicy(max_retries=2, backoff="fixed", initial_ms=5000, max_ms=5000)
AWAY = TransientError("not now", reason="http.connect")


async def test_a_node_is_tried_again_after_its_pause(yard: Yard) -> None:
    effect = Effect(fails_times(2, AWAY))
    course = Course(yard, a_flow(an_effect("first", effect, retry=TWICE)))
    _, outcome = await course.run()
    for attempt in (2, 3):
        due_ms = yard.clock.now_ms() + 5000
        assert outcome == Continued(due_ms, attempt)
        waiting = course.waiting()
        assert (waiting.due_ms, waiting.attempt, waiting.leg) == (due_ms, attempt, attempt - 1)
        await yard.clock.advance(5)
        _, outcome = await course.run(course.woken())
    assert outcome == Completed("after 2")


async def test_a_delivery_leaves_its_run_to_the_leg_that_came_after_it(yard: Yard) -> None:
    """Its worker died once the run was put off: the delivery and the leg would both go on."""
    effect = Effect(fails_times(1, AWAY))
    course = Course(yard, a_flow(an_effect("first", effect, retry=TWICE)))
    await course.run()
    yard.stage.legs.add(course.waiting())
    assert (await course.run())[1] == Continued(course.waiting().due_ms, 2)
    assert effect.done == ["first:1"]
    assert len(yard.stage.continuations.scheduled) == 1
    assert isinstance((await course.run(course.woken()))[1], Completed)


async def test_retries_end_and_then_on_error_has_it(yard: Yard) -> None:
    effect = Effect(fails_times(9, AWAY))
    flow = a_flow(
        an_effect("first", effect, retry=TWICE, on_error="mend"),
        a_node("mend", Inline(lambda context: Advance(context.scope["error"]["code"]))),
    )
    course = Course(yard, flow)
    await course.run()
    await course.run(course.woken())
    assert (await course.run(course.woken()))[1] == Completed("http.connect")
    assert len(effect.done) == 3


async def test_the_flows_policy_comes_last(yard: Yard) -> None:
    effect = Effect(fails_times(9, AWAY))
    once = RetryPolicy(max_retries=1, initial_ms=1000)
    flow = a_flow(an_effect("first", effect, retry=once), retry=once)
    course = Course(yard, flow)
    await course.run()
    assert course.waiting().retries == {"first:1": 1}
    await course.run(course.woken())
    assert course.waiting().retries == {"first:1": 1, "": 1}
    _, outcome = await course.run(course.woken())
    assert isinstance(outcome, Failed)
    assert len(effect.done) == 3
    assert course.waiting().attempt == 3


async def test_on_error_takes_what_the_flows_policy_would(yard: Yard) -> None:
    flow = a_flow(an_effect("first", Effect(fails_times(9, AWAY)), on_error="done"), retry=TWICE)
    assert isinstance((await Course(yard, flow).run())[1], Completed)


async def test_what_will_fail_again_is_not_tried_again(yard: Yard) -> None:
    effect = Effect(fails_times(9, PermanentError("never", reason="broken")))
    flow = a_flow(an_effect("first", effect, retry=TWICE), retry=TWICE)
    assert isinstance((await Course(yard, flow).run())[1], Failed)
    assert len(effect.done) == 1


async def test_a_final_failure_stays_one(yard: Yard) -> None:
    """Or a repeat after a lost ack could do what its result says was never done."""
    effect = Effect(fails_times(1, AWAY))
    course = Course(yard, a_flow(an_effect("first", effect)))
    assert isinstance((await course.run())[1], Failed)
    assert isinstance((await course.run())[1], Failed)
    assert len(effect.done) == 1


async def test_the_world_may_ask_for_a_longer_pause(yard: Yard) -> None:
    hint = TransientError("later", retry_after_seconds=90)
    flow = a_flow(an_effect("first", Effect(fails_times(1, hint)), retry=TWICE))
    course = Course(yard, flow)
    assert (await course.run())[1] == Continued(yard.clock.now_ms() + 90_000, 2)


async def test_a_node_that_takes_too_long_may_be_tried_again(yard: Yard) -> None:
    async def forever(_context: StepContext) -> StepOutcome:
        await asyncio.Event().wait()
        raise AssertionError

    slow = an_effect("first", Waiting(forever), retry=TWICE, timeout_seconds=0.01)
    assert isinstance((await Course(yard, a_flow(slow)).run())[1], Continued)


async def test_the_timeout_of_a_flow_counts_only_while_it_runs(yard: Yard) -> None:
    async def takes_four_seconds(_context: StepContext) -> StepOutcome:
        await yard.clock.sleep(4)
        raise AWAY

    often = RetryPolicy(max_retries=9, backoff="fixed", initial_ms=60_000, max_ms=60_000)
    node = an_effect("first", Waiting(takes_four_seconds), retry=often)
    course = Course(yard, a_flow(node, timeout_seconds=10))
    request, ends = None, []
    for _ in range(3):
        running = asyncio.ensure_future(course.run(request))
        await yard.clock.advance(4)
        ends.append((await running)[1])
        await yard.clock.advance(60)
        request = course.woken()
        if isinstance(ends[-1], Failed):
            break
    running = asyncio.ensure_future(course.run(request))
    await yard.clock.advance(4)
    ends.append((await running)[1])
    assert [type(end) for end in ends[:2]] == [Continued, Continued]
    assert course.waiting().spent_ms >= 8000
    assert isinstance(ends[-1], Failed)
    assert ends[-1].error.code == "timeout"


# ── Sleep ────────────────────────────────────────────────────────────────────────────────────


def sleeps(seconds: int) -> Waiting:
    async def step(context: StepContext) -> StepOutcome:
        return Sleep(context.world.clock.now_ms() + seconds * 1000)

    return Waiting(step)


async def test_a_run_sleeps_and_goes_on(yard: Yard) -> None:
    effect = Effect()
    flow = a_flow(
        an_effect("first", effect, next="wait"),
        an_effect("wait", sleeps(60), next="last"),
        an_effect("last", effect),
    )
    course = Course(yard, flow)
    due_ms = yard.clock.now_ms() + 60_000
    assert (await course.run())[1] == Continued(due_ms, 1)
    await yard.clock.advance(60)
    run, outcome = await course.run(course.woken())
    assert outcome == Completed(2)
    assert run.path == ["first", "wait", "last"]
    assert effect.done == ["first:1", "last:1"]


async def test_a_run_that_is_handed_on_keeps_its_trigger(yard: Yard) -> None:
    course = Course(yard, a_flow(an_effect("first", Effect())))
    await course.run()
    course.version = "v2"
    await course.run()
    assert course.waiting().trigger == 1


async def test_a_repeat_before_the_time_sleeps_on(yard: Yard) -> None:
    flow = a_flow(an_effect("wait", sleeps(60), next="last"), a_node("last", Inline(_never)))
    course = Course(yard, flow)
    due_ms = yard.clock.now_ms() + 60_000
    await course.run()
    await yard.clock.advance(30)
    assert (await course.run())[1] == Continued(due_ms, 1)
    assert len(yard.stage.continuations.scheduled) == 1


def _never(_context: StepContext) -> StepOutcome:
    raise AssertionError("it went on too early")


async def test_who_is_woken_by_the_bus_trusts_it_on_the_time(yard: Yard) -> None:
    course = Course(yard, a_flow(an_effect("wait", sleeps(60))))
    await course.run()
    assert isinstance((await course.run(course.woken()))[1], Completed)


async def test_the_journal_outlasts_long_sleeps(yard: Yard) -> None:
    flow = a_flow(an_effect("first", Effect(), next="wait"), an_effect("wait", sleeps(30 * 86_400)))
    course = Course(yard, flow)
    await course.run()
    entries = await yard.stage.journal.read("demo", "run-1")
    kept = {
        entry.value.get("step", entry.step).partition("@")[0]: entry.value["until_ms"]
        - yard.clock.now_ms()
        for entry in entries
    }
    assert kept == dict.fromkeys(["first:1", "wait:1"], 30 * DAY_MS + KEPT_SECONDS * 1000)
    await yard.clock.advance(30 * 86_400)
    assert isinstance((await course.run(course.woken()))[1], Completed)


# ── Versions and cancellation ────────────────────────────────────────────────────────────────


async def test_a_run_that_began_on_another_version_is_handed_on_to_it(yard: Yard) -> None:
    effect = Effect()
    course = Course(yard, a_flow(an_effect("first", effect)))
    await course.run()
    course.version = "v2"
    assert (await course.run())[1] == Continued(0, 1)
    assert course.waiting().version == "v1"
    course.version = "v1"
    assert (await course.run(course.woken()))[1] == Completed(1)
    assert effect.done == ["first:1"]


async def test_all_legs_of_a_run_agree_on_what_it_began_with(yard: Yard) -> None:
    seen: list[int] = []

    def fail_once(context: StepContext, done: int) -> StepOutcome:
        seen.append(context.scope["now"])
        if done == 1:
            raise AWAY
        return Advance()

    course = Course(yard, a_flow(an_effect("first", Effect(fail_once), retry=TWICE)))
    await course.run()
    assert course.waiting().version == "v1"
    await yard.clock.advance(5)
    await course.run(course.woken())
    assert seen[0] == seen[1], "one idempotency key, one request"


async def test_a_second_delivery_of_a_run_in_hand_is_left(yard: Yard) -> None:
    gate = asyncio.Event()
    effect = Effect()

    async def step(context: StepContext) -> StepOutcome:
        await gate.wait()
        return await effect.step_waiting(context)

    course = Course(yard, a_flow(an_effect("first", Waiting(step))))
    first = asyncio.ensure_future(course.run())
    await yard.clock.settle()
    _, outcome = await course.run()
    assert isinstance(outcome, Interrupted)
    assert outcome.is_lost
    gate.set()
    assert isinstance((await first)[1], Completed)
    assert effect.done == ["first:1"]


async def test_walks_that_take_different_ways_do_not_both_begin(yard: Yard) -> None:
    """They differ before anything is on record: by the time, or by an answer."""
    ways = iter(["left", "right"])
    choose = Inline(lambda _: Advance(goto=next(ways)))

    async def slow(_context: StepContext) -> StepOutcome:
        await yard.clock.sleep(1)
        return Advance()

    flow = a_flow(
        a_node("choose", choose),
        an_effect("left", Waiting(slow), next="done"),
        an_effect("right", Waiting(slow), next="done"),
    )
    both = [asyncio.ensure_future(Course(yard, flow).run()) for _ in range(2)]
    await yard.clock.advance(2)
    outcomes = [(await course)[1] for course in both]
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Completed", "Interrupted"]


async def test_an_overdue_run_stays_overdue(yard: Yard) -> None:
    effect = Effect(lambda _, times: Advance(times, goto="first" if times < 3 else "done"))

    async def slow(context: StepContext) -> StepOutcome:
        await yard.clock.sleep(4)
        return await effect.step_waiting(context)

    course = Course(yard, a_flow(an_effect("first", Waiting(slow)), timeout_seconds=6))
    running = asyncio.ensure_future(course.run())
    await yard.clock.advance(8)
    _, first = await running
    assert isinstance(first, Failed)
    assert (await course.run())[1] == first
    assert len(effect.done) == 2


async def test_a_thawed_worker_does_not_end_a_run_that_may_be_anothers(yard: Yard) -> None:
    async def freeze(_context: StepContext) -> StepOutcome:
        await yard.clock.sleep(1)
        return Advance()

    flow = a_flow(
        an_effect("first", Waiting(freeze), next="last"), a_node("last", Inline(_never)),
        timeout_seconds=20,
    )  # fmt: skip
    running = asyncio.ensure_future(Course(yard, flow).run())
    await yard.clock.settle()
    await yard.clock.jump(40)
    await yard.clock.settle()
    _, outcome = await running
    assert isinstance(outcome, Interrupted)
    assert outcome.is_lost


async def test_a_write_stays_written_however_long_the_next_step_is_tried(yard: Yard) -> None:
    often = RetryPolicy(max_retries=9, backoff="fixed", initial_ms=400_000, max_ms=400_000)
    later = Effect(fails_times(3, AWAY))
    flow = a_flow(an_effect("first", counts(), next="last"), an_effect("last", later, retry=often))
    course = Course(yard, flow)
    await course.run()
    for _ in range(3):
        await yard.stage.state.put(DEMO, "n", (await yard.stage.state.get(DEMO, "n")).value + 100)
        await yard.clock.advance(400)
        _, outcome = await course.run(course.woken())
    assert outcome == Completed("after 3")
    assert (await yard.stage.state.get(DEMO, "n")).value == 301


async def test_a_run_in_hand_can_be_cancelled(yard: Yard) -> None:
    async def forever(_context: StepContext) -> StepOutcome:
        await asyncio.Event().wait()
        raise AssertionError

    course = Course(yard, a_flow(an_effect("first", Waiting(forever))))
    running = asyncio.ensure_future(course.run())
    await yard.clock.settle()
    assert course.in_hand.cancel("run-1", "enough")
    _, outcome = await running
    assert outcome == Cancelled("enough")
    assert not course.in_hand.cancel("run-1", "again")
    assert (await course.run())[1] == Cancelled("enough"), "a repeat does not go on"


async def test_a_sleeper_that_was_cancelled_ends_when_it_wakes(yard: Yard) -> None:
    flow = a_flow(an_effect("wait", sleeps(60), next="last"), a_node("last", Inline(_never)))
    course = Course(yard, flow)
    await course.run()
    entry = JournalEntry(CANCEL, {"reason": "by hand"})
    await yard.stage.journal.write("demo", "run-1", entry, ttl_seconds=60)
    assert (await course.run(course.woken()))[1] == Cancelled("by hand")


async def test_poison_is_what_makes_no_progress(yard: Yard) -> None:
    crash = Effect(fails_times(99, RuntimeError("a crash")))
    flow = a_flow(an_effect("first", Effect(), next="last"), an_effect("last", crash))
    course = Course(yard, flow)
    delivery = yard.delivered(an_event("evt-of-run-1"))
    for times, code in ((19, "internal"), (38, "internal"), (40, "poison")):
        delivery.num_delivered = times
        share = SharedDelivery(delivery, 1)
        _, outcome = await course.run(course.request(delivery=delivery, share=share))
        assert isinstance(outcome, Failed)
        assert outcome.error.code == code


@pytest.mark.parametrize(
    ("backoff", "pauses"),
    [("fixed", [1000, 1000, 1000]), ("linear", [1000, 2000, 3000]), ("exponential", None)],
)
async def test_pauses_grow_as_the_policy_says(
    yard: Yard, backoff: Any, pauses: list[int] | None
) -> None:
    policy = RetryPolicy(max_retries=3, backoff=backoff, initial_ms=1000, max_ms=3500)
    course = Course(yard, a_flow(an_effect("first", Effect(fails_times(9, AWAY)), retry=policy)))
    request, seen = None, []
    for _ in range(3):
        _, outcome = await course.run(request)
        assert isinstance(outcome, Continued)
        seen.append(outcome.due_ms - yard.clock.now_ms())
        request = course.woken()
    if pauses is not None:
        assert seen == pauses
    else:
        for pause, longest in zip(seen, (1000, 2000, 3500), strict=True):
            assert longest / 2 <= pause <= longest

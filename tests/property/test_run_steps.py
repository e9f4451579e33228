"""Whatever a flow does, its run's record tells its steps, in order, as they went.

In: flows drawn at random: steps that give, fail, jump back, wait, call, sleep and are tried again.
Out: for every run that ended the steps of its path, times that only grow, one end to each step.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from hypothesis import given, settings
from hypothesis import strategies as st

from actors.errors import PermanentError, TransientError
from actors.flows.compiled import CompiledFlow, CompiledNode
from actors.nodes.schema import RetryPolicy
from actors.nodes.step import StepContext
from actors.outcomes import Advance, CallFlow, Completed, Failed, Sleep, StepOutcome
from actors.ports import ABSENT, STEPS_KEPT, RunStep
from actors.runs.in_hand import RunsInHand
from actors.runs.request import SharedDelivery, request_of
from actors.runs.run import Run
from actors.runs.trail import Trail
from actors.runs.way import Way
from tests.support.builders import Inline, Waiting, Yard, a_flow, a_node, an_event, by_name

LEGS_MAX: Final = 40
RETRY: Final = RetryPolicy(max_retries=2, backoff="fixed", initial_ms=1000)
KINDS: Final = ("give", "fail", "back", "effect", "broken", "flaky", "call", "nap", "crash")


@dataclass
class Story:
    """What the nodes of one flow do."""

    yard: Yard
    kinds: list[str]
    catches: list[bool]

    def flow(self, name: str, calls: str | None) -> CompiledFlow:
        return a_flow(*(self._node(number, calls) for number in range(len(self.kinds))), name=name)

    def _node(self, number: int, calls: str | None) -> CompiledNode:
        kind, following = self.kinds[number], f"n{number + 1}"
        following = following if number + 1 < len(self.kinds) else "done"
        fields: dict[str, Any] = {"next": following}
        if self.catches[number]:
            fields["on_error"] = following
        do = self._doing(kind, number, calls)
        if kind in ("give", "fail", "back", "crash", "call"):
            return a_node(f"n{number}", Inline(do), **fields)

        async def wait(context: StepContext) -> StepOutcome:
            await self.yard.clock.advance(0.25)
            return do(context)

        retry = RETRY if kind == "flaky" else None
        return a_node(f"n{number}", Waiting(wait), is_journalled=True, retry=retry, **fields)

    def _doing(
        self, kind: str, number: int, calls: str | None
    ) -> Callable[[StepContext], StepOutcome]:
        def do(context: StepContext) -> StepOutcome:
            match kind:
                case "fail" | "broken":
                    raise PermanentError("no", reason="broken")
                case "flaky":
                    raise TransientError("not now", reason="away")
                case "crash" if context.iteration > 1:
                    raise ZeroDivisionError
                case "back" if context.iteration < 4:
                    return Advance(context.iteration, goto=f"n{max(0, number - 2)}")
                case "call" if calls is not None:
                    return CallFlow(calls, {"n": number}, passes_context=False)
                case "nap":
                    return Sleep(self.yard.clock.now_ms() + 5000)
            return Advance(number)

        return do


async def ended(yard: Yard, flow: CompiledFlow, *others: CompiledFlow) -> tuple[Run, Any]:
    way = Way(yard.seat(flow), by_name(flow, *others), yard.leases, RunsInHand())
    run, outcome = await way.resume(yard.request(flow))
    for _ in range(LEGS_MAX):
        if isinstance(outcome, Completed | Failed):
            return run, outcome
        continuation = list(yard.stage.continuations.scheduled.values())[-1]
        await yard.clock.advance(max(0, continuation.due_ms - yard.clock.now_ms()) / 1000)
        share = SharedDelivery(yard.delivered(an_event("evt-of-run-1")), 1)
        request = request_of(continuation, flow, share)
        assert request is not None
        run, outcome = await way.resume(request)
    raise AssertionError("the run does not end")


def check(step: RunStep) -> None:
    assert (step.code is not None) == (step.outcome == "failed")
    assert step.at_ms >= 0
    assert step.took_us >= 0
    assert step.attempt >= 1
    assert step.output is ABSENT or step.outcome == "done"


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(KINDS), st.booleans()), min_size=1, max_size=9),
    st.lists(st.sampled_from(("give", "fail", "effect", "nap")), min_size=1, max_size=3),
)
async def test_a_record_tells_the_steps_of_its_path(
    nodes: list[tuple[str, bool]], inner: list[str]
) -> None:
    yard = Yard()
    sub = Story(yard, inner, [False] * len(inner)).flow("inner", None)
    flow = Story(yard, [kind for kind, _ in nodes], [caught for _, caught in nodes]).flow(
        "orders", "inner"
    )
    has_effects = any(node.is_journalled for each in (flow, sub) for node in each.nodes.values())
    if has_effects and not any(node.is_journalled for node in flow.nodes.values()):
        return  # the yard's seat asks the flow alone
    run, outcome = await ended(yard, flow, sub)
    code = outcome.error.code if isinstance(outcome, Failed) else None
    steps = Trail(run, code)
    assert [step.step for step in steps] == run.path[-STEPS_KEPT:]
    assert len(steps) == len(list(steps)) == len(run.path[-STEPS_KEPT:])
    for step in steps:
        check(step)
    begins = [step.at_ms for step in steps]
    assert begins == sorted(begins)
    replayed = [step.is_replayed for step in steps]
    assert replayed == sorted(replayed, reverse=True)
    if code is not None and code not in ("steps_exceeded", "dangling_target"):
        assert steps[-1].code == code

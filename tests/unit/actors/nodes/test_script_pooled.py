"""Scripts of flows that ask for more. In: the same scripts, on the loop and by a pool. Out: both
come to the same: value, log lines, state and failures."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from actors.errors import NodeError, PermanentError, TransientError
from actors.nodes.resources import FlowResources
from actors.nodes.script_evaluation import ScriptEvaluator
from actors.nodes.script_pooled import PooledScriptNode
from actors.nodes.spec import NodePlan
from actors.observations import FlowLogged
from actors.ports import NoScriptPool, ScriptCall, ScriptResult, ScriptText, StateScope, StateWanted
from actors.testing.scripts import InlineScripts
from grammar import DEFAULT_LIMITS, Limits, SourceText, compile_functions
from tests.support.scripts import MORE, OUTCOMES, on_the_loop, outcome_of
from tests.support.steps import Stage, a_plan, a_step, take, value_of

LIBRARY = compile_functions("fn twice(x) { x * 2 }\nfn fails(x) { x + () }", name="scripts/f.rhai")


def pooled(script: str, limits: Limits = MORE, library: Any = None) -> NodePlan:
    plan = a_plan(
        "script", {"script": script}, FlowResources(library=library), script_limits=limits
    )
    assert isinstance(plan.behaviour, PooledScriptNode)
    return plan


@pytest.mark.parametrize("script", OUTCOMES, ids=lambda text: text[:40])
async def test_a_script_comes_to_the_same_on_the_loop_and_by_the_pool(script: str) -> None:
    resources = FlowResources(library=LIBRARY)
    inline = on_the_loop(script, resources)
    by_pool = pooled(script, library=LIBRARY)
    assert await outcome_of(inline, Stage()) == await outcome_of(by_pool, Stage())


@pytest.mark.parametrize(
    "limits",
    [Limits(operations=100_001, wall_ms=1), Limits(operations=1, wall_ms=5.5)],
)
def test_more_of_either_limit_means_the_pool(limits: Limits) -> None:
    pooled("1", limits)


@pytest.mark.parametrize("limits", [DEFAULT_LIMITS, Limits(operations=10, wall_ms=1)])
def test_what_asks_for_no_more_stays_on_the_loop(limits: Limits) -> None:
    plan = a_plan("script", {"script": "1"}, script_limits=limits)
    assert not isinstance(plan.behaviour, PooledScriptNode)


async def test_a_lower_limit_holds_on_the_loop() -> None:
    plan = a_plan(
        "script", {"script": "let n = 0; loop { n += 1; }"}, script_limits=Limits(operations=50)
    )
    with pytest.raises(PermanentError, match="the limit is 50") as caught:
        await take(plan, a_step(Stage()))
    assert caught.value.reason == "script.limit_operations"


async def test_only_names_that_the_program_reads_cross() -> None:
    stage = Stage(scripts=(scripts := InlineScripts()))
    plan = pooled('if is_def_var("absent") { 1 } else { user + payload.n }')
    assert await value_of(plan, a_step(stage, {"user": 1, "n": 2, "big": "x" * 1000})) == 3
    (call,) = scripts.calls
    assert call.scope.keys() == {"user", "payload"}
    assert call.state is None
    assert call.limits == MORE


async def test_state_is_brought_key_by_key_and_written_after_success() -> None:
    stage = Stage(scripts=(scripts := InlineScripts()))
    scope = StateScope("demo")
    await stage.state.put(scope, "a", 40)
    plan = pooled(
        'let n = state.get("a") + state.get("b", 2); state.set("sum", n); state.remove("a"); n'
    )
    assert await value_of(plan, a_step(stage)) == 42
    assert [call.state for call in scripts.calls] == [{}, {"a": 40}, {"a": 40, "b": None}]
    assert (await stage.state.get(scope, "sum")).value == 42
    assert (await stage.state.get(scope, "a")).value is None


async def test_a_lost_race_evaluates_afresh() -> None:
    stage = Stage()
    scope = StateScope("demo")

    class Meddling(InlineScripts):
        """Another run writes the key between this run's read and its write, once."""

        async def run(self, call: ScriptCall) -> ScriptResult | StateWanted:
            result = await super().run(call)
            if isinstance(result, ScriptResult) and len(self.calls) == 2:
                await stage.state.put(scope, "n", 10)
            return result

    stage.scripts = Meddling()
    plan = pooled('let n = state.get("n", 0) + 1; state.set("n", n); n')
    assert await value_of(plan, a_step(stage)) == 11
    assert (await stage.state.get(scope, "n")).value == 11


async def test_a_failed_script_writes_no_state() -> None:
    stage = Stage()
    plan = pooled('state.set("n", 1); throw "no"')
    with pytest.raises(PermanentError):
        await take(plan, a_step(stage))
    assert (await stage.state.get(StateScope("demo"), "n")).value is None


async def test_lines_are_heard_by_the_flow_s_level() -> None:
    stage = Stage()
    plan = a_plan(
        "script",
        {"script": 'debug("one"); print("two"); 1'},
        log_level="info",
        script_limits=MORE,
    )
    await take(plan, a_step(stage))
    assert [line.message for line in stage.observer.of(FlowLogged)] == ["two"]


@dataclass
class Answering:
    """A pool that answers with what a test says."""

    answer: Callable[[ScriptCall], ScriptResult | StateWanted]
    cancelled: int = 0
    calls: list[ScriptCall] = field(default_factory=list)

    async def run(self, call: ScriptCall) -> ScriptResult | StateWanted:
        self.calls.append(call)
        return self.answer(call)


async def test_what_a_pool_gives_is_checked_again() -> None:
    stage = Stage(scripts=Answering(lambda _: ScriptResult("x" * 300_000)))
    with pytest.raises(PermanentError) as caught:
        await take(pooled("1"), a_step(stage))
    assert caught.value.reason == "too_large"


async def test_a_pool_that_asks_for_ever_more_keys_is_stopped() -> None:
    asked = iter(range(1_000))
    stage = Stage(scripts=Answering(lambda _: StateWanted(f"k{next(asked)}")))
    with pytest.raises(PermanentError) as caught:
        await take(pooled('state.get("k")'), a_step(stage))
    assert caught.value.reason == "state.keys"


async def test_a_process_that_died_is_a_failure_that_may_pass() -> None:
    def die(_: ScriptCall) -> ScriptResult:
        raise TransientError("it ended", reason="script.worker_died")

    with pytest.raises(TransientError) as caught:
        await take(pooled("1"), a_step(Stage(scripts=Answering(die))))
    assert caught.value.reason == "script.worker_died"


async def test_without_a_pool_a_script_is_refused() -> None:
    with pytest.raises(NodeError) as caught:
        await take(pooled("1"), a_step(Stage(scripts=NoScriptPool())))
    assert caught.value.reason == "script.no_pool"


# ── The evaluator ────────────────────────────────────────────────────────────────────────────


def a_call(text: str, *library: str, **fields: Any) -> ScriptCall:
    texts = tuple(SourceText(f"scripts/{n}.rhai", item) for n, item in enumerate(library))
    script = ScriptText.of(SourceText("s", text), texts)
    return ScriptCall("demo", script, {}, fields.pop("limits", MORE), **fields)


def test_programs_are_kept_up_to_a_number() -> None:
    evaluator = ScriptEvaluator(programs_max=2)
    calls = [a_call(f"{n}") for n in range(3)]
    for call in (calls[0], calls[1], calls[0], calls[2]):
        evaluator.evaluate(call)
    assert [evaluator.has(call.script.digest) for call in calls] == [True, False, True]


def test_functions_of_several_shared_texts_call_each_other() -> None:
    evaluator = ScriptEvaluator()
    library = ("fn one(x) { two(x) + 1 }", "fn two(x) { x * 2 }")
    for text, value in (("one(20)", 41), ("two(20)", 40)):
        assert evaluator.evaluate(a_call(text, *library)) == ScriptResult(value)


def test_a_digest_tells_apart_what_runs_differently() -> None:
    texts = [
        a_call("1"),
        a_call("2"),
        a_call("1", "fn f() { 1 }"),
        a_call("1", "fn f() { 2 }"),
        a_call("1", "fn f() { 1 }", "fn g() { 1 }"),
    ]
    assert len({call.script.digest for call in texts}) == len(texts)
    assert a_call("1").script.digest == a_call("1").script.digest


@pytest.mark.parametrize("script", ["1 + 1", 'state.get("a", 2) + 1'])
async def test_a_script_is_charged_alike_on_the_loop_and_by_the_pool(script: str) -> None:
    contexts = [a_step(Stage()), a_step(Stage())]
    await take(on_the_loop(script, FlowResources()), contexts[0])
    await take(pooled(script), contexts[1])
    assert contexts[0].operations == contexts[1].operations > 0

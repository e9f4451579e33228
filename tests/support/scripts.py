"""Scripts, and everything that can be seen of one run of each: for comparing ways to run them."""

from dataclasses import replace
from typing import Any, Final

from actors.errors import NodeError
from actors.nodes.resources import FlowResources
from actors.nodes.script import ScriptNode
from actors.nodes.spec import NodePlan
from actors.nodes.state_access import StatefulNode
from actors.observations import FlowLogged
from actors.ports import StateScope
from grammar import Limits
from tests.support.steps import Stage, a_plan, a_step, take

MORE: Final = Limits(operations=1_000_000, wall_ms=5_000)
"""What no flow gets on the event loop."""

OUTCOMES: Final = (
    "()",
    "payload",
    "payload.big + 1",
    "[9007199254740993, -9223372036854775807 - 1, 1.0, -0.0, 5e-324, 1e300]",
    "#{ z: 1, a: [#{}, []], \"é\\u2028\": 'c' }",
    "event.event_type + tenant_id + now",
    "user_phone",
    "twice(21)",
    "flow.limit",
    'print("one"); debug(#{ a: 1 }); print(2); [1, 2].map(|x| x * 2)',
    "exit(7); 8",
    "try { throw #{ code: 1 } } catch (e) { e.code }",
    # failures
    "let a = 1;\na + nothing",
    "throw payload",
    'throw "half" + "way"',
    'print("heard by nobody");\nfails(1)',
    "twcie(1)",
    "1 / 0",
    "payload.a.b.c()",
    "fn f(x) { f(x + 1) }\nf(0)",
    "let x = [];\nloop { x.push(1); }",
    'let x = "ab"; loop { x += x; }',
    'loop { print("a line of text that is long enough"); }',
    "|x| x",
    "[1, 0..3]",
    "0.0 / 0.0",
    "(0..9).len()",
    # state
    'state.get("n", 1) + state.get("absent", 2)',
    'state.set("n", state.get("n") + 1); state.set("m", [1]); state.remove("s"); state.get("n")',
    'print("a"); state.set("n", 5); print("b"); state.get("n") + state.get("s").len()',
    'state.set("", 1)',
    'state.set("x", 0.0 / 0.0)',
    'for i in 0..100 { state.set("k" + i, i); }',
    'try { state.set("", 1) } catch { 1 }',
    'state.set("n", 9); throw "no"',
    "state.n",
)
"""Each comes to a value, or fails, in its own way; none depends on how long it may run."""

PAYLOAD: Final = {"big": 2**63 - 2, "user_phone": "+41", "a": {"b": {}}, "long": "é" * 600}


def on_the_loop(script: str, resources: FlowResources) -> NodePlan:
    """A script node that runs on the loop though its limits are those of the pool."""
    plan = a_plan("script", {"script": script}, resources)
    node = plan.behaviour
    if isinstance(node, StatefulNode):
        assert isinstance(node._inner, ScriptNode)
        return NodePlan(StatefulNode(replace(node._inner, limits=MORE)))
    assert isinstance(node, ScriptNode)
    return NodePlan(replace(node, limits=MORE))


async def outcome_of(plan: NodePlan, stage: Stage) -> dict[str, Any]:
    """Take one step of a node, and give what it did in all."""
    scope = StateScope("demo")
    await stage.state.put(scope, "n", 41)
    await stage.state.put(scope, "s", "text")
    seen: dict[str, Any] = {}
    try:
        outcome = await take(plan, a_step(stage, PAYLOAD))
        seen["outcome"] = repr(outcome)  # tells 1 from 1.0 and -0.0 from 0.0
    except NodeError as error:
        seen |= {"error": type(error), "reason": error.reason, "text": str(error)}
    seen["lines"] = [(line.level, line.message) for line in stage.observer.of(FlowLogged)]
    keys = ("n", "m", "s", "x", "k1")
    seen["state"] = {key: (await stage.state.get(scope, key)).value for key in keys}
    return seen

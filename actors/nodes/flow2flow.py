"""`flow2flow`: runs another flow inside this run, or starts it without waiting.

In: `target_flow`, `input`, `pass_context`, `wait_for_completion`. Out: the sub-flow's last value;
without waiting, the new run's id and flow. The walker runs the sub-flow and bounds the nesting.
"""

from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from actors.nodes.chaining import start_flow
from actors.nodes.filling import fill, fill_waiting, with_state
from actors.nodes.output import check_output
from actors.nodes.rendering import TAG, Rendering, text_of
from actors.nodes.schema import STRICT
from actors.nodes.site import NodeSite
from actors.nodes.spec import NodePlan, NodeSpec, Reference
from actors.nodes.step import StepContext
from actors.outcomes import Advance, CallFlow


class Flow2FlowConfig(BaseModel):
    """Which flow, what it gets, and whether this run waits for it."""

    model_config = STRICT

    target_flow: str
    """A flow of the same tenant."""
    input: Any = "{{payload}}"
    """The sub-flow's payload; without it this event's own."""
    pass_context: bool = False
    """True: the sub-flow sees this run's names too."""
    wait_for_completion: bool = True
    """False: the sub-flow starts as a run of its own."""


@dataclass(frozen=True, slots=True)
class CallNode:
    """Asks the walker to run the sub-flow."""

    content: Rendering
    passes_context: bool

    def step(self, context: StepContext) -> CallFlow:
        """Give the call."""
        parts = fill(self.content, context)
        payload = check_output(parts["payload"], "input")
        return CallFlow(text_of(parts["flow"]), payload, self.passes_context)


@dataclass(frozen=True, slots=True)
class StartNode:
    """Starts the sub-flow as a run of its own."""

    content: Rendering

    async def step_waiting(self, context: StepContext) -> Advance:
        """Schedule; UnavailableError when the continuation may not be stored."""
        parts = context.given = await fill_waiting(self.content, context)
        return Advance(await start_flow(context, text_of(parts["flow"]), parts["payload"]))


def build_flow2flow(config: Flow2FlowConfig, site: NodeSite) -> NodePlan:
    """Compile name and input; a flow that is started shares no context."""
    content = site.rendering({"flow": config.target_flow, "payload": config.input})
    reference = (Reference(config.target_flow, ("target_flow",)),)
    known = () if TAG in config.target_flow else reference
    if config.wait_for_completion:
        node = with_state(CallNode(content, config.pass_context), content)
        return NodePlan(node, calls=known, calls_any=not known)
    if config.pass_context:
        message = "'pass_context' needs 'wait_for_completion': a run of its own has its own names"
        site.report("flow.bad_value", ("pass_context",), message)
    return NodePlan(StartNode(content), starts=known)


FLOW2FLOW = NodeSpec(
    type="flow2flow",
    summary="Runs another flow as a sub-flow.",
    config=Flow2FlowConfig,
    build=build_flow2flow,
    has_effect=True,
)

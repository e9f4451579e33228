"""`async`: starts another flow and does not wait for it.

In: `flow` and `payload`. Out: a continuation, stored; the value is the new run's id and flow. The
new run publishes its own result under this event's type (DESIGN 4).
"""

from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from actors.nodes.chaining import start_flow
from actors.nodes.filling import fill_waiting
from actors.nodes.rendering import TAG, Rendering, text_of
from actors.nodes.schema import STRICT
from actors.nodes.site import NodeSite
from actors.nodes.spec import NodePlan, NodeSpec, Reference
from actors.nodes.step import StepContext
from actors.outcomes import Advance


class AsyncConfig(BaseModel):
    """Which flow, and its payload; without one it gets this event's own."""

    model_config = STRICT

    flow: str
    """A flow of the same tenant."""
    payload: Any = "{{payload}}"
    """That run's payload."""


@dataclass(frozen=True, slots=True)
class AsyncNode:
    """Schedules the other flow's run."""

    content: Rendering

    async def step_waiting(self, context: StepContext) -> Advance:
        """Schedule; UnavailableError when the continuation may not be stored."""
        parts = context.given = await fill_waiting(self.content, context)
        return Advance(await start_flow(context, text_of(parts["flow"]), parts["payload"]))


def build_async(config: AsyncConfig, site: NodeSite) -> NodePlan:
    """Compile name and payload."""
    content = site.rendering({"flow": config.flow, "payload": config.payload})
    starts = () if TAG in config.flow else (Reference(config.flow, ("flow",)),)
    return NodePlan(AsyncNode(content), starts=starts)


ASYNC = NodeSpec(
    type="async",
    summary="Starts another flow and does not wait.",
    config=AsyncConfig,
    build=build_async,
    has_effect=True,
)

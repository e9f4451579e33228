"""Filling in a node's config for one step, with or without `state` (SPEC 7).

In: a rendering and a step. Out: the JSON value. A config that reads `state` is rendered once its
keys are loaded; all others at once.
"""

from typing import Any

from actors.nodes.rendering import Rendering
from actors.nodes.site import STATE
from actors.nodes.state_access import StatefulNode, read_with_state
from actors.nodes.step import InlineNode, Node, StepContext
from grammar import Budget


def fill(rendering: Rendering, context: StepContext) -> Any:
    """Render at once. The config must not read `state`, or a `StatefulNode` must be around it."""
    return rendering.render(context.scope, Budget())


async def fill_waiting(rendering: Rendering, context: StepContext) -> Any:
    """Render, loading the state that it reads."""
    if STATE in rendering.names:
        return await read_with_state(context, lambda: fill(rendering, context))
    return fill(rendering, context)


def with_state(node: InlineNode, *renderings: Rendering) -> Node:
    """Make the node wait for the state if one of its renderings reads it."""
    if any(STATE in rendering.names for rendering in renderings):
        return StatefulNode(node)
    return node

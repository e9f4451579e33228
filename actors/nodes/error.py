"""`error`: fails the run on purpose, or leads it to the node's `on_error`.

In: `message`. Out: always a PermanentError with reason ``flow_error``.
"""

from dataclasses import dataclass
from typing import Any, NoReturn

from pydantic import BaseModel

from actors.errors import PermanentError
from actors.nodes.filling import fill, with_state
from actors.nodes.language import ERROR_TEXT_CHARS_MAX
from actors.nodes.rendering import Rendering, text_of
from actors.nodes.schema import STRICT
from actors.nodes.site import NodeSite
from actors.nodes.spec import NodePlan, NodeSpec
from actors.nodes.step import StepContext


class ErrorConfig(BaseModel):
    """Why the run fails."""

    model_config = STRICT

    message: Any = "the flow ended in an error"
    """A text; anything else is shown as JSON."""


@dataclass(frozen=True, slots=True)
class ErrorNode:
    """Fails with its message."""

    message: Rendering

    def step(self, context: StepContext) -> NoReturn:
        """Fail."""
        text = text_of(fill(self.message, context))
        raise PermanentError(text[:ERROR_TEXT_CHARS_MAX], reason="flow_error")


def build_error(config: ErrorConfig, site: NodeSite) -> NodePlan:
    """Compile the message."""
    message = site.rendering(config.message, "message")
    return NodePlan(with_state(ErrorNode(message), message), uses_next=False)


ERROR = NodeSpec(
    type="error", summary="Fails the run with a message.", config=ErrorConfig, build=build_error
)

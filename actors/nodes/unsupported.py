"""Node types that the documentation has and this product, or this version, does not.

In: any config, unread. Out: for types we do not offer, a node that fails when a run reaches it; the
doctor warns (SPEC 4). Types that a later version brings are errors of the doctor, never ignored.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NoReturn

from actors.errors import PermanentError
from actors.nodes.step import StepContext

UNSUPPORTED_TYPES: Final = ("message", "mcp-tool", "adaptive-card", "fast2flow")

LATER_TYPES: Final[Mapping[str, str]] = {
    "reply": "messaging egress",
    "llm": "language models",
    "config": "provider options in flows",
}
"""Type to what it stands for. This version refuses a flow that has one."""


@dataclass(frozen=True, slots=True)
class UnsupportedNode:
    """Stands for a node of a documented type that we do not have."""

    type: str

    def step(self, context: StepContext) -> NoReturn:
        """Fail the step: nothing here can do what the flow asks for."""
        del context
        raise PermanentError(
            f"node type {self.type!r} is not supported here", reason="unsupported_node"
        )

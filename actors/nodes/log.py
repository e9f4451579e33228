"""`log`: one line in the log.

In: `level` and `message`. Out: an observation; no value. A line below the flow's `logging.level`
is not even rendered.
"""

from dataclasses import dataclass
from typing import Any, Final, Literal

from pydantic import BaseModel

from actors.nodes.filling import fill, with_state
from actors.nodes.rendering import Rendering, text_of
from actors.nodes.reporting import is_heard, report_log
from actors.nodes.schema import STRICT
from actors.nodes.site import NodeSite
from actors.nodes.spec import NodePlan, NodeSpec
from actors.nodes.step import StepContext
from actors.outcomes import Advance

_SILENT: Final = Advance(binds=False)


class LogConfig(BaseModel):
    """What to say, and how loud."""

    model_config = STRICT

    message: Any
    """A text; anything else is shown as JSON."""
    level: Literal["debug", "info", "warn", "warning", "error"] = "info"
    """`warn` is `warning`."""


@dataclass(frozen=True, slots=True)
class LogNode:
    """Reports its message."""

    level: str
    message: Rendering
    is_heard: bool

    def step(self, context: StepContext) -> Advance:
        """Report; a message that cannot be rendered fails the step."""
        if self.is_heard:
            report_log(context, self.level, text_of(fill(self.message, context)))
        return _SILENT


def build_log(config: LogConfig, site: NodeSite) -> NodePlan:
    """Compile the message and decide whether the flow's log level lets it through."""
    level = "warning" if config.level == "warn" else config.level
    message = site.rendering(config.message, "message")
    node = LogNode(level, message, is_heard(level, site.log_level))
    return NodePlan(with_state(node, message))


LOG = NodeSpec(type="log", summary="Writes a log line.", config=LogConfig, build=build_log)

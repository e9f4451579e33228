"""What flows say: log lines as observations, one line and of bounded length each.

In: a level and a text. Out: `FlowLogged` at the observer. Refuses nothing: long texts are cut.
"""

from typing import Final

from actors.nodes.step import StepContext
from actors.observations import FlowLogged

MESSAGE_CHARS_MAX: Final = 8_192

LEVELS: Final = ("debug", "info", "warning", "error")
"""From quiet to loud."""


def is_heard(level: str, threshold: str) -> bool:
    """Tell whether a flow whose `logging.level` is ``threshold`` says lines of this level."""
    return LEVELS.index(level) >= LEVELS.index(threshold)


def report_log(context: StepContext, level: str, text: str) -> None:
    """Report one line of a flow."""
    cut = text if len(text) <= MESSAGE_CHARS_MAX else text[: MESSAGE_CHARS_MAX - 1] + "…"
    context.world.observer.observe(
        FlowLogged(context.tenant, context.flow, context.run_id, context.step_id, level, cut)
    )

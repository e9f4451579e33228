"""What flows say: log lines as observations, one line and of bounded length each.

In: a level and a text. Out: `FlowLogged` at the observer. Refuses nothing: long texts are cut.
"""

from collections.abc import Iterable
from typing import Final

from actors.nodes.step import StepContext
from actors.observations import FlowLogged

MESSAGE_CHARS_MAX: Final = 8_192

LEVELS: Final = ("debug", "info", "warning", "error")
"""From quiet to loud."""

_LEVEL_OF: Final = {"print": "info", "debug": "debug"}
"""What a program's `print` and `debug` say is logged at these levels."""


def is_heard(level: str, threshold: str) -> bool:
    """Tell whether a flow whose `logging.level` is ``threshold`` says lines of this level."""
    return LEVELS.index(level) >= LEVELS.index(threshold)


def report_log(context: StepContext, level: str, text: str) -> None:
    """Report one line of a flow, unless a repeated run comes by here again."""
    if context.journal.is_replaying:
        return
    cut = text if len(text) <= MESSAGE_CHARS_MAX else text[: MESSAGE_CHARS_MAX - 1] + "…"
    context.world.observer.observe(
        FlowLogged(context.tenant, context.flow, context.run_id, context.step_id, level, cut)
    )


def report_printed(
    context: StepContext, printed: Iterable[tuple[str, str]], heard: frozenset[str]
) -> None:
    """Report what a program printed, of the levels that are ``heard``."""
    for channel, text in printed:
        level = _LEVEL_OF[channel]
        if level in heard:
            report_log(context, level, text)

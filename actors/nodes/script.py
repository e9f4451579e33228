"""`script`: a program whose value is the node's value.

In: `script`, or `script_file` of the bundle. Out: the program's last value. What it prints becomes
log lines. Refuses values that are not JSON or too large.
"""

from dataclasses import dataclass
from typing import Final

from pydantic import BaseModel

from actors.nodes.language import failure_of
from actors.nodes.output import check_output
from actors.nodes.reporting import LEVELS, is_heard, report_log
from actors.nodes.schema import STRICT
from actors.nodes.site import STATE, NodeSite
from actors.nodes.spec import NodePlan, NodeSpec
from actors.nodes.state_access import StatefulNode
from actors.nodes.step import StepContext
from actors.outcomes import Advance
from grammar import Budget, EvaluationError, Program

_LEVEL_OF: Final = {"print": "info", "debug": "debug"}
"""What a program's `print` and `debug` say is logged at these levels."""


class ScriptConfig(BaseModel):
    """One of the two: the program itself, or the path of its file."""

    model_config = STRICT

    script: str | None = None
    """A program in the language of flows."""
    script_file: str | None = None
    """A file of the bundle, `scripts/total.rhai`."""


@dataclass(frozen=True, slots=True)
class ScriptNode:
    """Runs a program over the run's names."""

    program: Program
    heard: frozenset[str]
    """Levels that the flow's `logging.level` lets through."""

    def step(self, context: StepContext) -> Advance:
        """Run it; PermanentError (``script.…``) with the line when it fails."""
        budget = Budget()
        try:
            value = self.program.run(context.scope, budget)
        except EvaluationError as error:
            raise failure_of(error, "script") from None
        for channel, text in budget.output or ():
            level = _LEVEL_OF[channel]
            if level in self.heard:
                report_log(context, level, text)
        return Advance(check_output(value))


def build_script(config: ScriptConfig, site: NodeSite) -> NodePlan:
    """Compile the program; one that touches `state` makes a node that waits."""
    program = _program(config, site)
    heard = frozenset(level for level in LEVELS if is_heard(level, site.log_level))
    node = ScriptNode(program, heard)
    return NodePlan(StatefulNode(node) if STATE in program.names else node)


def _program(config: ScriptConfig, site: NodeSite) -> Program:
    if (config.script is None) == (config.script_file is None):
        site.report(
            "flow.bad_value", (), "a script node needs 'script' or 'script_file', one of them"
        )
        return site.script("()")
    if config.script is not None:
        return site.script(config.script, "script")
    found = site.script_file(config.script_file or "", "script_file")
    if found is None:
        return site.script("()")
    path, text = found
    return site.script(text, "script_file", name=path)


SCRIPT = NodeSpec(
    type="script",
    summary="Runs a program; its value is the node's value.",
    config=ScriptConfig,
    build=build_script,
    value_name="script_result",
    has_effect=False,
)

"""`script`: a program whose value is the node's value.

In: `script`, or `script_file` of the bundle. Out: the program's last value. What it prints becomes
log lines. A flow whose `config.script` asks for more than the defaults has its scripts run in a
pool of processes. Refuses values that are not JSON or too large.
"""

from dataclasses import dataclass

from pydantic import BaseModel

from actors.nodes.language import failure_of
from actors.nodes.output import check_output
from actors.nodes.reporting import LEVELS, is_heard, report_printed
from actors.nodes.schema import STRICT
from actors.nodes.script_pooled import PooledScriptNode
from actors.nodes.site import STATE, NodeSite
from actors.nodes.spec import NodePlan, NodeSpec
from actors.nodes.state_access import StatefulNode
from actors.nodes.step import StepContext
from actors.outcomes import Advance
from actors.ports import ScriptText
from grammar import (
    DEFAULT_LIMITS,
    Budget,
    EvaluationError,
    FunctionLibrary,
    Limits,
    Program,
    SourceText,
)


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
    limits: Limits = DEFAULT_LIMITS

    def step(self, context: StepContext) -> Advance:
        """Run it; PermanentError (``script.…``) with the line when it fails."""
        budget = Budget(self.limits)
        try:
            value = check_output(self.program.run(context.scope, budget))
        except EvaluationError as error:
            raise failure_of(error, "script") from None
        finally:
            context.operations += budget.operations
            context.world.meter.used(context.tenant, budget.operations)
        if budget.output:
            report_printed(context, budget.output, self.heard)
        return Advance(value)


def build_script(config: ScriptConfig, site: NodeSite) -> NodePlan:
    """Compile the program; one that touches `state` makes a node that waits."""
    program = _program(config, site)
    heard = frozenset(level for level in LEVELS if is_heard(level, site.log_level))
    limits = site.script_limits
    if _exceeds_defaults(limits):
        script = ScriptText.of(program.source, _texts_of(site.resources.library))
        pooled = PooledScriptNode(script, program.names, limits, heard)
        return NodePlan(pooled, is_pure=STATE not in program.names)
    node = ScriptNode(program, heard, limits)
    return NodePlan(StatefulNode(node) if STATE in program.names else node)


def _exceeds_defaults(limits: Limits) -> bool:
    """Tell whether a script may hold the event loop for longer than tenants share it."""
    most = DEFAULT_LIMITS
    return (limits.operations or 0) > (most.operations or 0) or (limits.wall_ms or 0) > (
        most.wall_ms or 0
    )


def _texts_of(library: FunctionLibrary | None) -> tuple[SourceText, ...]:
    return () if library is None else tuple(part.place for part in library.parts)


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

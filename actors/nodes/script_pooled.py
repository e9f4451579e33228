"""A `script` whose flow asks for more than the event loop may give: it runs in a process pool.

In: the program as text and the names it reads. Out: the same as `actors.nodes.script` gives: the
value, log lines, writes to the state, failures with their place.
"""

from dataclasses import dataclass
from typing import Any

from actors.nodes.language import failure_of
from actors.nodes.output import check_output
from actors.nodes.reporting import report_printed
from actors.nodes.site import STATE
from actors.nodes.state_access import step_on_state
from actors.nodes.state_view import KeyWantedError, StateView
from actors.nodes.step import StepContext
from actors.outcomes import Advance
from actors.ports import ScriptCall, ScriptResult, ScriptText, StateWanted
from grammar import EvaluationError, Limits


@dataclass(frozen=True, slots=True)
class PooledScriptNode:
    """Runs a program over the run's names, elsewhere."""

    script: ScriptText
    names: frozenset[str]
    """Names that the program reads."""
    limits: Limits
    heard: frozenset[str]
    """Levels that the flow's `logging.level` lets through."""

    async def step_waiting(self, context: StepContext) -> Advance:
        """Run it; PermanentError (``script.…``) with the line when it fails."""
        if STATE in self.names:
            return await step_on_state(context, lambda view: self._on_state(context, view))
        return self._finish(context, await self._run(context, None))

    async def _on_state(self, context: StepContext, view: StateView) -> Advance:
        state = {key: entry.value for key, entry in view.loaded.items()}
        result = await self._run(context, state)
        for key, value in result.writes.items():
            if key in result.removed:
                view.remove(key)
            else:
                view.set(key, value)
        return self._finish(context, result)

    async def _run(self, context: StepContext, state: dict[str, Any] | None) -> ScriptResult:
        scope = _pick(context, self.names)
        call = ScriptCall(context.tenant, self.script, scope, self.limits, state)
        try:
            result = await context.world.scripts.run(call)
        except EvaluationError as error:
            raise failure_of(error, "script") from None
        context.operations += result.operations
        if isinstance(result, StateWanted):
            raise KeyWantedError(result.key)
        return result

    def _finish(self, context: StepContext, result: ScriptResult) -> Advance:
        report_printed(context, result.printed, self.heard)
        return Advance(check_output(result.value))


def _pick(context: StepContext, names: frozenset[str]) -> dict[str, Any]:
    """Give the values of the names that the run has; the others are the script's own business."""
    scope, picked = context.scope, {}
    for name in names:
        if name != STATE:
            try:
                picked[name] = scope[name]
            except KeyError:
                continue
    return picked

"""A ScriptPool in memory: scripts run where they are asked for, and hold the event loop."""

from actors.nodes.script_evaluation import ScriptEvaluator
from actors.ports import ScriptCall, ScriptResult, StateWanted


class InlineScripts:
    """Twin of ScriptPool; remembers the calls."""

    def __init__(self) -> None:
        self.calls: list[ScriptCall] = []
        self._evaluator = ScriptEvaluator()

    async def run(self, call: ScriptCall) -> ScriptResult | StateWanted:
        """Run one script."""
        self.calls.append(call)
        return self._evaluator.evaluate(call)

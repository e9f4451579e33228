"""A run: the one value that goes through the named steps of DESIGN 4.

In: a request and the flow it runs. Out: where the run stands: its frames (the flow, and the
sub-flows it is inside of), the steps it took and how it ended. The walker moves it.
"""

from dataclasses import dataclass, field
from typing import Any, Final

from actors.errors import PermanentError
from actors.flows.compiled import CompiledFlow, CompiledNode, CompiledTrigger
from actors.ids import step_id
from actors.nodes.scope import RunScope
from actors.nodes.step import StepContext
from actors.runs.request import RunRequest

STEPS_MAX: Final = 1000
"""Steps of one run, sub-flows included (SPEC 13)."""

NESTING_MAX: Final = 8
"""How deep `flow2flow` may nest (SPEC 13)."""


@dataclass(slots=True)
class Frame:
    """One flow being walked: the run's own, or a sub-flow inside it."""

    flow: CompiledFlow
    scope: RunScope
    target: str | None
    """The node to take next, a reserved target, or None for the end."""
    path: str = ""
    """Step id of the calling node, the prefix of every step id in here; empty at the top."""
    caller: CompiledNode | None = None
    last_value: Any = None


@dataclass(slots=True)
class Run:
    """One run of one flow for one event, from `begin` to its outcome."""

    request: RunRequest
    flow: CompiledFlow
    context: StepContext
    frames: list[Frame]
    started_ms: int
    deadline: float
    """When the flow's timeout strikes, on the monotonic clock."""
    trigger: str = ""
    chosen: CompiledTrigger | None = None
    """The trigger that started it; None for a sub-run."""
    path: list[str] = field(default_factory=list)
    iterations: dict[str, int] = field(default_factory=dict)
    """How often each step was taken, by step id: a sub-flow called twice goes on counting."""

    @property
    def frame(self) -> Frame:
        """The innermost flow being walked."""
        return self.frames[-1]

    def enter(self, node: CompiledNode) -> StepContext:
        """Point the context at the next step; PermanentError once a run has taken too many."""
        frame = self.frame
        step = step_id(frame.path, node.id)
        if len(self.path) >= STEPS_MAX:
            raise PermanentError(
                f"the run took {STEPS_MAX} steps without reaching an end; look for a loop",
                reason="steps_exceeded",
            )
        self.path.append(step)
        iteration = self.iterations.get(step, 0) + 1
        self.iterations[step] = iteration
        context = self.context
        context.step_id = step
        context.iteration = iteration
        context.scope = frame.scope
        return context

    def bind(self, node: CompiledNode, value: Any) -> None:
        """Give a node's value its names: the node's id, its `output`, its type's value name."""
        scope = self.frame.scope
        scope[node.id] = value
        if node.output is not None:
            scope[node.output] = value
        if node.value_name is not None:
            scope[node.value_name] = value
        self.frame.last_value = value

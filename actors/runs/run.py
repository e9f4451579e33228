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
from actors.outcomes import StepOutcome
from actors.ports import ABSENT, STEPS_KEPT
from actors.runs.journal import RunJournal
from actors.runs.request import RunRequest
from actors.runs.turns import Turn

STEPS_MAX: Final = 1000
"""Steps of one run, sub-flows included (SPEC 13)."""

STEPS_EXCEEDED: Final = "steps_exceeded"

NESTING_MAX: Final = 8
"""How deep `flow2flow` may nest (SPEC 13)."""


Mark = tuple[float, CompiledNode | None, StepOutcome | str | None, float | None, Any]
"""What is kept of a step: when it began, its node, what it came to (a failure's code; None: the run
ended with it), when it ended (None: where the next one begins), what it was filled in with. Times
are on the monotonic clock, in seconds."""


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
    version: str
    """Of the flow with all it calls, see `Deployment.version_of`."""
    context: StepContext
    frames: list[Frame]
    started_ms: int
    """Wall clock when its first leg began."""
    deadline: float
    """On the monotonic clock, seconds."""
    zero_at: float = 0.0
    """`started_ms` on the monotonic clock, in seconds."""
    ended_at: float = 0.0
    """When this walk of it ended, on the monotonic clock."""
    trigger: str = ""
    chosen: CompiledTrigger | None = None
    """The trigger that started it; None for a sub-run."""
    journal: RunJournal | None = None
    """None where the flow has no effects."""
    turn: Turn | None = None
    """Its timer's turn, while it has it."""
    cancelled: str | None = None
    """Why somebody wants it ended."""
    path: list[str] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    """Of each step in `path`, but maybe the last."""
    replayed: int = 0
    """So many of its steps were taken before, in other legs or by another worker."""
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
        taken = len(self.path)
        if taken >= STEPS_KEPT:
            self._make_room(taken)
        self.path.append(step)
        iteration = self.iterations.get(step, 0) + 1
        self.iterations[step] = iteration
        context = self.context
        context.step_id = step
        context.iteration = iteration
        context.scope = frame.scope
        if node.is_journalled and self.journal is not None:
            key = step_key(context)
            self.journal.come_to(key)
            context.race = 0
            context.charged_before = context.operations
            context.retries_left = 0
            if node.retry is not None:
                context.retries_left = node.retry.max_retries - self.retries(key)
        return context

    def _make_room(self, taken: int) -> None:
        """Forget the values of a step that its record does not tell of: a loop may make many."""
        if taken >= STEPS_MAX:
            raise PermanentError(
                f"the run took {STEPS_MAX} steps without reaching an end; look for a loop",
                reason=STEPS_EXCEEDED,
            )
        began, node, *_ = self.marks[taken - STEPS_KEPT]
        self.marks[taken - STEPS_KEPT] = (began, node, None, None, ABSENT)

    # ── What its record tells of a step ──────────────────────────────────────────────────────

    def mark_failed(self, began: float, node: CompiledNode, code: str) -> None:
        """Mark the step just taken as failed; it may have its mark by then."""
        if code == STEPS_EXCEEDED:
            return  # it was not even entered
        given = ABSENT
        if len(self.marks) == len(self.path):
            began, _, _, _, given = self.marks.pop()
        self.marks.append((began, node, code, self._ends_now(), given))

    def mark_broken_off(self, code: str) -> None:
        """Mark the step in hand as failed, if there is one."""
        if self.marks and self.marks[-1][2] is None:
            began, node, *_ = self.marks[-1]
            self.marks[-1] = (began, node, code, self._ends_now(), self.context.given)

    def mark_end(self, outcome: StepOutcome) -> None:
        """Mark what the step in hand came to, and that it ended now."""
        began, node, *_ = self.marks[-1]
        self.marks[-1] = (began, node, outcome, self._ends_now(), self.context.given)

    def mark_rest(self) -> None:
        """Mark that nothing goes on for now."""
        if self.marks and self.marks[-1][3] is None:
            began, node, outcome, _, given = self.marks[-1]
            self.marks[-1] = (began, node, outcome, self._ends_now(), given)

    def _ends_now(self) -> float:
        return self.context.world.clock.monotonic()

    # ── Its names ────────────────────────────────────────────────────────────────────────────

    def bind(self, node: CompiledNode, value: Any) -> None:
        """Give a node's value its names: the node's id, its `output`, its type's value name."""
        scope = self.frame.scope
        scope[node.id] = value
        if node.output is not None:
            scope[node.output] = value
        if node.value_name is not None:
            scope[node.value_name] = value
        self.frame.last_value = value

    def retries(self, step: str) -> int:
        """Count the retries made of a step, or under ``""`` of the flow's own policy."""
        return self.request.retries.get(step, 0)

    def name(self, step: str) -> str:
        """Name a step among all runs, to spread its retries by."""
        return f"{self.request.run_id}:{step}"

    def is_due(self, due_ms: int) -> bool:
        """Tell whether a sleep is over: by our clock, or because the bus woke the run for it."""
        return max(self.context.world.clock.now_ms(), self.request.due_ms) >= due_ms

    def spent_ms(self) -> int:
        """Give how long it has run, this leg included."""
        left_seconds = max(0.0, self.deadline - self.context.world.clock.monotonic())
        return round((self.flow.timeout_seconds - left_seconds) * 1000)


def step_key(context: StepContext) -> str:
    """Name the step a context stands at, as the journal and retries know it."""
    return f"{context.step_id}:{context.iteration}"

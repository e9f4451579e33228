"""What a node is, and all that it sees while one of its steps is taken.

In: a `StepContext`. Out: a `StepOutcome`; a failure is a NodeError. A node is made once, when its
flow is compiled, and shared by all runs, so it keeps nothing between steps.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from actors.events import Event
from actors.nodes.scope import RunScope
from actors.nodes.state_write import StateWrite
from actors.outcomes import Advance, StepOutcome
from actors.ports import (
    ABSENT,
    Answers,
    Clock,
    Continuations,
    EventPublisher,
    HttpCaller,
    Ids,
    Journal,
    NoJournal,
    NoProviderActions,
    NoRunLegs,
    NoScriptMeter,
    NoScriptPool,
    NoSecrets,
    Observer,
    ProviderActions,
    RunLegs,
    ScriptMeter,
    ScriptPool,
    Secrets,
    StateScope,
    StateStore,
)


@dataclass(frozen=True, slots=True)
class World:
    """The ports that nodes may use, the same for every run of a worker."""

    env: str
    publisher: EventPublisher
    continuations: Continuations
    state: StateStore
    http: HttpCaller
    answers: Answers
    observer: Observer
    clock: Clock
    ids: Ids
    secrets: Secrets = field(default_factory=NoSecrets)
    scripts: ScriptPool = field(default_factory=NoScriptPool)
    actions: ProviderActions = field(default_factory=NoProviderActions)
    journal: Journal = field(default_factory=NoJournal)
    legs: RunLegs = field(default_factory=NoRunLegs)
    meter: ScriptMeter = field(default_factory=NoScriptMeter)


class StepJournal(Protocol):
    """The run's journal, as far as a step has to do with it."""

    @property
    def is_replaying(self) -> bool:
        """Whether what the step does was done before, so that nobody need be told again."""
        ...

    async def intend(
        self, outcome: Advance, writes: Sequence[StateWrite], race: int, *, operations: int = 0
    ) -> None:
        """Keep what the step came to and was charged, and what it is about to write to the state.

        RunLostError: another worker was there before. PermanentError (``too_large``).
        """
        ...


class NoStepJournal:
    """For steps outside of a run."""

    is_replaying = False

    async def intend(
        self,
        outcome: Advance,
        writes: Sequence[StateWrite],
        race: int,
        *,
        operations: int = 0,
    ) -> None:
        """Need not keep it."""


@dataclass(slots=True)
class StepContext:
    """One step of one run. The walker makes one per run and moves it from step to step."""

    world: World
    tenant: str
    flow: str
    run_id: str
    event: Event
    scope: RunScope
    hops: int
    reply_to: str | None
    step_id: str = ""
    """``{node}``, or ``{node}/{child}`` inside a sub-flow."""
    iteration: int = 1
    """How often this run has come to this node, from 1."""
    race: int = 0
    """How often this step was evaluated before, over a state that others then changed."""
    retries_left: int = 0
    """How often the step itself may still be tried again."""
    journal: StepJournal = field(default_factory=NoStepJournal)
    operations: int = 0
    """Script operations that the run's steps were charged so far, each as it was taken last."""
    charged_before: int = 0
    """What `operations` was when a step that is journalled began."""
    given: Any = ABSENT
    """What the step was filled in with, to be shown in the run's record: nodes that read secrets,
    or may not know what is secret of it, leave it out."""

    @property
    def step_operations(self) -> int:
        """What a journalled step was charged so far."""
        return self.operations - self.charged_before

    @property
    def state_scope(self) -> StateScope:
        """Whose state this run reads and writes."""
        team, session = self.scope.get("team_id"), self.scope.get("session_id")
        return StateScope(self.tenant, _text_or_none(team), _text_or_none(session))


class InlineNode(Protocol):
    """A node that never waits: its step is a plain call, taken without the event loop."""

    def step(self, context: StepContext) -> StepOutcome:
        """Take the step. Raises TransientError or PermanentError."""
        ...


@runtime_checkable
class WaitingNode(Protocol):
    """A node whose step waits for the world."""

    async def step_waiting(self, context: StepContext) -> StepOutcome:
        """Take the step. Raises TransientError or PermanentError; may be cancelled."""
        ...


Node = InlineNode | WaitingNode


def _text_or_none(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None

"""Where ended runs go: results, records, dead letters, answers.

In: what a run came to. Out: nothing but the assurance that it is stored, or sent.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final, Literal, NamedTuple, Protocol

from actors.events import Event
from actors.outcomes import Answer, Ended, RunError, RunResult


@dataclass(frozen=True, slots=True)
class PublishedResult:
    """A result with the event type whose ``.result`` subject it goes to."""

    tenant: str
    event_type: str
    result: RunResult


class Results(Protocol):
    """Publishes results, one per run id within the duplicate window."""

    async def publish_all(self, results: Sequence[PublishedResult]) -> None:
        """Return once every one of them is stored; UnavailableError if any may not be."""
        ...


class Absent(Enum):
    """The type of `ABSENT`."""

    ABSENT = "absent"


ABSENT: Final = Absent.ABSENT
"""Where a step has no value, or none that may be shown: null is a value."""

STEPS_KEPT: Final = 100
"""Steps of a run that its record tells of: the last ones."""

StepEnd = Literal["done", "failed", "slept", "called"]


class RunStep(NamedTuple):
    """One step of a run, as the walk that ended the run came by."""

    step: str
    """``{node}``, or ``{node}/{child}`` inside a sub-flow."""
    node: str
    """The node's type."""
    at_ms: int
    """When it began, from the run's `started_ms` on."""
    took_us: int
    outcome: StepEnd
    """``called``: a sub-flow, whose steps come next and are no part of its time."""
    attempt: int = 1
    """One more for each time that the node's own retries took it again."""
    is_journalled: bool = False
    """What it came to stands in the run's journal, and is asked for once."""
    is_replayed: bool = False
    """It was taken in an earlier leg of the run, or by another worker: the times are of the walk
    that came by again."""
    input: Any = ABSENT
    """JSON, with no secret in it."""
    output: Any = ABSENT
    """JSON, with no secret in it; ABSENT for nodes without a value."""
    code: str | None = None
    """Of the error it failed with."""


class RunUsage(NamedTuple):
    """What a run used. A run that is recorded twice used the same both times."""

    events: int = 0
    """1; of a batch as many as it has; of a run that another run started none."""
    operations: int = 0
    """Of its scripts, each step counted once, whichever leg took it last."""
    effects: int = 0
    """Steps that came to a value outside: calls, actions, events, runs started."""
    payloads: Sequence[Any] = ()
    """Of its events: their bytes as JSON are counted when the record is written."""


NO_USAGE: Final = RunUsage()


class RunRecord(NamedTuple):
    """What history keeps of a run: its result, where it came from and the way it took."""

    tenant: str
    event_type: str
    trigger: str
    result: RunResult
    path: Sequence[str] = ()
    """Step ids in the order taken, at most as many as SPEC 13 allows steps."""
    parent_run_id: str | None = None
    correlation_id: str | None = None
    """What it has in common with runs that come of the same thing."""
    usage: RunUsage = NO_USAGE
    steps: Sequence[RunStep] = ()
    """The last `STEPS_KEPT` steps in the order taken, as the end of `path` names them."""


class RunRecords(Protocol):
    """Keeps run records for history."""

    async def write_all(self, records: Sequence[RunRecord]) -> None:
        """Return once all are stored. A record may be stored twice after a crash."""
        ...


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """What could not be finished: a failed run's event, or a message that is no event."""

    tenant: str
    reason: str
    error: RunError
    attempts: int
    letter_id: str
    """The run id, or for a message its stream and sequence: repeats are one letter."""
    event: Event | None = None
    flow: str | None = None
    raw: bytes | None = None
    subject: str | None = None
    flow_version: str | None = None
    trigger: int | None = None
    """Number of the trigger that started the run; None: a sub-run, or no run at all."""
    path: Sequence[str] = field(default_factory=tuple)
    """How far the run got: its steps in the order taken, the last `LETTER_PATH_MAX` of them."""
    started_ms: int | None = None
    failed_ms: int = 0
    parent_run_id: str | None = None
    hops: int = 0
    events: tuple[Event, ...] = ()
    """The events of a batch (SPEC 8)."""


LETTER_PATH_MAX: Final = 100


class DeadLetters(Protocol):
    """Keeps dead letters until somebody replays or discards them."""

    async def park(self, letter: DeadLetter) -> None:
        """Return once it is stored; the same letter id again is one letter."""
        ...


class Redriver(Protocol):
    """Starts anew what lies in the dead letters."""

    async def redrive_event(self, tenant: str, event_id: str) -> int:
        """Redrive the letters of one event and give how many there were. UnavailableError."""
        ...


class Answers(Protocol):
    """Speaks to a webhook that waits on its reply subject. Best effort: it may be gone."""

    def send(self, reply_to: str, message: Answer | Ended) -> None:
        """Send without waiting; an unreachable listener is no error."""
        ...

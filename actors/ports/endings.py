"""Where ended runs go: results, records, dead letters, answers.

In: what a run came to. Out: nothing but the assurance that it is stored, or sent.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

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


@dataclass(frozen=True, slots=True)
class RunRecord:
    """What history keeps of a run: its result, where it came from and the way it took."""

    tenant: str
    event_type: str
    trigger: str
    result: RunResult
    path: Sequence[str] = field(default_factory=tuple)
    """Step ids in the order taken, at most as many as SPEC 13 allows steps."""
    parent_run_id: str | None = None


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

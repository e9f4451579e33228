"""How a step and a run can end, and what each end does to the delivery that started it.

In: nothing. Out: small closed unions and the settle table of DESIGN 4. An end that was expected is
a value here; `actors.errors` has the unexpected ones.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final, assert_never

# ── Steps ────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Advance:
    """The step is done. ``value`` is bound to its names; ``goto`` overrides the node's ``next``."""

    value: Any = None
    goto: str | None = None
    binds: bool = True
    """False for nodes that set no variable (`http_response`, `log`, `branch`)."""


@dataclass(frozen=True, slots=True)
class CallFlow:
    """The step wants a sub-flow run inside this run; its value becomes the step's value."""

    flow: str
    payload: Any
    passes_context: bool


@dataclass(frozen=True, slots=True)
class Sleep:
    """The step wants the run to go on at ``due_ms`` (ms since the epoch), holding nothing."""

    due_ms: int


StepOutcome = Advance | CallFlow | Sleep

# ── Runs ─────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class RunError:
    """Why a run failed: a stable code, the node (a step id) and a text for people."""

    code: str
    node: str | None
    message: str

    def as_mapping(self) -> dict[str, Any]:
        """Give the three fields as results carry them."""
        return {"code": self.code, "node": self.node, "message": self.message}


@dataclass(frozen=True, slots=True)
class Completed:
    """The run reached an end; ``output`` is its last value."""

    output: Any


@dataclass(frozen=True, slots=True)
class Failed:
    """The run cannot be finished: its event goes to the dead letters with this error."""

    error: RunError
    is_overdue: bool = field(default=False, compare=False)
    """The flow's time was over: another walk of the run would have it anew."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """Flow control refused the run."""

    reason: str


@dataclass(frozen=True, slots=True)
class Cancelled:
    """Somebody, or flow control, stopped the run."""

    reason: str


@dataclass(frozen=True, slots=True)
class Continued:
    """The run goes on later: its continuation is scheduled in WORK (retry, wait)."""

    due_ms: int
    attempt: int
    continuation: object = field(default=None, compare=False, repr=False)
    """The `Continuation` itself: a lane that keeps the run's key goes on with it by itself."""


@dataclass(frozen=True, slots=True)
class Interrupted:
    """The worker is going away, or lost the right to go on: somebody else repeats the run."""

    reason: str
    is_lost: bool = False
    """Another worker has the run: nothing is said of its delivery, which is no longer ours."""


RunOutcome = Completed | Failed | Rejected | Cancelled | Continued | Interrupted


class Settlement(Enum):
    """What is said to the bus about a delivery."""

    ACK = "ack"
    NAK = "nak"
    TERM = "term"
    LEAVE = "leave"
    """Nothing: another worker settles it, or it comes again when its ack wait is over."""


def settlement_of(outcome: RunOutcome) -> Settlement:
    """Look an outcome up in the settle table of DESIGN 4.

    Only an interrupted run gives its delivery back. TERM is for messages that are no event at all;
    those never become a run.
    """
    match outcome:
        case Completed() | Failed() | Rejected() | Cancelled() | Continued():
            return Settlement.ACK
        case Interrupted():
            return Settlement.LEAVE if outcome.is_lost else Settlement.NAK
        case _:
            assert_never(outcome)


def status_of(outcome: Completed | Failed | Rejected | Cancelled) -> str:
    """Name a final outcome as results carry it (SPEC 2)."""
    match outcome:
        case Completed():
            return "completed"
        case Failed():
            return "failed"
        case Rejected():
            return "rejected"
        case Cancelled():
            return "cancelled"
        case _:
            assert_never(outcome)


# ── What leaves a run ────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class RunResult:
    """The one result of a run, as published on ``….{type}.result`` (SPEC 2). Times are ms."""

    event_id: str
    run_id: str
    flow: str
    flow_version: str
    status: str
    output: Any
    error: RunError | None
    started_ms: int
    finished_ms: int
    attempt: int
    batch: Sequence[str] = ()
    """Ids of all events of a batch, the first one among them; empty for the run of one event."""

    def as_mapping(self) -> dict[str, Any]:
        """Give the result's public document; only a batch's has ``batch``."""
        document = {
            "event_id": self.event_id,
            "run_id": self.run_id,
            "flow": self.flow,
            "flow_version": self.flow_version,
            "status": self.status,
            "output": self.output,
            "error": None if self.error is None else self.error.as_mapping(),
            "started_ms": self.started_ms,
            "finished_ms": self.finished_ms,
            "attempt": self.attempt,
        }
        if self.batch:
            document["batch"] = list(self.batch)
        return document


@dataclass(frozen=True, slots=True)
class Answer:
    """What a waiting webhook is told. ``body`` is a JSON value, or text sent as it is."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None


@dataclass(frozen=True, slots=True)
class Ended:
    """A run that could have answered a waiting webhook has ended; sent whether it did or not."""

    run_id: str
    status: str


ANSWER_STATUS_DEFAULT: Final = 200

"""A ticket: one run that wants to begin or go on, as the rules see it; and what they decide.

In: nothing; these are values. Out: tickets, which the board moves from stage to stage, and
decisions, which the lane carries out.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from actors.flows.control import ControlPlan
from actors.outcomes import Cancelled, Failed, Rejected

NO_KEYS: Final[Mapping[str, str]] = {}


class Stage(Enum):
    """Where a run stands."""

    NEW = "new"
    GATED = "gated"
    """Something earlier is missing."""
    QUIET = "quiet"
    """Until no other event of its key comes (debounce)."""
    GATHERING = "gathering"
    """With others, for a batch."""
    KEPT_OUT = "kept out"
    """Until the run that has its key ends (singleton)."""
    LINED_UP = "lined up"
    """Behind another run of its key (ordered)."""
    READY = "ready"
    """It may begin as soon as there is room and time (concurrency, throttle)."""
    WORKING = "working"
    ASLEEP = "asleep"
    """It has begun and goes on later; it keeps its key."""
    CLOSING = "closing"
    """Refused: its outcome is being stored."""


OPEN_STAGES: Final = frozenset(Stage) - {Stage.WORKING, Stage.ASLEEP, Stage.CLOSING}
"""In these a run has not begun, or waits for its turn to go on."""


@dataclass(slots=True, eq=False)
class Ticket:
    """One run on a lane."""

    run_id: str
    event_id: str
    flow: str
    plan: ControlPlan
    sequence: int
    """Of its first delivery: its place among the others."""
    arrived_ms: int
    keys: Mapping[str, str] = field(default_factory=lambda: NO_KEYS)
    """By rule; see `keys.keys_of`."""
    trigger: int | None = None
    event_bytes: int = 0
    """Of its event as JSON; only counted for a batch."""
    members: tuple[str, ...] = ()
    """Event ids, if it is a batch."""
    is_judged: bool = False
    """It is past the rules that refuse and gather: it has begun, is a batch, or was here before."""
    has_begun: bool = False
    is_repeated: bool = False
    """Somebody may have been handed this before."""
    is_planned: bool = False
    """A throttle has given it a time."""
    not_before_ms: int = 0
    waits_since_ms: int | None = None
    """When the first event came whose place it has taken (debounce)."""
    stage: Stage = Stage.NEW
    cancelled: str | None = None
    """Why it is to end, though it is under way."""

    @property
    def keeps_key(self) -> bool:
        """Whether its key is its own until its final outcome."""
        return self.plan.keeps_key

    @property
    def may_move(self) -> bool:
        """Whether it may go back to the end of the lane: nobody waits behind it."""
        return not (self.keeps_key or self.has_begun)


@dataclass(frozen=True, slots=True)
class Begin:
    """Hand it to its executor."""

    ticket: Ticket


@dataclass(frozen=True, slots=True)
class Refuse:
    """Let it end so, without a step."""

    ticket: Ticket
    verdict: Rejected | Cancelled | Failed
    rule: str


@dataclass(frozen=True, slots=True)
class CancelWork:
    """End it: it is under way."""

    ticket: Ticket


@dataclass(frozen=True, slots=True)
class PutOff:
    """Let it come again at ``due_ms``."""

    ticket: Ticket
    due_ms: int


@dataclass(frozen=True, slots=True)
class Form:
    """Make one run of these, the first event first."""

    tickets: tuple[Ticket, ...]


@dataclass(frozen=True, slots=True)
class Drop:
    """It is part of a batch that is on the lane: nothing is left to be done for it."""

    ticket: Ticket


Decision = Begin | Refuse | CancelWork | PutOff | Form | Drop

"""What a lane needs of the tree it stands in.

In: a continuation. Out: the flow it belongs to, its rules and its executor.
"""

from dataclasses import dataclass
from typing import Protocol

from actors.flows.compiled import CompiledFlow
from actors.flows.control import ControlPlan
from actors.kernel.ref import ActorRef
from actors.outcomes import RunError
from actors.ports import (
    Clock,
    Continuation,
    Continuations,
    DeadLetters,
    Journal,
    LaneDeliveries,
    Observer,
    StateStore,
)
from actors.runs.request import RunRequest


@dataclass(frozen=True, slots=True)
class LaneFlow:
    """Who runs a continuation, and by which rules it may begin."""

    flow: CompiledFlow
    """In the version that the run began with."""
    control: ControlPlan
    """Of the version in force: rules count for all runs of a flow together."""
    executor: ActorRef[RunRequest]


class LaneFlows(Protocol):
    """The flows of a tenant, as its routes have them."""

    @property
    def revision(self) -> str:
        """Another one whenever the rules of a flow may have changed."""
        ...

    async def find(self, waiting: Continuation) -> LaneFlow | RunError:
        """Give the flow of a continuation, or why there is none. UnavailableError."""
        ...


class RunCanceller(Protocol):
    """Ends runs that are under way here (`RunsInHand`)."""

    def cancel(self, run_id: str, reason: str) -> bool:
        """End a run; False where it is not in hand."""
        ...


@dataclass(frozen=True, slots=True)
class LanePorts:
    """What a lane needs of the world."""

    deliveries: LaneDeliveries
    flows: LaneFlows
    continuations: Continuations
    journal: Journal
    dead_letters: DeadLetters
    runs: RunCanceller
    leases: StateStore
    """What workers agree in; its values expire."""
    observer: Observer
    clock: Clock
    env: str

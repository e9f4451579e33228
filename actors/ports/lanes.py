"""What the core needs of private lanes: where the runs of flows with flow control wait.

In: a tenant and a lane's name. Out: its deliveries, to one worker at a time if the lane is
exclusive (DESIGN 3, Private lanes).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from actors.ports.deliveries import Delivery


@dataclass(frozen=True, slots=True)
class LaneName:
    """One lane of a tenant."""

    tenant: str
    lane: str
    """`CompiledFlow.lane`, or `TENANT_LANE` for all flows whose concurrency has tenant scope."""
    is_exclusive: bool
    """One worker at a time gets its deliveries; False: all share them."""


class LaneDeliveries(Protocol):
    """A lane's deliveries. Every one has a continuation: the run that wants to begin or go on."""

    @property
    def term(self) -> int:
        """Grows each time this process becomes the only worker of an exclusive lane.

        What was delivered in an earlier term is another worker's now.
        """
        ...

    async def pull(self, messages_max: int) -> Sequence[Delivery]:
        """Wait for at least one delivery; give up to ``messages_max``. Empty once closed."""
        ...

    async def outstanding(self) -> Sequence[int]:
        """Give the sequences of what lies on the lane unsettled, ascending; asks the stream.

        What a worker that died had been handed is among them, though it comes again only when its
        ack wait is over. UnavailableError.
        """
        ...

    async def close(self) -> None:
        """Stop pulling; what was fetched and not handed out is given back with nak."""
        ...

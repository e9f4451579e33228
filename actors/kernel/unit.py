"""What a supervisor knows of a child, be it one actor or a whole tree.

In: nothing. Out: the protocol that `ActorCell` and `Supervisor` share, and the two values they
report: how a drain went, and what the child looks like now.
"""

from dataclasses import dataclass, field
from typing import Literal, Protocol

from actors.kernel.service import Ending

ChildState = Literal["running", "restarting", "quarantined", "stopped"]


@dataclass(frozen=True, slots=True)
class DrainReport:
    """Paths of the actors that finished all their work, and of those that did not."""

    finished: tuple[str, ...] = ()
    unfinished: tuple[str, ...] = ()

    def __add__(self, other: "DrainReport") -> "DrainReport":
        return DrainReport(self.finished + other.finished, self.unfinished + other.unfinished)

    @property
    def is_complete(self) -> bool:
        """Whether everybody finished."""
        return not self.unfinished


@dataclass(frozen=True, slots=True)
class ChildSnapshot:
    """A child at one moment. ``restarts`` counts since it was spawned; ``depth`` its messages."""

    name: str
    path: str
    state: ChildState
    restarts: int
    depth: int
    last_error: BaseException | None = field(repr=False)
    children: tuple["ChildSnapshot", ...] = ()


class Unit(Protocol):
    """A child that can be started, halted and started again."""

    @property
    def depth(self) -> int:
        """Messages that wait."""
        ...

    @property
    def ending(self) -> Ending | None:
        """How it ended; None while it runs or is not started."""
        ...

    async def start(self) -> None:
        """Start it, or start it anew; raises what went wrong."""
        ...

    async def halt(self) -> None:
        """Stop it within its time. Never raises; it can be started again."""
        ...

    async def finish(self, timeout_seconds: float) -> DrainReport:
        """Refuse new messages and wait for the work begun; does not halt it."""
        ...

    def suspend(self) -> None:
        """Refuse messages for a while."""
        ...

    def resume(self) -> None:
        """Take messages again."""
        ...

    def close(self) -> None:
        """Refuse messages for ever, answer every pending ask."""
        ...

    def snapshots(self) -> tuple[ChildSnapshot, ...]:
        """Show the children of a tree; nothing for an actor."""
        ...

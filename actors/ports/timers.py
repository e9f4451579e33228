"""What the core needs to know of timers: which of them are paused.

In: a tenant and a timer's event type, ``timer.<flow>.<n>``. Out: what was last decided about it.
"""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class TimerPause:
    """The last word about a timer: paused or resumed, and since when."""

    is_paused: bool
    changed_ms: int
    """Wall clock, milliseconds. What was due at or before a resumption is never fired."""


class TimerPauses(Protocol):
    """Pauses of timers; they outlive every process."""

    async def read(self, tenant: str, event_type: str) -> TimerPause | None:
        """Give the last word; None for a timer that nobody ever paused. UnavailableError."""
        ...

    async def write(self, tenant: str, event_type: str, pause: TimerPause) -> None:
        """Have it stored; every worker goes by it from its next tick on. UnavailableError."""
        ...

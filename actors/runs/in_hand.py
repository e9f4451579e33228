"""The runs that a worker has in hand, so that somebody can end one of them.

In: runs as they begin to wait, and a wish. Out: whether the run was here. A run that sleeps in WORK
is in nobody's hand: its journal is asked when it wakes (`journal.CANCEL`).
"""

from collections.abc import Callable


class RunsInHand:
    """One tenant's runs under way in this process."""

    def __init__(self) -> None:
        self._cancels: dict[str, Callable[[str], None]] = {}

    def __contains__(self, run_id: str) -> bool:
        return run_id in self._cancels

    def enter(self, run_id: str, cancel: Callable[[str], None]) -> None:
        """Take a run in hand; ``cancel`` ends it, for a reason."""
        self._cancels[run_id] = cancel

    def leave(self, run_id: str, cancel: Callable[[str], None]) -> None:
        """Let a run go, unless it was taken in hand a second time meanwhile."""
        if self._cancels.get(run_id) is cancel:
            del self._cancels[run_id]

    def cancel(self, run_id: str, reason: str) -> bool:
        """End a run; False where it is not in hand."""
        cancel = self._cancels.get(run_id)
        if cancel is None:
            return False
        cancel(reason)
        return True

    def cancel_all(self, reason: str) -> int:
        """End all runs in hand, and say how many."""
        cancels = tuple(self._cancels.values())
        for cancel in cancels:
            cancel(reason)
        return len(cancels)

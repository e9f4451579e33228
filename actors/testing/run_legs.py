"""Legs of runs in memory, as a test puts them there."""

from actors.ports import Continuation


class MemoryRunLegs:
    """Twin of the RunLegs port."""

    def __init__(self) -> None:
        self._legs: list[Continuation] = []

    def add(self, leg: Continuation) -> None:
        """Let a leg wait in WORK."""
        self._legs.append(leg)

    async def latest(self, tenant: str, run_id: str) -> Continuation | None:  # noqa: ARG002
        """Give the run's last leg."""
        of_run = [leg for leg in self._legs if leg.run_id == run_id]
        return max(of_run, key=lambda leg: (leg.leg, leg.round), default=None)

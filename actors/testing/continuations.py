"""Continuations in memory: one per run id, attempt, round and leg."""

from actors.ports import Continuation


class MemoryContinuations:
    """Keeps what was scheduled, by tenant, run, attempt, round and leg; and for which lane."""

    def __init__(self) -> None:
        self.scheduled: dict[tuple[str, str, int, int, int], Continuation] = {}
        self.lanes: dict[tuple[str, str, int, int, int], str] = {}

    async def schedule(
        self, tenant: str, continuation: Continuation, *, lane: str | None = None
    ) -> None:
        """Store it; the same run id, attempt, round and leg again is one continuation."""
        waiting = continuation
        key = (tenant, waiting.run_id, waiting.attempt, waiting.round, waiting.leg)
        self.scheduled.setdefault(key, continuation)
        if lane is not None:
            self.lanes.setdefault(key, lane)

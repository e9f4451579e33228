"""Continuations in memory: one per run id, attempt and round."""

from actors.ports import Continuation


class MemoryContinuations:
    """Keeps what was scheduled, by tenant, run, attempt and round."""

    def __init__(self) -> None:
        self.scheduled: dict[tuple[str, str, int, int], Continuation] = {}

    async def schedule(self, tenant: str, continuation: Continuation) -> None:
        """Store it; the same run id, attempt and round again is one continuation."""
        key = (tenant, continuation.run_id, continuation.attempt, continuation.round)
        self.scheduled.setdefault(key, continuation)

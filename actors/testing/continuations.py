"""Continuations in memory: one per run id and attempt."""

from actors.ports import Continuation


class MemoryContinuations:
    """Keeps what was scheduled, by tenant, run and attempt."""

    def __init__(self) -> None:
        self.scheduled: dict[tuple[str, str, int], Continuation] = {}

    async def schedule(self, tenant: str, continuation: Continuation) -> None:
        """Store it; the same run id and attempt again is one continuation."""
        key = (tenant, continuation.run_id, continuation.attempt)
        self.scheduled.setdefault(key, continuation)

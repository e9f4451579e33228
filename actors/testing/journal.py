"""A journal in memory: a step of a run is written once, by whoever comes first."""

from collections.abc import Sequence

from actors.errors import UnavailableError
from actors.ports import JournalEntry


class MemoryJournal:
    """Keeps entries by tenant and run; ``is_available`` False makes every call fail."""

    def __init__(self) -> None:
        self.is_available = True
        self._runs: dict[tuple[str, str], dict[str, JournalEntry]] = {}

    async def read(self, tenant: str, run_id: str) -> Sequence[JournalEntry]:
        """Give the entries of a run in the order written; none for a fresh run."""
        self._check_available()
        return tuple(self._runs.get((tenant, run_id), {}).values())

    async def write(
        self,
        tenant: str,
        run_id: str,
        entry: JournalEntry,
        *,
        ttl_seconds: int,
    ) -> bool:
        """Store one entry; False when that step was already written."""
        self._check_available()
        if ttl_seconds < 1:
            raise ValueError("an entry lives for a second at least")
        entries = self._runs.setdefault((tenant, run_id), {})
        return entries.setdefault(entry.step, entry) is entry

    def _check_available(self) -> None:
        if not self.is_available:
            raise UnavailableError("the bus is away")

"""Run records in memory."""

from collections.abc import Sequence

from actors.errors import UnavailableError
from actors.ports import RunRecord


class MemoryRunRecords:
    """Keeps records in the order written; ``is_available`` False makes every write fail."""

    def __init__(self) -> None:
        self.is_available = True
        self.stored: list[RunRecord] = []

    async def write_all(self, records: Sequence[RunRecord]) -> None:
        """Store all."""
        if not self.is_available:
            raise UnavailableError("the bus is away")
        self.stored += records

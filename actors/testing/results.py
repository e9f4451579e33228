"""Results in memory: one per tenant and run id, as within the stream's duplicate window."""

from collections.abc import Sequence

from actors.errors import UnavailableError
from actors.ports import PublishedResult


class MemoryResults:
    """Keeps results; ``is_available`` False makes every publish fail."""

    def __init__(self) -> None:
        self.is_available = True
        self.batches: list[int] = []
        """How many results each call brought."""
        self._stored: dict[tuple[str, str], PublishedResult] = {}

    @property
    def stored(self) -> list[PublishedResult]:
        """Every result, in the order stored."""
        return list(self._stored.values())

    async def publish_all(self, results: Sequence[PublishedResult]) -> None:
        """Store all; the first one of a run stays."""
        if not self.is_available:
            raise UnavailableError("the bus is away")
        self.batches.append(len(results))
        for published in results:
            self._stored.setdefault((published.tenant, published.result.run_id), published)

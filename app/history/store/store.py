"""The history of runs: what is written, looked for, forgotten.

In: rows, searches. Out: pages, rows with their documents, counts. UnavailableError when the
database does not answer, ValueRefusedError for a search that makes no sense, StoreError for what
the database refuses. Any number of processes may use one history at once.
"""

from collections.abc import Sequence

from app.history.store.rows import RunRow
from app.history.store.search import RunPage, RunSearch


class HistoryStore:
    """The runs of one env. `app.history.store.opening.open_history` gives it."""

    async def write(self, rows: Sequence[RunRow]) -> int:
        """Keep rows in one transaction, and give how many runs were not known before.

        A run is known by (tenant, run_id). Of several records of it the one with the greatest place
        stays: whatever the order, and however often, the same rows make the same table.
        """
        raise NotImplementedError

    async def page(
        self, tenant: str, search: RunSearch, *, after: str | None = None, limit: int
    ) -> RunPage:
        """Give the runs a search means, the latest first by (finished_ms, run_id).

        ``after`` is the ``next_after`` of the page before; ``limit`` is 1 to 1,000.
        """
        raise NotImplementedError

    async def find(self, tenant: str, run_id: str) -> RunRow | None:
        """Give one run with its document."""
        raise NotImplementedError

    async def forget_before(self, finished_ms: int, *, at_most: int) -> int:
        """Forget runs that ended before a time, and give how many: fewer than ``at_most``: all."""
        raise NotImplementedError

    async def erase(self, tenant: str) -> int:
        """Forget all of a tenant, and give how many runs it had. Nothing names it afterwards."""
        raise NotImplementedError

    async def reset(self) -> None:
        """Forget everything, before it is built anew from the streams."""
        raise NotImplementedError

    async def close(self) -> None:
        """Give the connections back."""
        raise NotImplementedError

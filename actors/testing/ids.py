"""Ids that count: the same test sees the same ids."""


class CountingIds:
    """Gives ``evt-1``, ``evt-2`` and so on."""

    def __init__(self) -> None:
        self._count = 0

    def event_id(self) -> str:
        """Give the next id."""
        self._count += 1
        return f"evt-{self._count}"

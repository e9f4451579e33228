"""In-memory twin of the TimerPauses port."""

from actors.errors import UnavailableError
from actors.ports import TimerPause


class MemoryTimerPauses:
    """Keeps the last word about each timer; ``is_available`` False makes every call fail."""

    def __init__(self) -> None:
        self.is_available = True
        self._kept: dict[tuple[str, str], TimerPause] = {}

    async def read(self, tenant: str, event_type: str) -> TimerPause | None:
        """Give the last word; None for a timer that nobody ever paused."""
        self._check()
        return self._kept.get((tenant, event_type))

    async def write(self, tenant: str, event_type: str, pause: TimerPause) -> None:
        """Keep it."""
        self._check()
        self._kept[tenant, event_type] = pause

    def _check(self) -> None:
        if not self.is_available:
            raise UnavailableError("the bus is away")

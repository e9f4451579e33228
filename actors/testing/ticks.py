"""The stream's memory of timers, read from what a `MemoryPublisher` stored."""

from actors.errors import UnavailableError
from actors.testing.publisher import MemoryPublisher


class MemoryTicks:
    """Twin of the Ticks port; ``is_available`` False makes every look fail."""

    def __init__(self, publisher: MemoryPublisher) -> None:
        self.is_available = True
        self._publisher = publisher

    async def last_stored_tick(self, tenant: str, event_type: str) -> int | None:
        """Give the scheduled time of the last tick stored."""
        if not self.is_available:
            raise UnavailableError("the bus is away")
        for envelope in reversed(self._publisher.stored):
            if envelope.tenant == tenant and envelope.event.event_type == event_type:
                scheduled: int = envelope.event.payload["scheduled_ms"]
                return scheduled
        return None

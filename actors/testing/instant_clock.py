"""A clock for flow tests: it stands still, and whoever sleeps moves it.

In: where it stands. Out: the time. A flow that waits waits for nothing, and sees that time passed.
"""

import asyncio


class InstantClock:
    """Twin of the Clock port; sleeping takes no time."""

    def __init__(self, epoch_ms: int) -> None:
        self._epoch_ms = epoch_ms
        self._now_seconds = 0.0

    def now_ms(self) -> int:
        """Wall clock: milliseconds since the epoch."""
        return self._epoch_ms + round(self._now_seconds * 1000)

    def monotonic(self) -> float:
        """Seconds since the clock was made."""
        return self._now_seconds

    async def sleep(self, seconds: float) -> None:
        """Move on at once."""
        self._now_seconds += max(0.0, seconds)
        await asyncio.sleep(0)

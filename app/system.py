"""The machine's own clock and chance, behind the core's ports.

In: nothing. Out: `SystemClock` and `UlidIds`, the only places that read the time or make fresh ids.
"""

import asyncio
import time

from ulid import ULID


class SystemClock:
    """`actors.ports.Clock` on this machine."""

    def now_ms(self) -> int:
        """Wall clock: milliseconds since the epoch."""
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        """Seconds on a clock that never goes back."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait; returns at once for zero or less."""
        await asyncio.sleep(seconds)


class UlidIds:
    """`actors.ports.Ids` with ULIDs (SPEC 1)."""

    def event_id(self) -> str:
        """Give a new ULID."""
        return str(ULID())

"""A clock that moves only when told to.

In: `advance`. Out: the time, and sleepers woken in the order of their deadlines, each at its own
moment. It refuses to go back.
"""

import asyncio
import heapq
from itertools import count

SETTLE_TURNS = 64
"""Turns of the event loop that woken tasks get before time moves on."""

EPOCH_MS_DEFAULT = 1_700_000_000_000
"""Wall clock at the start, milliseconds since the epoch: 2023-11-14T22:13:20Z."""


class VirtualClock:
    """Twin of the Clock port: wall and monotonic time advance together, by hand."""

    def __init__(self, *, epoch_ms: int = EPOCH_MS_DEFAULT) -> None:
        self._epoch_ms = epoch_ms
        self._now_seconds = 0.0
        self._order = count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def now_ms(self) -> int:
        """Wall clock: milliseconds since the epoch."""
        return self._epoch_ms + round(self._now_seconds * 1000)

    def monotonic(self) -> float:
        """Seconds since the clock was made."""
        return self._now_seconds

    @property
    def sleepers(self) -> int:
        """Tasks that sleep now."""
        return sum(not wake.done() for _, _, wake in self._sleepers)

    async def sleep(self, seconds: float) -> None:
        """Wait until `advance` has moved the clock by ``seconds``; at once for zero or less."""
        if seconds <= 0:
            return
        wake = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._now_seconds + seconds, next(self._order), wake))
        await wake

    async def advance(self, seconds: float) -> None:
        """Move time, stopping at each deadline on the way and letting the woken work."""
        if seconds < 0:
            raise ValueError("time does not go back")
        target = self._now_seconds + seconds
        await self.settle()
        while self._sleepers and self._sleepers[0][0] <= target:
            due, _, wake = heapq.heappop(self._sleepers)
            self._now_seconds = max(self._now_seconds, due)
            if not wake.done():
                wake.set_result(None)
                await self.settle()
        self._now_seconds = target
        await self.settle()

    async def jump(self, seconds: float) -> None:
        """Move time as over a process that was paused: whoever slept wakes late, and together."""
        if seconds < 0:
            raise ValueError("time does not go back")
        self._now_seconds += seconds
        await self.advance(0)

    async def settle(self) -> None:
        """Let tasks that can run do so, without moving time."""
        for _ in range(SETTLE_TURNS):
            await asyncio.sleep(0)

"""Places: how many runs of a tenant may go on at once in a worker, over all of its flows.

In: runs that want to go on. Out: a place each, first come first served: each flow asks for one at a
time, so that none takes all. Without a limit it only counts.
"""

import asyncio
from collections import deque


class Places:
    """The places of one tenant. Whoever got one gives it back."""

    __slots__ = ("_waiting", "limit", "taken")

    def __init__(self, limit: int | None = None) -> None:
        self.limit = limit
        self.taken = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def is_full(self) -> bool:
        """Whether the next one has to wait."""
        return self.limit is not None and (self.taken >= self.limit or bool(self._waiting))

    async def take(self) -> None:
        """Take a place, waiting for one behind those who waited first."""
        if not self.is_full:
            self.taken += 1
            return
        place = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                self.give_back()  # it was given in the same moment
            raise

    def give_back(self) -> None:
        """Give a place back, to whoever waits for one."""
        self.taken -= 1
        self._hand_out()

    def change(self, limit: int | None) -> None:
        """Set another limit; runs that go on are not interrupted."""
        self.limit = limit
        self._hand_out()

    def _hand_out(self) -> None:
        while self._waiting and (self.limit is None or self.taken < self.limit):
            place = self._waiting.popleft()
            if not place.done():
                self.taken += 1
                place.set_result(None)

"""Places that tenants share: nobody takes them all, and nobody waits behind somebody else's queue.

In: a tenant. Out: a place, as soon as there is one. A tenant may hold as many places as are free
after it has taken its own (the dynamic threshold of shared-memory switches): one alone gets half of
them, two a third each, and there is always something left for the next. Waiting is unbounded here;
the call's own time limit ends it.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Lanes:
    """A number of places, and who holds and who waits for them."""

    def __init__(self, places: int) -> None:
        self._free = places
        self._held: dict[str, int] = {}
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    @asynccontextmanager
    async def enter(self, tenant: str) -> AsyncIterator[None]:
        """Wait for a place and hold it."""
        await self.take(tenant)
        try:
            yield
        finally:
            self.give_back(tenant)

    async def take(self, tenant: str) -> None:
        """Wait for a place; whoever got one gives it back."""
        if tenant not in self._waiting and self._has_room(tenant):
            self._hold(tenant)
            return
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(tenant, deque()).append(place)
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                # The place came in the same turn of the loop as the end of the wait.
                self.give_back(tenant)
            else:
                self._forget(tenant, place)
            raise

    def give_back(self, tenant: str) -> None:
        """Leave a place to those who wait."""
        held = self._held[tenant] - 1
        if held:
            self._held[tenant] = held
        else:
            del self._held[tenant]
        self._free += 1
        # A tenant after the other, one place each; what is left is shared out in the same way.
        while any(self._admit(waiting) for waiting in tuple(self._waiting)):
            pass

    def _has_room(self, tenant: str) -> bool:
        return self._held.get(tenant, 0) < self._free

    def _hold(self, tenant: str) -> None:
        self._held[tenant] = self._held.get(tenant, 0) + 1
        self._free -= 1

    def _admit(self, tenant: str) -> bool:
        """Let one in, and put its tenant behind the others."""
        if not self._has_room(tenant):
            return False
        place = self._waiting[tenant][0]
        self._forget(tenant, place)
        if tenant in self._waiting:
            self._waiting.move_to_end(tenant)
        if place.done():
            return True
        self._hold(tenant)
        place.set_result(None)
        return True

    def _forget(self, tenant: str, place: asyncio.Future[None]) -> None:
        queue = self._waiting.get(tenant)
        if queue is None or place not in queue:
            return
        queue.remove(place)
        if not queue:
            del self._waiting[tenant]

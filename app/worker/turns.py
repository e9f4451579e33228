"""Turns at something scarce, shared fairly between tenants.

In: who asks. Out: a turn, sooner or later. One tenant never holds more than half of the turns (but
always may hold one), and tenants that wait are served one after the other, however much each asks
for. Refuses more than so many that wait, with TransientError (``script.busy``).
"""

import asyncio
from collections import Counter, OrderedDict, deque

from actors.errors import TransientError

_Waiting = asyncio.Future[None]


class FairTurns:
    """At most ``turns`` at once."""

    def __init__(self, turns: int, waiting_max: int) -> None:
        self._free = turns
        self._share = max(1, turns // 2)
        self._waiting_max = waiting_max
        self._held: Counter[str] = Counter()
        self._waiting: OrderedDict[str, deque[_Waiting]] = OrderedDict()
        """By tenant; who was served last stands last."""

    @property
    def waiting(self) -> int:
        """How many wait now."""
        return sum(map(len, self._waiting.values()))

    async def take(self, tenant: str) -> None:
        """Wait for a turn; `give_back` must follow. TransientError when too many wait."""
        if self.waiting >= self._waiting_max:
            raise TransientError("too many scripts wait for a process", reason="script.busy")
        turn = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(tenant, deque()).append(turn)
        self._grant()
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # it was granted, and nobody is left to take it
                self.give_back(tenant)
            raise

    def give_back(self, tenant: str) -> None:
        """End a turn."""
        self._free += 1
        self._held[tenant] -= 1
        if not self._held[tenant]:
            del self._held[tenant]
        self._grant()

    def _grant(self) -> None:
        """Hand out what is free, to one tenant after the other."""
        while self._free and (tenant := self._next_tenant()) is not None:
            turns = self._waiting[tenant]
            turn = turns.popleft()
            if turns:
                self._waiting.move_to_end(tenant)
            else:
                del self._waiting[tenant]
            if not turn.done():  # else its asker was cancelled meanwhile
                self._free -= 1
                self._held[tenant] += 1
                turn.set_result(None)

    def _next_tenant(self) -> str | None:
        return next((name for name in self._waiting if self._held[name] < self._share), None)

"""How many calls a tenant may have under way: one slow service must not take all connections.

In: a tenant. Out: a place to make a call in, as soon as there is one. Waiting counts against the
call's own time limit.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

CALLS_AT_ONCE_MAX: Final = 50
"""Of one tenant; half of the connections that a process holds."""


class Lanes:
    """One gate per tenant that has calls under way."""

    def __init__(self, calls_at_once: int = CALLS_AT_ONCE_MAX) -> None:
        self._calls_at_once = calls_at_once
        self._gates: dict[str, tuple[asyncio.Semaphore, int]] = {}

    @asynccontextmanager
    async def enter(self, tenant: str) -> AsyncIterator[None]:
        """Wait for a place and hold it."""
        gate, users = self._gates.get(tenant, (None, 0))
        gate = gate or asyncio.Semaphore(self._calls_at_once)
        self._gates[tenant] = gate, users + 1
        try:
            async with gate:
                yield
        finally:
            self._leave(tenant)

    def _leave(self, tenant: str) -> None:
        gate, users = self._gates[tenant]
        if users == 1:
            del self._gates[tenant]
        else:
            self._gates[tenant] = gate, users - 1

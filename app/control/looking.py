"""Turns at looking through streams: each holds some megabytes and reads thousands of messages.

In: a tenant. Out: a turn, for as long as the body takes. Refuses (OverloadedError) a tenant that
has too many waiting already. A tenant has two turns at once, so that it never holds all of them.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from app.errors import OverloadedError

AT_ONCE: Final = 6
AT_ONCE_PER_TENANT: Final = 2
WAITING_MAX: Final = 32
"""Of one tenant, those that have a turn among them."""
RETRY_AFTER_SECONDS: Final = 2.0


@dataclass(slots=True)
class _Line:
    """Those of one tenant."""

    turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE_PER_TENANT))
    standing: int = 0


class Looking:
    """The turns of one kind of thing in this process."""

    def __init__(self) -> None:
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._lines: dict[str, _Line] = {}

    @asynccontextmanager
    async def turn(self, tenant: str) -> AsyncIterator[None]:
        """Wait for a turn of this tenant's. OverloadedError."""
        line = self._lines.setdefault(tenant, _Line())
        if line.standing >= WAITING_MAX:
            raise OverloadedError(
                "too much is being looked for at once", retry_after_seconds=RETRY_AFTER_SECONDS
            )
        line.standing += 1
        try:
            # First its own: whoever waits there takes no place of others'.
            async with line.turns, self._turns:
                yield
        finally:
            line.standing -= 1
            if not line.standing:
                self._lines.pop(tenant, None)

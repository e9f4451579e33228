"""Sizing: streams that could not be made smaller at once are made smaller later.

In: the control plane. Out: nothing; a tenant whose plan was changed to a smaller one keeps its
larger stream until little enough waits in it to be processed. Refuses nothing: while NATS does not
answer it is tried again.
"""

import asyncio
from dataclasses import dataclass, field
from typing import Final

import structlog

from actors.errors import ActorsError
from app.control.control import Control
from app.errors import AppError
from app.system import SystemClock

AGAIN_SECONDS: Final = 2.0

_log = structlog.get_logger("app.control")


@dataclass(slots=True)
class Sizing:
    """Looks after it in one process. Use `start`, then `stop`."""

    control: Control
    clock: SystemClock
    _task: asyncio.Task[None] | None = field(default=None, repr=False)

    def start(self) -> None:
        """Try from now on."""
        self._task = asyncio.create_task(self._keep_trying(), name="sizing")

    async def stop(self) -> None:
        """Try no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None

    async def _keep_trying(self) -> None:
        while True:
            await self.clock.sleep(AGAIN_SECONDS)
            try:
                await self.control.shrink()
            except (ActorsError, AppError) as error:
                _log.warning("stream.not_shrunk", error_code=error.code, reason=str(error))

"""Seeing to it that failed agents start again.

In: an app one of whose agents failed, and goes down in a moment. Out: it starts again, at a
bearable pace. Refuses nothing.

mode's supervisor gives up, and the whole app with it, when two agents start again within 10 ms. And
an agent that it started again once it does not start again at the next failure, but at its next
look, 5 s later.
"""

import asyncio
from typing import Any, Final

from faust.types import AppT

FAILURE_SECONDS: Final = 0.1
"""Between two restarts."""
LOOK_SECONDS: Final = 0.03
"""How long after an agent went down its supervisor looks again."""


class Reviving:
    """The restarts of one app's agents."""

    def __init__(self, app: AppT) -> None:
        self._app = app
        self._turn = asyncio.Lock()

    async def wait_turn(self) -> None:
        """Hold a failed agent back for a moment; when it has gone down its supervisor looks."""
        async with self._turn:
            await asyncio.sleep(FAILURE_SECONDS)
            asyncio.get_running_loop().call_later(LOOK_SECONDS, self._look)

    def _look(self) -> None:
        for agent in list(self._app.agents.values()):
            supervisor: Any = getattr(agent, "supervisor", None)  # None until the agent started
            if supervisor is not None:
                supervisor.wakeup()

"""Routes in force: which executor has which flow, replaced as a whole on every deployment.

In: a routing table with executors. Out: the routes that count now, and whether they are settled.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from actors.kernel.ref import ActorRef
from actors.runs.request import RunRequest
from actors.tenants.routing import RoutingTable


@dataclass(frozen=True, slots=True)
class Routes:
    """A routing table with the executors of its flows."""

    table: RoutingTable
    executors: Mapping[str, ActorRef[RunRequest]]


class RoutesInForce:
    """Holds the routes that count now. Swapping is one assignment, so no event sees a mixture."""

    __slots__ = ("_is_settled", "current")

    def __init__(self, routes: Routes) -> None:
        self.current = routes
        self._is_settled = asyncio.Event()
        self._is_settled.set()

    def hold(self) -> None:
        """Let no router dispatch: the routes are about to change."""
        self._is_settled.clear()

    def release(self) -> None:
        """Let routers go on, by the routes that are current now."""
        self._is_settled.set()

    async def wait_settled(self) -> None:
        """Wait while the routes are held."""
        await self._is_settled.wait()

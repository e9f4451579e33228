"""Routes in force: which executor has which flow, replaced as a whole on every deployment.

In: a routing table with executors. Out: the routes that count now.
"""

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

    __slots__ = ("current",)

    def __init__(self, routes: Routes) -> None:
        self.current = routes

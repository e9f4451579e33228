"""Dividing: rates are counted by each process for itself, so each takes its share of a limit.

In: the fleet as it is seen here. Out: the share of each tenant's plan that is this process's, anew
whenever somebody comes or goes. Refuses nothing: who sees nobody else has all of it, and while NATS
is away nobody is given up, so nobody gets more.

Events from outside are divided among the processes with the role ingress, everything that runs do
among the workers that host the tenant. A process with neither role divides with its like.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from actors.quotas.share import Share
from app.bootstrap.placing import Placing
from app.bootstrap.plans import PlanBook
from app.fleet.report import WORKER_ROLE, WorkerReport

INGRESS_ROLE: Final = "ingress"


@dataclass(slots=True)
class Dividing:
    """Divides for one process. `start` it once the fleet is seen."""

    roles: tuple[str, ...]
    """Of this process."""
    placing: Placing
    plans: PlanBook
    _alike: int = field(default=1, init=False)
    """How many processes do what this one does with events that come from outside."""
    _seen: tuple[int, int] = field(default=(0, 0), init=False)

    def start(self) -> None:
        """Divide from now on."""
        self.plans.divide_by(self.share_of)
        self.placing.fleet.on_change(self.look)
        self.look()

    def look(self) -> None:
        """Look who is there, and go over to the shares that follow."""
        own = self.placing.heartbeat.id
        others = [report for report in self.placing.fleet.live() if report.id != own]
        self._alike = 1 + self._count(others)
        self.placing.refresh()
        seen = self._alike, self.placing.placement.rounds
        if seen != self._seen:  # most of what is told of the fleet changes nothing here
            self._seen = seen
            self.plans.refresh()

    def share_of(self, tenant: str) -> Share:
        """Give this process's share of a tenant's plan."""
        hosts = self.placing.placement.hosts_of(tenant)
        if WORKER_ROLE not in self.roles:
            return Share(self._alike, max(1, len(hosts) - 1))
        workers, place = len(hosts), hosts.index(self.placing.heartbeat.id)
        takers = self._alike if INGRESS_ROLE in self.roles else workers
        return Share(takers, workers, place)

    def _count(self, others: Iterable[WorkerReport]) -> int:
        if INGRESS_ROLE in self.roles:
            return sum(INGRESS_ROLE in report.roles for report in others)
        return sum(not report.is_worker and INGRESS_ROLE not in report.roles for report in others)

"""Which worker hosts which tenant: everyone computes it alone, from what everyone sees.

In: the reports of the processes that live, the tenants and how many workers each shall have. Out:
the tenants that are this worker's own. Refuses nothing: a worker that sees nobody else hosts all.

Rendezvous hashing: each pair of tenant and worker has a number that never changes, and a tenant's
hosts are the workers with its highest ones. When a worker comes or goes, only tenants that it has
or had move.

JetStream decides who gets an event, and journals and leases keep runs apart, so two views that
differ cost work and never correctness. A worker takes a tenant on at once, and leaves it only to
workers that have settled: for a moment both host it, and never nobody.
"""

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from app.fleet.report import WorkerReport

EVERYBODY: Final = 0
"""As a number of replicas: every worker hosts the tenant."""
HOT_FACTOR: Final = 2
"""How many times as many workers a hot tenant has."""

_SCORE_BYTES: Final = 8


def hosts(tenant: str, worker_ids: Collection[str], replicas: int) -> tuple[str, ...]:
    """Give a tenant's hosts among these workers, the first choice first.

    ``replicas``: how many, or `EVERYBODY`. The hosts for fewer replicas are the first of those for
    more.
    """
    ranked = sorted(worker_ids, key=lambda worker: _rank(tenant, worker), reverse=True)
    return tuple(ranked if replicas == EVERYBODY else ranked[:replicas])


@dataclass(slots=True)
class _Sight:
    """A worker since it was first seen."""

    first_beat: int
    floor: int
    """The revision that it must have acknowledged, as its seer had then."""
    has_settled: bool = False


@dataclass(frozen=True, slots=True)
class _Question:
    """All that an answer depends on."""

    seen: frozenset[str]
    settled: frozenset[str]
    hot: frozenset[str]
    tenants: Mapping[str, int | None]


class Placement:
    """Decides for one worker, and remembers what it hosts and whom it has seen."""

    def __init__(self, own_id: str, replicas: int) -> None:
        """``replicas``: of tenants that say nothing themselves; `EVERYBODY` for all workers."""
        self._own_id = own_id
        self._replicas = replicas
        self._sights: dict[str, _Sight] = {}
        self._asked: _Question | None = None
        self._own: frozenset[str] = frozenset()
        self.rounds = 0
        """How often something was to be decided anew."""

    @property
    def own(self) -> frozenset[str]:
        """The tenants that this worker hosts, as decided last."""
        return self._own

    def decide(
        self, reports: Iterable[WorkerReport], tenants: Mapping[str, int | None]
    ) -> frozenset[str]:
        """Give the tenants that this worker hosts from now on.

        ``reports``: of the processes that live (`Fleet.live`); ``tenants``: all that are served,
        and how many workers each shall have, None: as many as usual. To be asked at every change of
        either; the same question again costs nothing.
        """
        said = tuple(reports)
        question = self._question(said, tenants)
        if question != self._asked:
            self._own = frozenset(one for one in tenants if self._is_own(one, question))
            self._asked = question
            self.rounds += 1
        return self._own

    def hosts_of(self, tenant: str) -> tuple[str, ...]:
        """Give the workers that host a tenant as far as is seen here, this one always among them.

        In the order of their ids, by what `decide` was asked last.
        """
        question = self._asked
        if question is None:
            return (self._own_id,)
        replicas = self._replicas_of(tenant, question)
        is_everybody = replicas == EVERYBODY or len(question.seen) <= replicas
        found = question.seen if is_everybody else hosts(tenant, question.seen, replicas)
        return tuple(sorted({self._own_id, *found}))

    def _question(
        self, reports: tuple[WorkerReport, ...], tenants: Mapping[str, int | None]
    ) -> _Question:
        workers = {one.id: one for one in reports if one.is_worker and one.id != self._own_id}
        own = next((one for one in reports if one.id == self._own_id), None)
        floor = (own.acknowledged if own is not None else None) or 0
        self._sights = {
            worker: self._sights.get(worker) or _Sight(report.beat, floor)
            for worker, report in workers.items()
        }
        for worker, sight in self._sights.items():
            report = workers[worker]
            if report.beat > sight.first_beat and report.has_acknowledged(sight.floor):
                sight.has_settled = True
        settled = [worker for worker, sight in self._sights.items() if sight.has_settled]
        return _Question(
            frozenset([self._own_id, *workers]),
            frozenset([self._own_id, *settled]),
            frozenset(tenant for one in reports for tenant in one.hot),
            dict(tenants),
        )

    def _is_own(self, tenant: str, question: _Question) -> bool:
        replicas = self._replicas_of(tenant, question)
        if self._is_among(tenant, question.seen, replicas):
            return True
        is_kept = tenant in self._own and question.settled != question.seen
        return is_kept and self._is_among(tenant, question.settled, replicas)

    def _replicas_of(self, tenant: str, question: _Question) -> int:
        chosen = question.tenants.get(tenant)
        replicas = self._replicas if chosen is None else chosen
        return replicas * HOT_FACTOR if tenant in question.hot else replicas

    def _is_among(self, tenant: str, workers: frozenset[str], replicas: int) -> bool:
        """Tell whether this worker is one of `hosts`, without putting all of them in order."""
        if replicas == EVERYBODY or len(workers) <= replicas:
            return True
        mine = _rank(tenant, self._own_id)
        better = 0
        for worker in workers:
            better += _rank(tenant, worker) > mine
            if better >= replicas:
                return False
        return True


def _rank(tenant: str, worker: str) -> tuple[bytes, str]:
    """Give a pair's number; the same on every machine and in every version."""
    pair = f"{tenant}\0{worker}".encode()
    return hashlib.blake2b(pair, digest_size=_SCORE_BYTES).digest(), worker

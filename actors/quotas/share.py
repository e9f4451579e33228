"""Shares: what one process may use of a plan that several enforce, each for itself.

In: among how many a tenant's rates are divided, and which of them this one is. Out: the part of a
plan that is this process's. Refuses nothing. Only what counts in each process is divided: what is
stored and what waits is counted for all, and weights are among the tenants of one worker.
"""

from dataclasses import dataclass, replace

from actors.quotas.plan import PlanLimits


@dataclass(frozen=True, slots=True)
class Share:
    """One process's share of a tenant's plan."""

    takers: int = 1
    """How many processes take its events in, this one among them."""
    workers: int = 1
    """How many run its flows, this one among them."""
    place: int = 0
    """Which of the workers this one is, from 0: the first ones get what a division leaves over."""

    def of(self, plan: PlanLimits) -> PlanLimits:
        """Give this process's part of a plan; one run may always go on."""
        return replace(
            plan,
            events_per_second=_part(plan.events_per_second, self.takers),
            concurrent_runs=self._runs(plan.concurrent_runs),
            script_operations_per_second=_part(plan.script_operations_per_second, self.workers),
            effects_per_minute=_part(plan.effects_per_minute, self.workers),
        )

    def _runs(self, runs: int | None) -> int | None:
        if runs is None:
            return None
        each, rest = divmod(runs, self.workers)
        return max(1, each + (self.place < rest))


WHOLE = Share()
"""Of a process that is alone."""


def _part(limit: float | None, processes: int) -> float | None:
    return None if limit is None else limit / processes

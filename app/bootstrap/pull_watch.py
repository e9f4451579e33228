"""Whether this worker's tenants are served, for the readiness page, the metrics and the log.

In: the state of each tenant's pull. Out: a reason not to be ready when none of them works; a gauge
by state; a line when a tenant goes silent or comes back. Refuses to call a worker unready for one
tenant's trouble, or for flows that are busy: the others must go on.

A tenant is told of only when it was found so twice: a process that was stopped (SIGSTOP, a frozen
machine) finds everything silent for as long as it takes to read what came meanwhile.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final

from actors.ports import Observer
from app.bus.observations import PullResumed, PullSilenced, PullStopped
from app.bus.pull_health import PullState
from app.observability.metrics import Metrics

CHECK_SECONDS: Final = 5.0
SILENT_SECONDS_MAX: Final = 75.0
"""A pull lasts 30 s and beats every 10: silent for longer means that nobody is served."""
LINES_MAX: Final = 10
"""Tenants told of by name in one check; the gauge has them all."""


class PullWatch:
    """Watches the pulls of one worker."""

    def __init__(
        self,
        states: Callable[[], Mapping[str, PullState]],
        metrics: Metrics,
        observer: Observer,
    ) -> None:
        self._states = states
        self._metrics = metrics
        self._observer = observer
        self._seen: Mapping[str, PullState] = {}
        self._told: set[str] = set()

    def reasons(self) -> list[str]:
        """Say why the worker is not ready, how many tenants for which reason; empty: it is."""
        states = self._states()
        if not states or any(state.is_working for state in states.values()):
            return []
        counts = Counter(states.values())
        parts = []
        if silent := counts[PullState.SILENT]:
            parts.append(f"the consumers of {_tenants(silent)} do not answer")
        if stopped := counts[PullState.STOPPED]:
            parts.append(f"nothing pulls for {_tenants(stopped)}")
        return [f"no consumer has been polled lately: {', '.join(parts)}"]

    async def run(self) -> None:
        """Check until cancelled."""
        while True:
            self.check()
            await asyncio.sleep(CHECK_SECONDS)

    def check(self) -> None:
        """Count the states and tell what changed."""
        states = self._states()
        counts = Counter(states.values())
        for state in PullState:
            self._metrics.pulls.labels(state.value).set(counts[state])
        for tenant in self._told - states.keys():
            self._told.discard(tenant)
        lines = 0
        for tenant, state in states.items():
            if lines < LINES_MAX and self._is_news(tenant, state):
                lines += 1
                self._tell(tenant, state)
        self._seen = states

    def _is_news(self, tenant: str, state: PullState) -> bool:
        if state.is_working:
            return tenant in self._told
        return tenant not in self._told and self._seen.get(tenant) is state

    def _tell(self, tenant: str, state: PullState) -> None:
        if state.is_working:
            self._told.discard(tenant)
            self._observer.observe(PullResumed(tenant))
            return
        self._told.add(tenant)
        kind = PullSilenced if state is PullState.SILENT else PullStopped
        self._observer.observe(kind(tenant, SILENT_SECONDS_MAX))


def _tenants(count: int) -> str:
    return "1 tenant" if count == 1 else f"{count} tenants"

"""Who runs what: finds the executor of a run that starts or goes on.

In: a continuation. Out: the executor of its flow, in the version that the run began with. A version
that is no longer in force is revived. Refuses, as a RunError, flows that are gone and versions that
nobody keeps.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from actors.flows.compiled import CompiledFlow
from actors.flows.control import ControlPlan
from actors.kernel.ref import ActorRef
from actors.lanes.ports import LaneFlow
from actors.outcomes import RunError
from actors.ports import Continuation
from actors.runs.request import RunRequest
from actors.tenants.routes import RoutesInForce

_NO_RULES = ControlPlan()


@dataclass(frozen=True, slots=True)
class Executor:
    """Who runs one version of a flow."""

    ref: ActorRef[RunRequest]
    flow: CompiledFlow


Revive = Callable[[str, str], Awaitable[Executor | None]]
"""Gives the executor of a flow's earlier version; None where it is not kept."""


async def revive_none(flow: str, version: str) -> Executor | None:  # noqa: ARG001
    """Revive no flow of the past."""
    return None


class Executors:
    """Finds executors by the routes in force."""

    def __init__(self, routes: RoutesInForce, revive: Revive = revive_none) -> None:
        self._routes = routes
        self._revive = revive

    async def find(self, waiting: Continuation) -> Executor | RunError:
        """Give who runs it. UnavailableError: what is kept cannot be read now."""
        routes = self._routes.current
        flow = routes.table.deployment.flows.get(waiting.flow)
        if flow is not None and waiting.version in (None, routes.table.versions[flow.name]):
            return Executor(routes.executors[flow.name], flow)
        if waiting.version is None:
            return RunError("unknown_flow", None, f"there is no flow {waiting.flow!r} any more")
        past = await self._revive(waiting.flow, waiting.version)
        if past is None:
            message = (
                f"the version of {waiting.flow!r} that the run began with is not kept any more"
            )
            return RunError("version_gone", None, message)
        return past


class ExecutorsOfLanes:
    """The same for lanes, which want to know the rules that are in force too."""

    def __init__(self, routes: RoutesInForce, executors: Executors) -> None:
        self._routes = routes
        self._executors = executors

    @property
    def revision(self) -> str:
        """Another one whenever the rules of a flow may have changed."""
        return self._routes.current.table.deployment.revision

    async def find(self, waiting: Continuation) -> LaneFlow | RunError:
        """Give the flow of a continuation, or why there is none. UnavailableError."""
        executor = await self._executors.find(waiting)
        if isinstance(executor, RunError):
            return executor
        in_force: Mapping[str, CompiledFlow] = self._routes.current.table.deployment.flows
        present = in_force.get(waiting.flow)
        rules = None if present is None else present.control
        return LaneFlow(executor.flow, rules or _NO_RULES, executor.ref)

"""A witness in every node: what each step of each run had before its eyes.

In: compiled flows. Out: the same flows, whose steps tell the observer what they see before they are
taken. What is recalled from a journal is not taken, so a replay tells only of what it does anew.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

from actors.flows.compiled import CompiledFlow, CompiledNode
from actors.kernel.observations import ActorCrashed, SupervisorFailed
from actors.nodes.step import InlineNode, StepContext, WaitingNode
from actors.outcomes import StepOutcome
from actors.runs.journal import RunJournal
from tests.simulation.world import History


@dataclass(frozen=True, slots=True)
class Sight:
    """What a step sees: values of earlier nodes, and `now`."""

    run: str
    step: str
    is_begun: bool
    """Something of the run stands in its journal, and this walk of it knows."""
    names: str


@dataclass(frozen=True, slots=True)
class _SeenInline(InlineNode):
    inner: InlineNode

    def step(self, context: StepContext) -> StepOutcome:
        context.world.observer.observe(_sight_of(context))
        return self.inner.step(context)


@dataclass(frozen=True, slots=True)
class _SeenWaiting:
    inner: WaitingNode

    async def step_waiting(self, context: StepContext) -> StepOutcome:
        context.world.observer.observe(_sight_of(context))
        return await self.inner.step_waiting(context)


def watched(flows: Mapping[str, CompiledFlow]) -> Mapping[str, CompiledFlow]:
    """Give the flows with a witness in every node."""
    return {
        name: replace(flow, nodes={node.id: _watched(node) for node in flow.nodes.values()})
        for name, flow in flows.items()
    }


def _watched(node: CompiledNode) -> CompiledNode:
    if node.is_inline:
        return replace(node, behaviour=_SeenInline(cast("InlineNode", node.behaviour)))
    return replace(node, behaviour=_SeenWaiting(cast("WaitingNode", node.behaviour)))


def _sight_of(context: StepContext) -> Sight:
    names: dict[str, Any] = {name: context.scope[name] for name in context.scope if "_n" in name}
    names["now"] = context.scope["now"]
    journal = context.journal
    is_begun = isinstance(journal, RunJournal) and journal.is_begun
    step = f"{context.step_id}:{context.iteration}"
    return Sight(context.run_id, step, is_begun, json.dumps(names, sort_keys=True))


class WitnessObserver:
    """Puts sights into the history, and keeps what actors crashed of."""

    def __init__(self, history: History, by: str) -> None:
        self.crashes: list[str] = []
        self._history = history
        self._by = by

    def observe(self, observation: object) -> None:
        """Take one observation."""
        if isinstance(observation, Sight):
            self._history.note("see", observation.run, self._by, observation.step, observation)
        elif isinstance(observation, ActorCrashed):
            self.crashes.append(f"{self._by}: {observation!r} {observation.error!r}")
        elif isinstance(observation, SupervisorFailed):
            self.crashes.append(f"{self._by}: {observation!r}")

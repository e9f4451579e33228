"""Builders for tests of runs and tenants: events, nodes, flows, and a yard of twins around them.

In: what a test cares about. Out: everything else by default. Flows are built by hand from nodes
that do what a Python function says, so no test here depends on the language.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from actors.events import Event
from actors.flows.compiled import CompiledFlow, CompiledNode, CompiledTrigger, TimerSchedule
from actors.nodes.scope import RunScope
from actors.nodes.step import InlineNode, Node, StepContext, WaitingNode
from actors.outcomes import Advance, Settlement, StepOutcome
from actors.ports import Continuation
from actors.runs.begin import RunSeat
from actors.runs.conclude import RunSinks
from actors.runs.request import RunRequest, SharedDelivery
from actors.testing.dead_letters import MemoryDeadLetters
from actors.testing.deliveries import MemoryDelivery, MemoryEventStream
from actors.testing.pauses import MemoryTimerPauses
from actors.testing.results import MemoryResults
from actors.testing.run_records import MemoryRunRecords
from actors.testing.state import MemoryStateStore
from actors.testing.ticks import MemoryTicks
from tests.support.steps import Stage

REPLY_TO = "greentic.reply.i1.evt-1"

# ── Nodes ────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Inline(InlineNode):
    """An inline node whose step is a function of the context."""

    do: Callable[[StepContext], StepOutcome]

    def step(self, context: StepContext) -> StepOutcome:
        return self.do(context)


@dataclass(frozen=True)
class Waiting(WaitingNode):
    """A waiting node whose step is a coroutine function of the context."""

    do: Callable[[StepContext], Awaitable[StepOutcome]]

    async def step_waiting(self, context: StepContext) -> StepOutcome:
        return await self.do(context)


@dataclass
class Gate:
    """A waiting node that holds every run until it is opened, and counts who is inside."""

    opened: asyncio.Event = field(default_factory=asyncio.Event)
    inside: int = 0
    most: int = 0

    async def step_waiting(self, _context: StepContext) -> StepOutcome:
        self.inside += 1
        self.most = max(self.most, self.inside)
        try:
            await self.opened.wait()
        finally:
            self.inside -= 1
        return Advance("through")


def gives(value: Any = None, **fields: Any) -> Inline:
    """An inline node with a fixed value."""
    return Inline(lambda _: Advance(value, **fields))


def fails(error: Exception) -> Inline:
    """An inline node that raises."""

    def step(_context: StepContext) -> StepOutcome:
        raise error

    return Inline(step)


def a_node(node_id: str, behaviour: Node, **fields: Any) -> CompiledNode:
    """A compiled node; by default it leads nowhere and may take 30 s."""
    defaults: dict[str, Any] = {
        "type": "script",
        "next": None,
        "on_error": None,
        "output": None,
        "value_name": None,
        "timeout_seconds": 30.0,
    }
    is_inline = not isinstance(behaviour, WaitingNode)
    return CompiledNode(
        id=node_id, behaviour=behaviour, is_inline=is_inline, **{**defaults, **fields}
    )


# ── Flows ────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Filter:
    """Stands where a compiled condition would: anything with `run`."""

    judge: Callable[[Any], Any]

    def run(self, scope: RunScope) -> Any:
        return self.judge(scope)


def a_trigger(
    pattern: str | None = "order.created",
    target: str = "first",
    *,
    number: int = 1,
    judge: Callable[[Any], Any] | None = None,
    **fields: Any,
) -> CompiledTrigger:
    """An event trigger; with ``pattern`` None a `default` one."""
    fields.setdefault("type", "default" if pattern is None else "event")
    condition: Any = None if judge is None else Filter(judge)
    return CompiledTrigger(
        number=number, target=target, pattern=pattern, filter=condition, **fields
    )


def a_timer(
    cron: str, flow: str = "orders", *, number: int = 1, **schedule: Any
) -> CompiledTrigger:
    """A timer trigger in UTC."""
    return CompiledTrigger(
        number=number,
        type="timer",
        target="first",
        pattern=f"timer.{flow}.{number}",
        schedule=TimerSchedule(cron, **{"timezone": "UTC", **schedule}),
    )


def a_flow(*nodes: CompiledNode, name: str = "orders", **fields: Any) -> CompiledFlow:
    """A flow; by default of one node ``first`` that gives "done", started by ``order.created``."""
    nodes = nodes or (a_node("first", gives("done")),)
    defaults: dict[str, Any] = {
        "version": "1.0",
        "digest": f"digest-of-{name}",
        "triggers": (a_trigger(target=nodes[0].id),),
        "variables": {},
        "timeout_seconds": 300.0,
        "can_answer": False,
    }
    return CompiledFlow(
        name=name, nodes={node.id: node for node in nodes}, **{**defaults, **fields}
    )


def by_name(*flows: CompiledFlow) -> Mapping[str, CompiledFlow]:
    """Flows as a deployment keeps them."""
    return {flow.name: flow for flow in flows}


# ── Events ───────────────────────────────────────────────────────────────────────────────────


def an_event(event_id: str = "evt-1", event_type: str = "order.created", **fields: Any) -> Event:
    """An event of a webhook."""
    defaults = {"source": "webhook", "timestamp": 1_700_000_000_000, "payload": {"total": 7}}
    return Event(id=event_id, event_type=event_type, **{**defaults, **fields})


def a_continuation(flow: str = "orders", **fields: Any) -> Continuation:
    """A sub-run of a flow that is due."""
    defaults: dict[str, Any] = {"run_id": "run-c", "event": an_event(), "parent_run_id": "run-p"}
    return Continuation(flow=flow, **{**defaults, **fields})


# ── The yard ─────────────────────────────────────────────────────────────────────────────────


@dataclass
class Yard:
    """Twins of everything around runs and tenants, on one virtual clock."""

    stage: Stage = field(default_factory=Stage)
    results: MemoryResults = field(default_factory=MemoryResults)
    records: MemoryRunRecords = field(default_factory=MemoryRunRecords)
    letters: MemoryDeadLetters = field(default_factory=MemoryDeadLetters)

    def __post_init__(self) -> None:
        self.clock = self.stage.clock
        self.observer = self.stage.observer
        self.stream = MemoryEventStream(self.clock)
        self.ticks = MemoryTicks(self.stage.publisher)
        self.pauses = MemoryTimerPauses()
        self.leases = MemoryStateStore(self.clock)

    @property
    def sinks(self) -> RunSinks:
        return RunSinks(self.results, self.records, self.letters)

    def seat(self, flow: CompiledFlow, tenant: str = "demo") -> RunSeat:
        has_effects = any(node.is_journalled for node in flow.nodes.values())
        return RunSeat(tenant, flow, self.stage.world, has_effects=has_effects)

    def delivered(self, event: Event | None = None, **fields: Any) -> MemoryDelivery:
        """Store one event and hand it out."""
        self.stream.add(event or an_event(), **fields)
        return self.stream.take(1)[0]

    def request(
        self,
        flow: CompiledFlow | None = None,
        *,
        run_id: str = "run-1",
        delivery: MemoryDelivery | None = None,
        **fields: Any,
    ) -> RunRequest:
        """Ask for a run of ``flow`` by all its triggers (a sub-run if no flow is given)."""
        delivery = delivery or self.delivered(an_event(f"evt-of-{run_id}"))
        defaults: dict[str, Any] = {
            "event": delivery.event,
            "triggers": () if flow is None else flow.triggers,
            "share": SharedDelivery(delivery, 1),
        }
        return RunRequest(run_id=run_id, **{**defaults, **fields})

    def settlements(self) -> dict[str, list[Settlement | None]]:
        """What was said about each event, delivery after delivery."""
        said: dict[str, list[Settlement | None]] = {}
        for delivery in self.stream.handed_out:
            said.setdefault(delivery.event.id, []).append(delivery.settlement)
        return said

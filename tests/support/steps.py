"""Builders for tests of nodes: a world of twins, a step's context, a compiled node.

In: what a test cares about. Out: everything else by default.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from actors.diagnostics import Diagnostic
from actors.events import Event
from actors.nodes.catalog import find_spec
from actors.nodes.rendering import RenderingCompiler
from actors.nodes.resources import FlowResources
from actors.nodes.schema import read_model
from actors.nodes.scope import build_scope
from actors.nodes.site import NodeSite
from actors.nodes.spec import NodePlan
from actors.nodes.step import StepContext, WaitingNode, World
from actors.outcomes import Advance, StepOutcome
from actors.ports import ProviderActions
from actors.ports.scripts import ScriptPool
from actors.testing.actions import MemoryActions
from actors.testing.answers import MemoryAnswers
from actors.testing.clock import VirtualClock
from actors.testing.continuations import MemoryContinuations
from actors.testing.http import MemoryHttp
from actors.testing.ids import CountingIds
from actors.testing.journal import MemoryJournal
from actors.testing.observer import RecordingObserver
from actors.testing.publisher import MemoryPublisher
from actors.testing.run_legs import MemoryRunLegs
from actors.testing.scripts import InlineScripts
from actors.testing.secrets import MemorySecrets
from actors.testing.state import MemoryStateStore

REPLY_TO = "greentic.reply.i1.evt-0"
NO_RESOURCES = FlowResources()


@dataclass
class Stage:
    """Twins of every port a node may use."""

    clock: VirtualClock = field(default_factory=VirtualClock)
    publisher: MemoryPublisher = field(default_factory=MemoryPublisher)
    continuations: MemoryContinuations = field(default_factory=MemoryContinuations)
    http: MemoryHttp = field(default_factory=MemoryHttp)
    answers: MemoryAnswers = field(default_factory=MemoryAnswers)
    observer: RecordingObserver = field(default_factory=RecordingObserver)
    ids: CountingIds = field(default_factory=CountingIds)
    secrets: MemorySecrets = field(default_factory=MemorySecrets)
    scripts: ScriptPool = field(default_factory=InlineScripts)
    actions: ProviderActions = field(default_factory=MemoryActions)
    journal: MemoryJournal = field(default_factory=MemoryJournal)
    legs: MemoryRunLegs = field(default_factory=MemoryRunLegs)
    state: Any = None

    def __post_init__(self) -> None:
        self.state = self.state or MemoryStateStore(self.clock)

    @property
    def world(self) -> World:
        return World(
            env="test",
            publisher=self.publisher,
            continuations=self.continuations,
            state=self.state,
            http=self.http,
            answers=self.answers,
            observer=self.observer,
            clock=self.clock,
            ids=self.ids,
            secrets=self.secrets,
            scripts=self.scripts,
            actions=self.actions,
            journal=self.journal,
            legs=self.legs,
        )


def a_step(
    stage: Stage,
    payload: Any = None,
    *,
    metadata: Mapping[str, Any] | None = None,
    names: Mapping[str, Any] | None = None,
    hops: int = 0,
    reply_to: str | None = REPLY_TO,
) -> StepContext:
    """The first step ``step`` of run ``run-1`` of flow ``orders`` for tenant ``demo``."""
    event = Event("evt-0", "order.created", "webhook", 1_700_000_000_000, payload, metadata)
    scope = build_scope(
        event, env="test", tenant="demo", now_seconds=1_700_000_000, variables={"limit": 100}
    )
    scope.update(names or {})
    return StepContext(
        world=stage.world,
        tenant="demo",
        flow="orders",
        run_id="run-1",
        event=event,
        scope=scope,
        hops=hops,
        reply_to=reply_to,
        step_id="step",
    )


@dataclass(frozen=True)
class Built:
    plan: NodePlan | None
    findings: list[Diagnostic]

    @property
    def codes(self) -> list[str]:
        return [item.code for item in self.findings]


def build_node(
    node_type: str, config: Mapping[str, Any], resources: FlowResources = NO_RESOURCES, **site: Any
) -> Built:
    """Compile one node as a flow's compiler does; findings stand below ``config``."""
    spec = find_spec(node_type)
    assert spec is not None
    model, found = read_model(spec.config, config, ("config",))
    if model is None:
        return Built(None, found)
    at = NodeSite("orders", ("config",), resources, RenderingCompiler(resources.templates), **site)
    plan = spec.build(model, at)
    return Built(plan, at.findings)


def a_plan(
    node_type: str, config: Mapping[str, Any], resources: FlowResources = NO_RESOURCES, **site: Any
) -> NodePlan:
    """Compile a node that must be right."""
    built = build_node(node_type, config, resources, **site)
    assert built.findings == []
    assert built.plan is not None
    return built.plan


async def take(plan: NodePlan, context: StepContext) -> StepOutcome:
    """Take the step, waiting if the node waits."""
    node = plan.behaviour
    if isinstance(node, WaitingNode):
        return await node.step_waiting(context)
    return node.step(context)


async def value_of(plan: NodePlan, context: StepContext) -> Any:
    """Take the step and give its value."""
    outcome = await take(plan, context)
    assert isinstance(outcome, Advance)
    return outcome.value

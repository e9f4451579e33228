"""Putting a flow together: nodes planned, triggers compiled, and everything found on the way.

In: a draft and its resources. Out: an `Assembly` that the doctor examines and the compiler turns
into a flow. Refuses nothing itself; what it finds stands in ``findings``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from actors.diagnostics import Diagnostic, DocumentPath, did_you_mean
from actors.flows.compiled import CompiledTrigger
from actors.flows.control import ControlPlan
from actors.flows.control_compiler import compile_control
from actors.flows.definition import DefaultTrigger, EventTrigger, NodeDefinition, TimerTrigger
from actors.flows.draft import Draft, PlacedNode, PlacedTrigger, read_draft
from actors.flows.graph import Edge, EdgeKind, FlowGraph
from actors.flows.triggers import compile_triggers
from actors.nodes.catalog import CATALOG, find_spec
from actors.nodes.rendering import RenderingCompiler
from actors.nodes.resources import FlowResources
from actors.nodes.schema import read_model
from actors.nodes.site import LogLevel, NodeSite
from actors.nodes.spec import NodePlan, NodeSpec
from actors.nodes.unsupported import LATER_TYPES, UNSUPPORTED_TYPES, UnsupportedNode


@dataclass(frozen=True, slots=True)
class PlannedNode:
    """A node of the document with its plan; ``spec`` is None for types we do not offer."""

    index: int
    definition: NodeDefinition
    spec: NodeSpec | None
    plan: NodePlan

    @property
    def path(self) -> DocumentPath:
        """Its place in the document."""
        return ("nodes", self.index)

    @property
    def config_path(self) -> DocumentPath:
        """Where the references of its plan are anchored."""
        return (*self.path, "config")


@dataclass(slots=True)
class Assembly:
    """A flow taken apart and compiled piece by piece."""

    draft: Draft
    planned: list[PlannedNode] = field(default_factory=list)
    unplanned: list[PlacedNode] = field(default_factory=list)
    """Nodes whose type or config is wrong: they exist, but nobody knows where they lead."""
    triggers: tuple[CompiledTrigger, ...] = ()
    control: ControlPlan | None = None
    findings: list[Diagnostic] = field(default_factory=list)


def assemble(document: object, resources: FlowResources) -> Assembly:
    """Read a document and compile every part of it that can be compiled."""
    draft = read_draft(document)
    site = NodeSite(
        draft.name,
        (),
        resources,
        _renderings(resources),
        log_level=_log_level(draft),
        script_limits=draft.config.script.limits,
    )
    site.findings.extend(draft.findings)
    assembly = Assembly(draft, findings=site.findings)
    for node in draft.nodes:
        planned = _plan(node, site.at("nodes", node.index))
        if planned is None:
            assembly.unplanned.append(node)
        else:
            assembly.planned.append(planned)
    assembly.triggers = compile_triggers(draft, site)
    assembly.control = compile_control(draft, site)
    return assembly


def build_graph(assembly: Assembly) -> FlowGraph:
    """Draw the flow: nodes, ways between them, and where runs begin."""
    draft = assembly.draft
    edges = [edge for node in assembly.planned for edge in _edges(node)]
    broken = [node.definition.model_dump() for node in assembly.unplanned]
    for document in (*broken, *draft.broken):
        edges += _loose_edges(document)
    edges += [_trigger_edge(trigger) for trigger in draft.triggers]
    broken_ids = [str(document["id"]) for document in draft.broken]
    names = tuple(dict.fromkeys([node.definition.id for node in draft.nodes] + broken_ids))
    roots = tuple(trigger.target for trigger in draft.triggers) or names[:1]
    return FlowGraph(names, tuple(edges), roots)


def _trigger_edge(trigger: PlacedTrigger) -> Edge:
    definition, label = trigger.definition, ""
    if isinstance(definition, EventTrigger):
        label = definition.event_type
    elif isinstance(definition, TimerTrigger):
        label = definition.cron
    elif isinstance(definition, DefaultTrigger):
        label = definition.type
    return Edge(f"trigger {trigger.index + 1}", trigger.target, "trigger", label)


def _plan(node: PlacedNode, site: NodeSite) -> PlannedNode | None:
    definition = node.definition
    spec = find_spec(definition.type)
    if spec is None:
        return _plan_foreign(node, site)
    raw = definition.config or {}
    feature = spec.feature_not_yet(raw)
    if feature is not None:
        site.report("flow.not_yet", ("config",), f"{feature}: this version does not have it yet")
        return None
    config, found = read_model(spec.config, raw, (*site.path, "config"))
    site.findings.extend(found)
    if config is None:
        return None
    return PlannedNode(node.index, definition, spec, spec.build(config, site.at("config")))


def _plan_foreign(node: PlacedNode, site: NodeSite) -> PlannedNode | None:
    """Judge a type that the catalogue does not have."""
    name = node.definition.type
    if name in UNSUPPORTED_TYPES:
        message = f"node type {name!r} is not supported here; a run that reaches it fails"
        site.report("flow.unsupported_node", ("type",), message, severity="warning")
        return PlannedNode(node.index, node.definition, None, _foreign_plan(name))
    if name in LATER_TYPES:
        message = f"node type {name!r} ({LATER_TYPES[name]}): this version does not have it yet"
        site.report("flow.not_yet", ("type",), message)
        return None
    known = [spec.type for spec in CATALOG] + [*UNSUPPORTED_TYPES, *LATER_TYPES]
    hint = did_you_mean(name, known) or "known types: " + ", ".join(s.type for s in CATALOG)
    site.report("flow.unknown_node_type", ("type",), f"there is no node type {name!r}", hint=hint)
    return None


def _foreign_plan(name: str) -> NodePlan:
    return NodePlan(UnsupportedNode(name), uses_next=False)


def _edges(node: PlannedNode) -> list[Edge]:
    definition, plan = node.definition, node.plan
    edges = [
        Edge(definition.id, target.name, *_edge_kind(definition, target.path))
        for target in plan.targets
    ]
    if plan.uses_next:
        edges.append(Edge(definition.id, definition.next, "next"))
    elif not plan.targets:
        edges.append(Edge(definition.id, None, "next"))
    if definition.on_error is not None:
        edges.append(Edge(definition.id, definition.on_error, "error"))
    return edges


def _edge_kind(definition: NodeDefinition, path: DocumentPath) -> tuple[EdgeKind, str]:
    """Name a branch's way: ``condition`` with its expression, or ``default``."""
    if path[0] != "conditions":
        return "default", ""
    conditions = (definition.config or {})["conditions"]
    return "condition", str(conditions[path[1]]["expression"])


def _loose_edges(document: Mapping[str, Any]) -> list[Edge]:
    """Of a node that could not be compiled: every way that can be read from it, and an end."""
    source = str(document["id"])
    edges = [Edge(source, None, "next")]
    config = document.get("config")
    config = config if isinstance(config, dict) else {}
    conditions = config.get("conditions")
    arms = conditions if isinstance(conditions, list) else []
    ways: list[tuple[EdgeKind, Any]] = [
        ("next", document.get("next")),
        ("error", document.get("on_error")),
        ("default", config.get("default")),
        *(("condition", arm.get("next")) for arm in arms if isinstance(arm, dict)),
    ]
    edges += [Edge(source, target, kind) for kind, target in ways if isinstance(target, str)]
    return edges


def _log_level(draft: Draft) -> LogLevel:
    level = draft.config.logging.level
    return "warning" if level == "warn" else level


def _renderings(resources: FlowResources) -> RenderingCompiler:
    """Offer every template file as a partial: by its path, and by its name without ``.hbs``."""
    partials: dict[str, str] = {}
    for path, text in resources.templates.items():
        short = path.removeprefix("templates/").removesuffix(".hbs").removesuffix(".html")
        partials.setdefault(short, text)
        partials[path] = text
    return RenderingCompiler(partials)

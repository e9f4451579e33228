"""A flow document read as far as it can be read, so that the doctor can tell everything at once.

In: an untrusted document. Out: a `Draft` of the parts that are well formed, each with its place,
and a finding for every part that is not. Refuses nothing: an empty draft is a draft.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from actors.diagnostics import Diagnostic, did_you_mean
from actors.flows.definition import (
    LATER_TRIGGERS,
    NODES_MAX,
    TRIGGER_MODELS,
    TRIGGERS_MAX,
    UNSUPPORTED_TRIGGERS,
    FlowConfig,
    FlowDefinition,
    NodeDefinition,
    OtherTrigger,
    Trigger,
)
from actors.nodes.schema import plain_json_problem, read_model

_LISTS_MAX: Final = {"nodes": NODES_MAX, "triggers": TRIGGERS_MAX}


@dataclass(frozen=True, slots=True)
class PlacedNode:
    """A well-formed node and its index in the document."""

    index: int
    definition: NodeDefinition


@dataclass(frozen=True, slots=True)
class PlacedTrigger:
    """A trigger and its index; ``definition`` is None when it is broken or never starts a run."""

    index: int
    target: str
    definition: Trigger | None


@dataclass(slots=True)
class Draft:
    """What could be read of a flow."""

    name: str = "?"
    version: str = "?"
    config: FlowConfig = field(default_factory=FlowConfig)
    variables: Mapping[str, Any] = field(default_factory=dict)
    nodes: list[PlacedNode] = field(default_factory=list)
    triggers: list[PlacedTrigger] = field(default_factory=list)
    broken: list[Mapping[str, Any]] = field(default_factory=list)
    """Nodes that have an id but are not well formed otherwise: targets may still name them."""
    findings: list[Diagnostic] = field(default_factory=list)

    @property
    def ids(self) -> set[str]:
        """Every id that a target may name."""
        broken = {str(node["id"]) for node in self.broken}
        return {node.definition.id for node in self.nodes} | broken


def read_draft(document: object) -> Draft:
    """Read a document part by part."""
    draft = Draft()
    problem = plain_json_problem(document, ())
    if problem is not None:
        draft.findings.append(problem)
    elif not isinstance(document, dict):
        message = "a flow is a mapping with name, version, nodes and triggers"
        draft.findings.append(Diagnostic("error", "flow.bad_value", (), message))
    else:
        _read_header(draft, document)
        for index, node in enumerate(_items(draft, document, "nodes")):
            _read_node(draft, index, node)
        for index, trigger in enumerate(_items(draft, document, "triggers")):
            _read_trigger(draft, index, trigger)
    return draft


def _read_header(draft: Draft, document: dict[str, Any]) -> None:
    """Read everything but nodes and triggers, through the model of the whole."""
    header = {**document, "nodes": [_SOME_NODE], "triggers": []}
    definition, found = read_model(FlowDefinition, header, ())
    draft.findings += found
    if isinstance(document.get("name"), str):
        draft.name = document["name"]
    if definition is not None:
        draft.version = definition.version
        draft.config = definition.config
        draft.variables = definition.variables


_SOME_NODE: Final = {"id": "some", "type": "log"}


def _items(draft: Draft, document: dict[str, Any], key: str) -> list[Any]:
    """Give the items of a required list, or none and a finding."""
    if key not in document:
        draft.findings.append(
            Diagnostic("error", "flow.missing_key", (key,), f"{key!r} is required")
        )
        return []
    items = document[key]
    if not isinstance(items, list):
        draft.findings.append(Diagnostic("error", "flow.bad_value", (key,), "should be a list"))
        return []
    if key == "nodes" and not items:
        draft.findings.append(
            Diagnostic("error", "flow.bad_value", (key,), "a flow needs at least one node")
        )
    most = _LISTS_MAX[key]
    if len(items) > most:
        message = f"a flow may have {most} {key}, this one has {len(items)}"
        draft.findings.append(Diagnostic("error", "flow.too_many", (key,), message))
    return items[:most]


def _read_node(draft: Draft, index: int, document: object) -> None:
    definition, found = read_model(NodeDefinition, document, ("nodes", index))
    draft.findings += found
    if definition is not None:
        draft.nodes.append(PlacedNode(index, definition))
    elif isinstance(document, dict) and isinstance(document.get("id"), str):
        draft.broken.append(document)


def _read_trigger(draft: Draft, index: int, document: object) -> None:
    path = ("triggers", index)
    kind = document.get("type") if isinstance(document, dict) else None
    if isinstance(kind, str) and kind in TRIGGER_MODELS:
        definition, found = read_model(TRIGGER_MODELS[kind], document, path)
        draft.findings += found
        target = document.get("target") if isinstance(document, dict) else None
        if isinstance(target, str):
            draft.triggers.append(PlacedTrigger(index, target, definition))
    elif kind in UNSUPPORTED_TRIGGERS or kind in LATER_TRIGGERS:
        _read_other_trigger(draft, index, document, str(kind))
    elif isinstance(kind, str):
        known = (*TRIGGER_MODELS, *UNSUPPORTED_TRIGGERS, *LATER_TRIGGERS)
        message = f"there is no trigger type {kind!r}"
        hint = did_you_mean(kind, known) or f"known types: {', '.join(TRIGGER_MODELS)}"
        draft.findings.append(
            Diagnostic("error", "flow.unknown_trigger_type", (*path, "type"), message, hint)
        )
    else:
        draft.findings += read_model(OtherTrigger, document, path)[1]


def _read_other_trigger(draft: Draft, index: int, document: object, kind: str) -> None:
    """Keep the target of a trigger that never fires: what it leads to is not unreachable."""
    path = ("triggers", index)
    if kind in LATER_TRIGGERS:
        message = f"trigger type {kind!r}: this version does not have it yet"
        finding = Diagnostic("error", "flow.not_yet", (*path, "type"), message)
    else:
        message = f"trigger type {kind!r} is not supported here; the trigger is ignored"
        finding = Diagnostic("warning", "flow.unsupported_trigger", (*path, "type"), message)
    draft.findings.append(finding)
    definition, found = read_model(OtherTrigger, document, path)
    draft.findings += found
    if definition is not None:
        draft.triggers.append(PlacedTrigger(index, definition.target, None))

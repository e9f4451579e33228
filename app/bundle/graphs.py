"""A flow as a picture: boxes and arrows, drawn as mermaid or Graphviz.

In: a flow's document, right or wrong. Out: `FlowGraph` and its texts. Refuses nothing: what has no
id or no type is left out, a target that does not exist is drawn as an end with a question mark.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from actors.flows.compiled import END_TARGETS, RESPOND

LABEL_CHARS_MAX: Final = 60


@dataclass(frozen=True, slots=True)
class GraphNode:
    """A box: a trigger, a node of the flow, or an end."""

    id: str
    kind: str
    """``trigger``, ``node``, ``end`` or ``missing``."""
    label: str


@dataclass(frozen=True, slots=True)
class GraphEdge:
    """An arrow. ``kind`` is ``trigger``, ``next``, ``condition``, ``default`` or ``on_error``."""

    source: str
    target: str
    kind: str
    label: str | None = None


@dataclass(frozen=True, slots=True)
class FlowGraph:
    """The picture of one flow."""

    name: str
    nodes: tuple[GraphNode, ...]
    edges: tuple[GraphEdge, ...]

    def as_document(self) -> dict[str, Any]:
        """Give the picture as ``--json`` shows it."""
        return {
            "name": self.name,
            "nodes": [{"id": n.id, "kind": n.kind, "label": n.label} for n in self.nodes],
            "edges": [
                {"from": e.source, "to": e.target, "kind": e.kind, "label": e.label}
                for e in self.edges
            ],
        }


def build_graph(data: Any) -> FlowGraph | None:
    """Make the picture of a flow's document; None where it has no nodes at all."""
    if not isinstance(data, dict):
        return None
    flow_nodes = [item for item in _maps(data.get("nodes")) if isinstance(item.get("id"), str)]
    if not flow_nodes:
        return None
    triggers = [
        (f"trigger:{number}", item) for number, item in enumerate(_maps(data.get("triggers")), 1)
    ]
    edges = [
        GraphEdge(id_, item["target"], "trigger")
        for id_, item in triggers
        if isinstance(item.get("target"), str)
    ]
    edges += [edge for item in flow_nodes for edge in _edges_of(item)]
    boxes = [GraphNode(id_, "trigger", _trigger_label(item)) for id_, item in triggers]
    boxes += [
        GraphNode(item["id"], "node", f"{item['id']}\n{item.get('type', '?')}")
        for item in flow_nodes
    ]
    known = {box.id for box in boxes}
    targets = dict.fromkeys(edge.target for edge in edges if edge.target not in known)
    boxes += [_end(target) for target in targets]
    return FlowGraph(str(data.get("name", "?")), tuple(boxes), tuple(edges))


def as_mermaid(graph: FlowGraph) -> str:
    """Draw it for mermaid."""
    ids = {node.id: f"n{number}" for number, node in enumerate(graph.nodes)}
    shapes = {"trigger": ("([", "])"), "node": ("[", "]"), "end": ("((", "))")}
    lines = [f"%% {_one_line(graph.name)}", "flowchart TD"]
    for node in graph.nodes:
        left, right = shapes.get(node.kind, ("{{", "}}"))
        label = "<br/>".join(_mermaid(line) for line in node.label.split("\n"))
        lines.append(f'  {ids[node.id]}{left}"{label}"{right}')
    for edge in graph.edges:
        arrow = "-.->" if edge.kind == "on_error" else "-->"
        label = f'|"{_mermaid(edge.label)}"|' if edge.label else ""
        lines.append(f"  {ids[edge.source]} {arrow}{label} {ids[edge.target]}")
    return "\n".join(lines) + "\n"


def as_dot(graph: FlowGraph) -> str:
    """Draw it for Graphviz."""
    shapes = {"trigger": "oval", "node": "box", "end": "circle"}
    lines = [f"digraph {_dot(graph.name)} {{", "  rankdir=TB;"]
    for node in graph.nodes:
        shape = shapes.get(node.kind, "diamond")
        lines.append(f"  {_dot(node.id)} [label={_dot(node.label)}, shape={shape}];")
    for edge in graph.edges:
        style = ", style=dashed" if edge.kind == "on_error" else ""
        label = _dot(edge.label or "")
        lines.append(f"  {_dot(edge.source)} -> {_dot(edge.target)} [label={label}{style}];")
    return "\n".join([*lines, "}"]) + "\n"


def _edges_of(node: dict[str, Any]) -> Iterator[GraphEdge]:
    config = node.get("config")
    config = config if isinstance(config, dict) else {}
    source = node["id"]
    for condition in _maps(config.get("conditions")):
        if isinstance(condition.get("next"), str):
            label = _shortened(str(condition.get("expression", "?")))
            yield GraphEdge(source, condition["next"], "condition", label)
    if isinstance(config.get("default"), str):
        yield GraphEdge(source, config["default"], "default", "default")
    if isinstance(node.get("next"), str):
        yield GraphEdge(source, node["next"], "next")
    if isinstance(node.get("on_error"), str):
        yield GraphEdge(source, node["on_error"], "on_error", "on error")


def _trigger_label(trigger: dict[str, Any]) -> str:
    kind = str(trigger.get("type", "?"))
    what = trigger.get("event_type") or trigger.get("cron") or trigger.get("path")
    return _shortened(f"{kind} {what}" if what else kind)


def _end(target: str) -> GraphNode:
    is_end = target in END_TARGETS or target == RESPOND
    return GraphNode(target, "end" if is_end else "missing", target if is_end else f"{target} ?")


def _maps(value: Any) -> list[dict[str, Any]]:
    items = value if isinstance(value, list) else []
    return [item for item in items if isinstance(item, dict)]


def _shortened(text: str) -> str:
    line = _one_line(text)
    return line if len(line) <= LABEL_CHARS_MAX else line[: LABEL_CHARS_MAX - 1] + "…"


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _mermaid(text: str) -> str:
    """Escape for a quoted label; mermaid reads entities with ``#``."""
    for char, entity in (("#", "#35;"), ('"', "#quot;"), ("<", "#lt;"), (">", "#gt;")):
        text = text.replace(char, entity)
    return text


def _dot(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)

"""The shape of a flow: which node leads where, what cannot be reached and what never ends.

In: edges between names. Out: reachable names, loops without an exit. Refuses nothing: targets that
do not exist count as ends, since the doctor has told of them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

EdgeKind = Literal["next", "condition", "default", "error", "trigger"]


@dataclass(frozen=True, slots=True)
class Edge:
    """One way a run may take. ``label`` is a condition's text or a trigger's event type."""

    source: str
    target: str | None
    """A node's id, a reserved target, or None: the run ends after ``source``."""
    kind: EdgeKind
    label: str = ""


@dataclass(frozen=True, slots=True)
class FlowGraph:
    """Nodes in file order, edges, and the nodes where runs begin."""

    nodes: tuple[str, ...]
    edges: tuple[Edge, ...]
    roots: tuple[str, ...]

    def reachable(self) -> frozenset[str]:
        """Give every node that some run may come to."""
        successors = _successors(self.nodes, self.edges)
        return _closure((root for root in self.roots if root in successors), successors)

    def ending(self, *, without: frozenset[str] = frozenset()) -> frozenset[str]:
        """Give the nodes from which a run can come to an end, not passing through ``without``."""
        known = set(self.nodes)
        edges = [edge for edge in self.edges if edge.kind != "trigger"]
        leaving = {e.source for e in edges if e.target not in known} - without
        before: dict[str, set[str]] = {name: set() for name in self.nodes}
        for edge in edges:
            if edge.target in known and edge.source not in without:
                before[edge.target].add(edge.source)
        return _closure(leaving, before)

    def endless_loops(self) -> list[tuple[str, ...]]:
        """Give each loop that no path leaves, as the nodes along it in the order taken."""
        stuck = self.reachable() - self.ending()
        successors = _successors(self.nodes, self.edges)
        loops: list[tuple[str, ...]] = []
        seen: set[str] = set()
        for name in self.nodes:
            if name in stuck and name not in seen:
                path = _walk_into_loop(name, successors, seen)
                seen.update(path)
                loops += [path] if path else []
        return loops


def _successors(nodes: Iterable[str], edges: Iterable[Edge]) -> dict[str, set[str]]:
    known = {name: set[str]() for name in nodes}
    for edge in edges:
        if edge.kind != "trigger" and edge.target is not None and edge.target in known:
            known[edge.source].add(edge.target)
    return known


def _closure(start: Iterable[str], steps: Mapping[str, set[str]]) -> frozenset[str]:
    found: set[str] = set()
    pending = list(start)
    while pending:
        name = pending.pop()
        if name not in found:
            found.add(name)
            pending += steps[name] - found
    return frozenset(found)


def _walk_into_loop(
    start: str, successors: Mapping[str, set[str]], seen: set[str]
) -> tuple[str, ...]:
    """Follow first successors from a stuck node until one repeats; empty if it was told already."""
    order: list[str] = []
    name = start
    while name not in order:
        if name in seen:
            seen.update(order)
            return ()
        order.append(name)
        name = min(successors[name])
    seen.update(order)
    return tuple(order[order.index(name) :])

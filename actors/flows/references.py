"""Other flows that a flow names, and events that lead back to it.

In: an assembly and the tenant's flows. Out: findings. Refuses flows that do not exist and calls
that can never come back; warns of calls that may nest too deeply and of events that feed
themselves.
"""

from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import Final

from actors.diagnostics import Diagnostic, DocumentPath, did_you_mean
from actors.flows.assembly import Assembly, PlannedNode
from actors.flows.compiled import CompiledTrigger
from actors.flows.graph import FlowGraph
from actors.subjects import matches_pattern

SUB_FLOWS_NESTED_MAX: Final = 8
"""How deep `flow2flow` may nest (SPEC 13)."""

KnownFlows = Mapping[str, Iterable[str]] | AbstractSet[str] | None
"""The tenant's flows: names; or names with the flows each calls; None when not known."""


def check_references(
    assembly: Assembly, graph: FlowGraph, known_flows: KnownFlows
) -> Iterator[Diagnostic]:
    """Check every flow that a node calls or starts, and every event it emits."""
    for node in assembly.planned:
        yield from _check_existence(assembly, node, known_flows)
        yield from _check_self_feeding(assembly, node)
    yield from _check_recursion(assembly, graph, known_flows)


def calls_of(assembly: Assembly) -> frozenset[str]:
    """Give the flows that run inside this one's runs."""
    return frozenset(ref.name for node in assembly.planned for ref in node.plan.calls)


def _check_existence(
    assembly: Assembly, node: PlannedNode, known_flows: KnownFlows
) -> Iterator[Diagnostic]:
    if known_flows is None:
        return
    known = {*known_flows, assembly.draft.name}
    for reference in (*node.plan.calls, *node.plan.starts):
        if reference.name not in known:
            path = node.config_path + reference.path
            message = f"there is no flow {reference.name!r}"
            hint = did_you_mean(reference.name, known)
            yield Diagnostic("error", "flow.unknown_flow", path, message, hint)


def _check_self_feeding(assembly: Assembly, node: PlannedNode) -> Iterator[Diagnostic]:
    emits = node.plan.emits
    if emits is None:
        return
    for trigger in assembly.triggers:
        if trigger.type == "event" and _takes(trigger, emits.name):
            path = node.config_path + emits.path
            message = (
                f"emits {emits.name!r}, which trigger {trigger.number} of this flow takes:"
                " the flow starts itself"
            )
            hint = "after 32 events in a row such a chain fails"
            yield Diagnostic("warning", "flow.event_loop", path, message, hint)


def _takes(trigger: CompiledTrigger, event_type: str) -> bool:
    return trigger.pattern is not None and matches_pattern(trigger.pattern, event_type)


def _check_recursion(
    assembly: Assembly, graph: FlowGraph, known_flows: KnownFlows
) -> Iterator[Diagnostic]:
    """Tell of calls that come back to this flow, or that nest deeper than a run may."""
    name = assembly.draft.name
    calls: Mapping[str, Iterable[str]] = known_flows if isinstance(known_flows, Mapping) else {}
    callers = frozenset(
        node.definition.id
        for node in assembly.planned
        if any(ref.name == name for ref in node.plan.calls)
    )
    if callers and not graph.ending(without=callers) & frozenset(graph.roots):
        path = _first_call(assembly, name)
        message = f"flow {name!r} always calls itself: it can never come to an end"
        yield Diagnostic("error", "flow.endless_recursion", path, message)
        return
    for target in sorted(calls_of(assembly)):
        way = _way_back(name, target, calls)
        if way is not None:
            message = (
                f"the call may come back to this flow ({' → '.join((name, *way))});"
                f" sub-flows nest at most {SUB_FLOWS_NESTED_MAX} deep"
            )
            path = _first_call(assembly, target)
            yield Diagnostic("warning", "flow.recursion", path, message)
        elif _depth(target, calls) > SUB_FLOWS_NESTED_MAX:
            message = f"sub-flows nest deeper than {SUB_FLOWS_NESTED_MAX} from here"
            path = _first_call(assembly, target)
            yield Diagnostic("warning", "flow.nesting", path, message)


def _first_call(assembly: Assembly, target: str) -> DocumentPath:
    return next(
        node.config_path + ref.path
        for node in assembly.planned
        for ref in node.plan.calls
        if ref.name == target
    )


def _way_back(name: str, target: str, calls: Mapping[str, Iterable[str]]) -> tuple[str, ...] | None:
    """Give the names from ``target`` to ``name`` along calls, or None; breadth first."""
    ways: list[tuple[str, ...]] = [(target,)]
    seen = {target}
    while ways:
        way = ways.pop(0)
        if way[-1] == name:
            return way
        for following in calls.get(way[-1], ()):
            if following not in seen:
                seen.add(following)
                ways.append((*way, following))
    return None


def _depth(start: str, calls: Mapping[str, Iterable[str]]) -> int:
    """Count how deep calls nest from ``start``, itself one; a loop elsewhere counts as too deep."""
    level, depth = {start}, 0
    while level and depth <= SUB_FLOWS_NESTED_MAX:
        depth += 1
        level = {name for current in level for name in calls.get(current, ())}
    return depth

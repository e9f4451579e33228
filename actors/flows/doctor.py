"""The doctor: everything that is wrong with a flow, told at once.

In: a flow document, its resources, the names of the tenant's other flows. Out: findings in the
order of the document. It never stops at the first error and never runs anything.
"""

from collections.abc import Iterator, Mapping

from actors.diagnostics import Diagnostic, DocumentPath
from actors.flows.assembly import Assembly, assemble, build_graph
from actors.flows.control_compiler import check_answers
from actors.flows.diagnostics import in_document_order
from actors.flows.graph import FlowGraph
from actors.flows.names import check_names, check_output_name, check_target
from actors.flows.references import KnownFlows, calls_of, check_references
from actors.nodes.resources import FlowResources


def examine(
    document: object, resources: FlowResources, *, known_flows: KnownFlows = None
) -> list[Diagnostic]:
    """Give every finding about a flow, warnings included; an empty list means it is fine.

    ``known_flows`` are the tenant's flows: names, or names with the flows each calls; None when the
    others are not known, and then references to them are not checked.
    """
    return findings_about(assemble(document, resources), known_flows)


def findings_about(assembly: Assembly, known_flows: KnownFlows) -> list[Diagnostic]:
    """Examine a flow that is assembled already."""
    graph = build_graph(assembly)
    found = list(assembly.findings)
    found += check_names(assembly.draft)
    found += _check_targets(assembly)
    found += _check_outputs(assembly)
    found += _check_shape(assembly, graph)
    found += check_references(assembly, graph, known_flows)
    answers = any(node.plan.answers for node in assembly.planned)
    found += check_answers(assembly.draft.config, answers=answers)
    return in_document_order(found)


def called_flows(document: object, resources: FlowResources) -> frozenset[str]:
    """Give the flows that run inside a flow's runs: what `known_flows` wants to know of each."""
    return calls_of(assemble(document, resources))


def read_graph(document: object, resources: FlowResources) -> FlowGraph:
    """Draw a flow, broken or not."""
    return build_graph(assemble(document, resources))


def _check_targets(assembly: Assembly) -> Iterator[Diagnostic]:
    ids = assembly.draft.ids
    for node in assembly.draft.nodes:
        path = ("nodes", node.index)
        for key in ("next", "on_error"):
            target = getattr(node.definition, key)
            if target is not None:
                yield from check_target(target, ids, (*path, key))
    for planned in assembly.planned:
        for reference in planned.plan.targets:
            yield from check_target(reference.name, ids, planned.config_path + reference.path)
    for trigger in assembly.draft.triggers:
        yield from check_target(trigger.target, ids, ("triggers", trigger.index, "target"))


def _check_outputs(assembly: Assembly) -> Iterator[Diagnostic]:
    """Check names given inside a config (`state`), which must agree with the node's own."""
    for node in assembly.planned:
        inner, outer = node.plan.output, node.definition.output
        if inner is None:
            continue
        path = node.config_path + inner.path
        yield from check_output_name(inner.name, path)
        if outer is not None and outer != inner.name:
            message = f"'output' is {outer!r} beside the config and {inner.name!r} in it"
            yield Diagnostic("error", "flow.two_outputs", path, message)


def _check_shape(assembly: Assembly, graph: FlowGraph) -> Iterator[Diagnostic]:
    """Find nodes that no run comes to, ways that are never taken, and loops without an exit."""
    index_of = {node.definition.id: node.index for node in reversed(assembly.draft.nodes)}
    yield from _unreachable(graph, index_of)
    yield from _unused_next(assembly)
    for loop in graph.endless_loops():
        way = " → ".join((*loop, loop[0]))
        message = f"a run that comes here never ends: {way}"
        hint = "lead one of these nodes out of the loop"
        place: DocumentPath = ("nodes", index_of[loop[0]], "next")
        yield Diagnostic("error", "flow.endless_loop", place, message, hint)
    told = any(item.path[:1] == ("triggers",) for item in assembly.findings)
    if assembly.draft.nodes and not assembly.draft.triggers and not told:
        message = "no trigger starts this flow; only other flows can"
        yield Diagnostic("warning", "flow.no_trigger", ("triggers",), message)


def _unreachable(graph: FlowGraph, index_of: Mapping[str, int]) -> Iterator[Diagnostic]:
    """Tell of nodes that no run comes to, unless no run comes to any."""
    reachable = graph.reachable()
    if not reachable:
        return
    for name in graph.nodes:
        if name not in reachable and name in index_of:
            message = f"no trigger and no node leads to {name!r}"
            path = ("nodes", index_of[name], "id")
            yield Diagnostic("warning", "flow.unreachable_node", path, message)


def _unused_next(assembly: Assembly) -> Iterator[Diagnostic]:
    for planned in assembly.planned:
        is_offered = planned.spec is not None
        if is_offered and planned.definition.next is not None and not planned.plan.uses_next:
            message = f"a {planned.definition.type!r} node never goes on to its 'next'"
            if planned.plan.targets:
                message = "'next' is never taken: the branch has a 'default'"
            yield Diagnostic("warning", "flow.unused_next", (*planned.path, "next"), message)

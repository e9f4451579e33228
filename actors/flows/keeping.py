"""Flows as they are kept, so that a later program can run an earlier version (DESIGN 2).

In: compiled flows. Out: a JSON document of every text they are made of; and the flows again.
Refuses a document that does not give what was kept: the digest tells.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from actors.flows.compiled import CompiledFlow
from actors.flows.compiler import compile_flow, files_used
from actors.nodes.resources import ActionForms, FlowResources
from grammar import FunctionLibrary, compile_functions

FORMAT: Final = 1


@dataclass(frozen=True, slots=True)
class _Library:
    """Shared texts, as pairs of name and text."""

    texts: tuple[tuple[str, str], ...]

    def compile(self) -> FunctionLibrary | None:
        if not self.texts:
            return None
        first, *rest = (compile_functions(text, name=name) for name, text in self.texts)
        return first.merge(*rest)


def flows_document(flows: Iterable[CompiledFlow]) -> dict[str, Any]:
    """Write flows with all they are made of; `restore_flows` is the inverse.

    ValueError for a flow that was not compiled from a document.
    """
    return {"format": FORMAT, "flows": [_document_of(flow) for flow in flows]}


def restore_flows(document: Any, actions: ActionForms) -> dict[str, CompiledFlow]:
    """Compile kept flows; ``actions`` are those of all providers that this program has.

    ValueError, KeyError, TypeError, DefinitionError or GrammarError: they are not what was kept,
    or this program cannot run them.
    """
    if not isinstance(document, Mapping) or document.get("format") != FORMAT:
        raise ValueError("the kept flows have an unknown format")
    libraries: dict[_Library, FunctionLibrary | None] = {}
    return {
        flow.name: flow
        for kept in document["flows"]
        for flow in [_restore(kept, actions, libraries)]
    }


def _document_of(flow: CompiledFlow) -> dict[str, Any]:
    if flow.source is None:
        raise ValueError(f"flow {flow.name!r} was not compiled from a document")
    document, resources = flow.source.document, flow.source.resources
    scripts, templates = files_used(document, resources)
    library = resources.library
    return {
        "digest": flow.digest,
        "document": document,
        "scripts": scripts,
        "templates": templates,
        "library": [] if library is None else [[p.place.name, p.place.text] for p in library.parts],
        "library_digest": resources.library_digest,
        "timezone": resources.timezone,
    }


def _restore(
    kept: Mapping[str, Any],
    actions: ActionForms,
    libraries: dict[_Library, FunctionLibrary | None],
) -> CompiledFlow:
    library = _Library(tuple((name, text) for name, text in kept["library"]))
    if library not in libraries:
        libraries[library] = library.compile()
    resources = FlowResources(
        library=libraries[library],
        scripts=kept["scripts"],
        templates=kept["templates"],
        timezone=kept["timezone"],
        actions=actions,
        library_digest=kept["library_digest"],
    )
    # Flows that it only starts are not kept with it: whether they exist is seen when it does.
    flow = compile_flow(kept["document"], resources, known_flows=None)
    if flow.digest != kept["digest"]:
        raise ValueError(f"flow {flow.name!r} is not what was kept")
    return flow

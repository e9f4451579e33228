"""The flows of one tenant: their files, what is wrong with them, what they compile to.

In: the bundle's files and apps. Out: compiled flows by name, and problems with file, line and
column. Refuses a name that two files of a tenant share: neither is started.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Self

from actors.diagnostics import Diagnostic
from actors.flows.assembly import Assembly, assemble
from actors.flows.compiled import CompiledFlow
from actors.flows.compiled import FlowSource as CompiledFrom
from actors.flows.compiler import compile_assembled
from actors.flows.doctor import findings_about
from actors.flows.references import KnownFlows, calls_of
from actors.nodes.resources import FlowResources
from app.bundle.document import Document, excerpt_of
from app.bundle.problems import Problem, errors_of

_PLACE_IN_TEXT: Final = re.compile(r" \(line (\d+), position (\d+)\)$")


@dataclass(frozen=True, slots=True)
class FlowSource:
    """A flow's file, read, with what its app and bundle offer it."""

    document: Document
    resources: FlowResources = field(repr=False)
    app: str | None = None

    @property
    def file(self) -> str:
        """Its path in the bundle."""
        return self.document.file

    @property
    def name(self) -> str | None:
        """The flow's name, if the file has one."""
        data = self.document.data
        name = data.get("name") if isinstance(data, dict) else None
        return name if isinstance(name, str) else None


@dataclass(frozen=True, slots=True)
class LoadedFlows:
    """What became of a set of flow files."""

    flows: Mapping[str, CompiledFlow]
    problems: tuple[Problem, ...]


def load_flows(sources: Sequence[FlowSource]) -> LoadedFlows:
    """Examine and compile the flows of one tenant; a broken one never stops the others."""
    drafts = [_Draft.of(source) for source in sources]
    known = {
        draft.source.name: calls_of(draft.assembly)
        for draft in drafts
        if draft.source.name is not None
    }
    doubled = _doubled_names(sources)
    flows: dict[str, CompiledFlow] = {}
    problems: list[Problem] = []
    for draft in drafts:
        source = draft.source
        flow, found = _load(draft, known)
        problems += found
        if source.name in doubled:
            problems.append(_doubled(source, doubled[source.name]))
        elif flow is not None:
            flows[flow.name] = flow
    return LoadedFlows(flows, tuple(problems))


@dataclass(frozen=True, slots=True)
class _Draft:
    """A flow's file and what it was assembled into, which costs most of reading a bundle."""

    source: FlowSource
    definition: Any
    assembly: Assembly

    @classmethod
    def of(cls, source: FlowSource) -> Self:
        definition = _definition(source.document)
        return cls(source, definition, assemble(definition, source.resources))


def _load(draft: _Draft, known: KnownFlows) -> tuple[CompiledFlow | None, list[Problem]]:
    """Give everything that is wrong with one flow, and the flow if that is no error."""
    document = draft.source.document
    problems = list(document.problems)
    if errors_of(problems):
        return None, problems
    found = findings_about(draft.assembly, known)
    problems += [_as_problem(document, diagnostic) for diagnostic in found]
    if errors_of(problems):
        return None, problems
    written = CompiledFrom(draft.definition, draft.source.resources)
    return compile_assembled(draft.assembly, written), problems


def _definition(document: Document) -> Any:
    """Give the flow as the doctor reads it: an unquoted version 1.10 is meant as text."""
    data = document.data
    raw = document.raw_of(("version",))
    if isinstance(data, dict) and raw and isinstance(data.get("version"), (int, float)):
        return {**data, "version": raw}
    return data


def _as_problem(document: Document, diagnostic: Diagnostic) -> Problem:
    """Give a finding its place in the file, down to the line inside a script."""
    problem = document.problem(
        diagnostic.path,
        diagnostic.code,
        diagnostic.message,
        hint=diagnostic.hint,
        severity=diagnostic.severity,
    )
    within = _PLACE_IN_TEXT.search(diagnostic.message)
    if within is None:
        return replace(problem, excerpt=diagnostic.excerpt or problem.excerpt)
    line, column = document.position_within(diagnostic.path, int(within[1]), int(within[2]))
    excerpt = diagnostic.excerpt or excerpt_of(document.text, line, column)
    message = diagnostic.message[: within.start()]
    return replace(problem, message=message, line=line, column=column, excerpt=excerpt)


def _doubled_names(sources: Iterable[FlowSource]) -> dict[str, list[str]]:
    files: dict[str, list[str]] = {}
    for source in sources:
        if source.name is not None:
            files.setdefault(source.name, []).append(source.file)
    return {name: found for name, found in files.items() if len(found) > 1}


def _doubled(source: FlowSource, files: Sequence[str]) -> Problem:
    others = ", ".join(file for file in files if file != source.file)
    message = f"the flow name {source.name!r} is also used in {others}: neither is started"
    return source.document.problem(("name",), "bundle.flow_name", message)

"""The compiler: from a flow document to a flow that can run.

In: a document, its resources, the names of the tenant's other flows. Out: a `CompiledFlow` with a
digest of everything that decides how it runs. Refuses, as DefinitionError, whatever the doctor
calls an error.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any, Final

from actors.errors import DefinitionError
from actors.flows.assembly import Assembly, PlannedNode, assemble
from actors.flows.compiled import RESPOND, CompiledFlow, CompiledNode, FlowSource
from actors.flows.control_compiler import UNANSWERABLE
from actors.flows.definition import name_of
from actors.flows.diagnostics import has_errors, summarize
from actors.flows.doctor import findings_about
from actors.flows.references import KnownFlows, calls_of
from actors.nodes.resources import FlowResources, find_path
from actors.nodes.step import WaitingNode

_DIGEST_BYTES: Final = 20
_MS: Final = 1000


def compile_flow(
    document: object, resources: FlowResources, *, known_flows: KnownFlows = None
) -> CompiledFlow:
    """Compile a flow; DefinitionError carries every finding of the doctor, warnings included."""
    assembly = assemble(document, resources)
    findings = findings_about(assembly, known_flows)
    if has_errors(findings):
        raise DefinitionError(summarize(name_of(document), findings), findings)
    return compile_assembled(assembly, FlowSource(document, resources))


def compile_assembled(assembly: Assembly, source: FlowSource) -> CompiledFlow:
    """Compile what was assembled from ``source`` and in which the doctor finds no error."""
    draft = assembly.draft
    nodes = {node.definition.id: _compile_node(node) for node in assembly.planned}
    starts = {ref.name for node in assembly.planned for ref in node.plan.starts}
    return CompiledFlow(
        name=draft.name,
        version=draft.version,
        digest=_digest(source.document, source.resources),
        nodes=nodes,
        triggers=assembly.triggers,
        variables=draft.variables,
        timeout_seconds=draft.config.timeout / _MS,
        can_answer=_can_answer(assembly),
        control=assembly.control,
        calls=calls_of(assembly) | starts,
        calls_any=any(node.plan.calls_any for node in assembly.planned),
        retry=draft.config.retry_policy,
        source=source,
    )


def _compile_node(node: PlannedNode) -> CompiledNode:
    definition, plan = node.definition, node.plan
    waits = isinstance(plan.behaviour, WaitingNode)
    output = definition.output if plan.output is None else plan.output.name
    return CompiledNode(
        id=definition.id,
        type=definition.type,
        behaviour=plan.behaviour,
        is_inline=not waits,
        next=definition.next,
        on_error=definition.on_error,
        output=output,
        value_name=None if node.spec is None else node.spec.value_name,
        timeout_seconds=definition.timeout / _MS,
        is_journalled=waits and not plan.is_pure,
        retry=plan.retry,
    )


def _can_answer(assembly: Assembly) -> bool:
    """Tell whether a waiting webhook may be answered: by a node, or by the `respond` target.

    A sub-flow may hold the answering node, so a flow that calls others may answer. Where several
    events may become one run, nobody is kept waiting for it.
    """
    config = assembly.draft.config
    if any(getattr(config, rule) is not None for rule in UNANSWERABLE):
        return False
    ids = assembly.draft.ids
    targets = {trigger.target for trigger in assembly.draft.triggers}
    for node in assembly.planned:
        if node.plan.answers or node.plan.calls:
            return True
        targets |= {ref.name for ref in node.plan.targets}
        targets |= {node.definition.next or "", node.definition.on_error or ""}
    return RESPOND in targets and RESPOND not in ids


def files_used(document: Any, resources: FlowResources) -> tuple[dict[str, str], Mapping[str, str]]:
    """Give the scripts and the templates that a flow can use, by their paths."""
    scripts = _files_named(document, "script_file", resources.scripts)
    templates: Mapping[str, str] = _files_named(document, "template_file", resources.templates)
    if any(_PARTIAL.search(part) for part in (_canonical(document), *templates.values())):
        templates = dict(resources.templates)
    return scripts, templates


def _digest(document: Any, resources: FlowResources) -> str:
    """Hash the document and every text it can use, so that the same digest runs the same."""
    scripts, templates = files_used(document, resources)
    used = [
        _canonical(document),
        resources.library_digest,
        scripts,
        templates,
        resources.timezone,
    ]
    data = _canonical(used).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(data, digest_size=_DIGEST_BYTES).hexdigest()


_PARTIAL: Final = re.compile(r"\{\{[~#]*>")
"""A template that includes others by name: then any of them may be used."""


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def _files_named(document: Any, key: str, texts: Mapping[str, str]) -> dict[str, str]:
    """Give the texts of the files that nodes name under ``key``."""
    configs = [node.get("config") or {} for node in document["nodes"]]
    found = {find_path(config[key], texts) for config in configs if config.get(key)}
    return {path: texts[path] for path in found if path is not None}

"""Collects what flows are made of: the apps' folders, flow files, shared scripts and templates.

In: a bundle's files and its manifest. Out: flow sources per app. Refuses apps whose folder is
missing, apps in packs, and shared scripts that are no functions.
"""

import hashlib
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Final

from actors.nodes.resources import FlowResources
from app.bundle.document import Document, excerpt_of
from app.bundle.files import BundleFiles
from app.bundle.flows import FlowSource
from app.bundle.models import AppEntry, Manifest
from app.bundle.problems import Problem
from app.bundle.yaml import read_yaml
from grammar import (
    FlowCheckError,
    FunctionLibrary,
    GrammarError,
    SourceText,
    Span,
    compile_functions,
)

FLOW_SUFFIX: Final = ".ygtc"
TEMPLATES_FOLDER: Final = "templates"
ROOT_APP: Final = None
"""Flows in ``flows/`` at the root belong to every tenant."""


@dataclass(frozen=True, slots=True)
class Collected:
    """Flow sources by app; those of the root stand under None."""

    sources: Mapping[str | None, tuple[FlowSource, ...]] = field(default_factory=dict)
    root_templates: Mapping[str, str] = field(default_factory=dict)
    """The root's template files by their name below ``templates/``."""
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class _Texts:
    """Texts by their path in the bundle."""

    scripts: dict[str, str]
    templates: dict[str, str]


def collect_flows(files: BundleFiles, manifest: Manifest, document: Document) -> Collected:
    """Read all flow files of a bundle, each with the resources it may use."""
    problems: list[Problem] = []
    folders = _app_folders(files, manifest, document, problems)
    prefixes: dict[str | None, str] = {ROOT_APP: ""}
    prefixes |= {name: f"{folder}/" for name, folder in folders.items()}
    documents = {app: _documents(files, prefix) for app, prefix in prefixes.items()}
    programs = {
        file
        for app, found in documents.items()
        for flow in found
        for file in _programs_of(flow, prefixes[app])
    }
    shared = _read_texts(files, "")
    sources: dict[str | None, tuple[FlowSource, ...]] = {}
    for app, prefix in prefixes.items():
        own = _Texts({}, {}) if app is ROOT_APP else _read_texts(files, prefix)
        resources, found = _resources(shared, own, prefix, programs)
        # The root's scripts are part of every app's library and are reported once.
        problems += [item for item in found if app is ROOT_APP or item.file in own.scripts]
        sources[app] = tuple(FlowSource(flow, resources, app) for flow in documents[app])
    templates = _shortened(shared.templates, f"{TEMPLATES_FOLDER}/")
    return Collected(sources, templates, tuple(problems))


def folder_of(app: str, entry: AppEntry) -> str:
    """Give the folder of an app that the manifest lists."""
    return (entry.path or f"apps/{app}").strip("/")


def collect_loose(files: BundleFiles, names: list[str]) -> tuple[list[FlowSource], list[Problem]]:
    """Read flow files that belong to no bundle, with the scripts and templates beside them."""
    documents = [read_document(files, name) for name in names]
    programs = {file for flow in documents for file in _programs_of(flow, "")}
    texts = _read_texts(files, "")
    resources, problems = _resources(texts, _Texts({}, {}), "", programs)
    return [FlowSource(flow, resources) for flow in documents], problems


def read_document(files: BundleFiles, file: str) -> Document:
    """Read one flow file; one that cannot be read carries the reason as its problem."""
    text = files.read_text(file)
    if text is None:
        return Document(file, "", problems=(files.problems.pop(),))
    return read_yaml(text, file)


def _documents(files: BundleFiles, prefix: str) -> list[Document]:
    found = files.list_files(f"{prefix}flows", FLOW_SUFFIX)
    return [read_document(files, file) for file in found]


def _programs_of(document: Document, prefix: str) -> Iterator[str]:
    """Name the scripts that a flow runs as programs of their own: those are no shared functions."""
    nodes = document.data.get("nodes") if isinstance(document.data, dict) else None
    for node in nodes if isinstance(nodes, list) else ():
        config = node.get("config") if isinstance(node, dict) else None
        file = config.get("script_file") if isinstance(config, dict) else None
        if isinstance(file, str):
            yield file.removeprefix("./")
            yield prefix + file.removeprefix("./")


def _app_folders(
    files: BundleFiles, manifest: Manifest, document: Document, problems: list[Problem]
) -> dict[str, str]:
    if manifest.apps is None:
        return {name: f"apps/{name}" for name in files.list_folders("apps")}
    folders: dict[str, str] = {}
    for name, entry in manifest.apps.items():
        folder = folder_of(name, entry)
        problem = _app_problem(files, document, name, entry, folder)
        if problem is None:
            folders[name] = folder
        else:
            problems.append(problem)
    problems += _unlisted(files, folders, document)
    return folders


def _unlisted(files: BundleFiles, folders: Mapping[str, str], document: Document) -> list[Problem]:
    """Warn of a folder that looks like an app and is none: its flows would silently not run."""
    known = set(folders.values())
    left = [name for name in files.list_folders("apps") if f"apps/{name}" not in known]
    if not left:
        return []
    message = f"apps/ has folders that 'apps' does not list: {', '.join(left)}"
    return [document.problem(("apps",), "bundle.app_unlisted", message, severity="warning")]


def _app_problem(
    files: BundleFiles, document: Document, name: str, entry: AppEntry, folder: str
) -> Problem | None:
    if entry.pack is not None:
        message = f"app {name!r} comes from a pack, which this version cannot read"
        hint = "unpack it into a folder and name that with 'path'"
        return document.problem(
            ("apps", name, "pack"), "bundle.unsupported", message, hint=hint, of="key"
        )
    if not files.has_folder(folder):
        return document.problem(
            ("apps", name), "bundle.app_missing", f"app {name!r} has no folder {folder}", of="key"
        )
    return None


def _read_texts(files: BundleFiles, prefix: str) -> _Texts:
    return _Texts(
        _read_all(files, f"{prefix}scripts", ".rhai"),
        _read_all(files, f"{prefix}{TEMPLATES_FOLDER}", ".hbs"),
    )


def _read_all(files: BundleFiles, folder: str, suffix: str) -> dict[str, str]:
    texts = {file: files.read_text(file) for file in files.list_files(folder, suffix)}
    return {file: text for file, text in texts.items() if text is not None}


def _resources(
    shared: _Texts, own: _Texts, prefix: str, programs: AbstractSet[str]
) -> tuple[FlowResources, list[Problem]]:
    """Merge texts by their path in the bundle and, first, by their path in the app."""
    scripts = shared.scripts | own.scripts
    templates = shared.templates | own.templates
    functions = {file: text for file, text in scripts.items() if file not in programs}
    library, problems = _compile_library(functions)
    digest = hashlib.sha256()
    for file, text in sorted(functions.items()):
        digest.update(f"{len(file)}:{file}{len(text)}:{text}".encode())
    resources = FlowResources(
        library=library,
        scripts=scripts | _shortened(own.scripts, prefix),
        templates=templates | _shortened(own.templates, prefix),
        library_digest=digest.hexdigest(),
    )
    return resources, problems


def _shortened(texts: Mapping[str, str], prefix: str) -> dict[str, str]:
    return {file.removeprefix(prefix): text for file, text in texts.items()}


def _compile_library(
    scripts: Mapping[str, str],
) -> tuple[FunctionLibrary | None, list[Problem]]:
    """Compile shared scripts afresh: merging ties a library's parts together for good.

    The app's own come last, so that what is defined twice is reported in the app's file.
    """
    problems: list[Problem] = []
    libraries: list[FunctionLibrary] = []
    for file, text in scripts.items():
        try:
            libraries.append(compile_functions(text, name=file))
        except GrammarError as error:
            problems += _script_problems(SourceText(file, text), error)
    if not libraries:
        return None, problems
    try:
        return libraries[0].merge(*libraries[1:]), problems
    except GrammarError as error:  # two files define the same function
        last = list(scripts)[-1]
        source = error.source or SourceText(last, scripts[last])
        return None, problems + _script_problems(source, error)


def _script_problems(source: SourceText, error: GrammarError) -> list[Problem]:
    if not isinstance(error, FlowCheckError):
        return [_script_problem(source, error.span, error.kind, error.message, error.hint)]
    return [
        _script_problem(source, item.span, item.kind, item.message, item.hint)
        for item in error.diagnostics
    ]


def _script_problem(
    source: SourceText, span: Span | None, kind: str, message: str, hint: str | None
) -> Problem:
    line, column = (1, 1) if span is None else (span.line, span.column)
    excerpt = excerpt_of(source.text, line, column)
    return Problem("error", f"script.{kind}", message, source.name, line, column, hint, excerpt)

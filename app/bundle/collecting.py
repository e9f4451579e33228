"""Collects what flows are made of: the apps' folders, flow files, shared scripts and templates.

In: a bundle's files and its manifest. Out: flow sources per app. Refuses apps whose folder is
missing, apps in packs, and shared scripts that are no functions.
"""

import hashlib
from collections.abc import Mapping
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
ROOT_APP: Final = None
"""Flows in ``flows/`` at the root belong to every tenant."""


@dataclass(frozen=True, slots=True)
class Collected:
    """Flow sources by app; those of the root stand under None."""

    sources: Mapping[str | None, tuple[FlowSource, ...]] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class _Texts:
    """Texts by their path in the bundle."""

    scripts: dict[str, str]
    templates: dict[str, str]


def collect_flows(files: BundleFiles, manifest: Manifest, document: Document) -> Collected:
    """Read all flow files of a bundle, each with the resources it may use."""
    problems: list[Problem] = []
    shared = _read_texts(files, "")
    library, found = _compile_library(shared.scripts)
    problems += found
    sources: dict[str | None, tuple[FlowSource, ...]] = {
        ROOT_APP: _sources(files, "", _resources(library, shared, None, ""), ROOT_APP)
    }
    for name, folder in _app_folders(files, manifest, document, problems).items():
        own = _read_texts(files, f"{folder}/")
        # The root's scripts were reported above; an app's problems are those of its own files.
        merged, found = _compile_library({**shared.scripts, **own.scripts})
        problems += [problem for problem in found if problem.file in own.scripts]
        resources = _resources(merged, shared, own, f"{folder}/")
        sources[name] = _sources(files, f"{folder}/", resources, name)
    return Collected(sources, tuple(problems))


def loose_resources(files: BundleFiles, folder: str) -> tuple[FlowResources, list[Problem]]:
    """Give the resources of flow files that belong to no bundle: those beside them."""
    texts = _read_texts(files, folder)
    library, problems = _compile_library(texts.scripts)
    return _resources(library, texts, None, folder), problems


def read_flow_source(
    files: BundleFiles, file: str, resources: FlowResources, app: str | None
) -> FlowSource:
    """Read one flow file; one that cannot be read carries the reason as its problem."""
    text = files.read_text(file)
    if text is None:
        return FlowSource(Document(file, "", problems=(files.problems.pop(),)), resources, app)
    return FlowSource(read_yaml(text, file), resources, app)


def _sources(
    files: BundleFiles, prefix: str, resources: FlowResources, app: str | None
) -> tuple[FlowSource, ...]:
    found = files.list_files(f"{prefix}flows", FLOW_SUFFIX)
    return tuple(read_flow_source(files, file, resources, app) for file in found)


def _app_folders(
    files: BundleFiles, manifest: Manifest, document: Document, problems: list[Problem]
) -> dict[str, str]:
    if manifest.apps is None:
        return {name: f"apps/{name}" for name in files.list_folders("apps")}
    folders: dict[str, str] = {}
    for name, entry in manifest.apps.items():
        folder = (entry.path or f"apps/{name}").strip("/")
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
        _read_all(files, f"{prefix}templates", ".hbs"),
    )


def _read_all(files: BundleFiles, folder: str, suffix: str) -> dict[str, str]:
    texts = {file: files.read_text(file) for file in files.list_files(folder, suffix)}
    return {file: text for file, text in texts.items() if text is not None}


def _resources(
    library: FunctionLibrary | None, shared: _Texts, own: _Texts | None, prefix: str
) -> FlowResources:
    """Merge texts by their path in the bundle and, first, by their path in the app."""
    scripts, templates = dict(shared.scripts), dict(shared.templates)
    if own is not None:
        for target, texts in ((scripts, own.scripts), (templates, own.templates)):
            target.update(texts)
            target.update({file.removeprefix(prefix): text for file, text in texts.items()})
    digest = hashlib.sha256()
    for file, text in sorted((shared.scripts | (own.scripts if own else {})).items()):
        digest.update(f"{len(file)}:{file}{len(text)}:{text}".encode())
    return FlowResources(
        library=library,
        scripts=scripts,
        templates=templates,
        library_digest=digest.hexdigest(),
    )


def _compile_library(
    scripts: Mapping[str, str],
) -> tuple[FunctionLibrary | None, list[Problem]]:
    """Compile shared scripts; those with errors are left out and reported."""
    sources = [SourceText(file, text) for file, text in sorted(scripts.items())]
    problems: list[Problem] = []
    good: list[SourceText] = []
    for source in sources:
        try:
            compile_functions([source])
        except GrammarError as error:
            problems += _script_problems(source, error)
        else:
            good.append(source)
    if not good:
        return None, problems
    try:
        return compile_functions(good), problems
    except GrammarError as error:  # two files define the same function
        name = good[-1] if error.source is None else error.source
        return None, problems + _script_problems(name, error)


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

"""What a bundle's manifest asks for, held against what exists and what this version has.

In: the manifest, the files, the answers' names. Out: problems. Nothing a bundle asks for is ignored
in silence: what this version lacks is an error that names it.
"""

import copy
from collections.abc import Container, Sequence
from pathlib import PurePosixPath
from typing import Any, Final

from pydantic import ValidationError

from actors.diagnostics import did_you_mean
from app.bundle.answers import ALWAYS_ON, EVENTS_PREFIX
from app.bundle.collecting import Collected
from app.bundle.document import Document, Path
from app.bundle.files import BundleFiles
from app.bundle.models import Manifest
from app.bundle.problems import Problem
from app.providers.catalog import find_provider, provider_specs

GMAP_SUFFIX: Final = ".gmap"
PACK_SUFFIX: Final = ".gtpack"


def salvage_manifest(data: Any, problems: Sequence[Problem]) -> Manifest:
    """Give a manifest without its wrong parts, only for finding further problems."""
    sound: Any = copy.deepcopy(data) if isinstance(data, dict) else {}
    # Deepest and last first, so that no removal moves what is still to be removed.
    for problem in sorted(problems, key=lambda item: list(map(str, item.path)), reverse=True):
        _remove(sound, problem.path)
    try:
        return Manifest.model_validate({"name": "?", "version": "?", **sound})
    except ValidationError:
        return Manifest(name="?", version="?")


def provider_problems(manifest: Manifest, document: Document) -> list[Problem]:
    """Name listed providers and packs that this version does not have."""
    problems: list[Problem] = []
    skipped: list[str] = []
    for name, entry in manifest.providers.items():
        path = ("providers", name)
        if not name.startswith(EVENTS_PREFIX):
            skipped.append(name)
        elif find_provider(name) is None:
            message = f"there is no provider {name!r}"
            hint = did_you_mean(name, [spec.name for spec in provider_specs()])
            problems.append(
                document.problem(path, "bundle.unsupported", message, hint=hint, of="key")
            )
        elif entry.pack is not None and PurePosixPath(entry.pack).name != f"{name}{PACK_SUFFIX}":
            message = f"this version cannot read the pack {entry.pack}"
            hint = f"leave 'pack' out: {name} is built in"
            problems.append(
                document.problem((*path, "pack"), "bundle.unsupported", message, hint=hint)
            )
    if skipped:
        message = f"skipped, for they are no event providers: {', '.join(skipped)}"
        path = ("providers", skipped[0])
        problems.append(
            document.problem(path, "bundle.skipped", message, severity="warning", of="key")
        )
    return problems


def unanswered_problems(
    manifest: Manifest, answered: Container[str], document: Document
) -> list[Problem]:
    """Warn of a provider that is listed, but has no options and cannot do without."""
    return [
        document.problem(
            ("providers", name),
            "bundle.unanswered",
            f"provider {name!r} has no options yet and stays off",
            hint="greentic-events setup",
            severity="warning",
            of="key",
        )
        for name in manifest.providers
        if find_provider(name) is not None and name not in ALWAYS_ON and name not in answered
    ]


def tenant_problems(manifest: Manifest, document: Document) -> list[Problem]:
    """Name apps that a tenant runs and nobody lists."""
    if manifest.apps is None:
        return []
    return [
        document.problem(
            ("tenants", tenant, "apps", index),
            "bundle.app_unknown",
            f"tenant {tenant!r} runs app {app!r}, which 'apps' does not list",
            hint=did_you_mean(app, manifest.apps),
        )
        for tenant, entry in manifest.tenants.items()
        for index, app in enumerate(entry.apps or ())
        if app not in manifest.apps
    ]


def unsupported_files(files: BundleFiles) -> list[Problem]:
    """Name the files that change what a bundle means and that this version does not read."""
    problems = [
        Problem("error", "bundle.unsupported", "access maps are not in this version", file)
        for file in files.list_files("tenants", GMAP_SUFFIX)
    ]
    for file in files.list_files("providers/events", PACK_SUFFIX):
        if find_provider(PurePosixPath(file).name.removesuffix(PACK_SUFFIX)) is not None:
            message = "the built-in provider is used instead of this pack"
            problems.append(Problem("warning", "bundle.pack_unused", message, file))
        else:
            message = "this version cannot read this pack"
            problems.append(Problem("error", "bundle.unsupported", message, file))
    return problems


def default_flow_problems(
    manifest: Manifest, collected: Collected, document: Document
) -> list[Problem]:
    """Name default flows that their app does not have."""
    problems: list[Problem] = []
    for app, entry in (manifest.apps or {}).items():
        names = [source.name for source in collected.sources.get(app, ()) if source.name]
        if app not in collected.sources or entry.default_flow in (None, *names):
            continue
        path = ("apps", app, "default_flow")
        message = f"app {app!r} has no flow {entry.default_flow!r}"
        hint = did_you_mean(str(entry.default_flow), names)
        problems.append(document.problem(path, "bundle.default_flow", message, hint=hint))
    return problems


def _remove(data: Any, path: Path) -> None:
    """Take out what a path names, if it is there."""
    for key in path[:-1]:
        if isinstance(data, dict):
            data = data.get(key)
        elif isinstance(data, list) and isinstance(key, int) and key < len(data):
            data = data[key]
    if isinstance(data, dict) and path:
        data.pop(path[-1], None)
    elif isinstance(data, list) and path and isinstance(path[-1], int) and path[-1] < len(data):
        del data[path[-1]]

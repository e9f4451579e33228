"""Examines whatever a path names: a flow file, a folder of them, or a bundle.

In: a path. Out: an `Inspection` whose files are relative to what was named. Refuses paths that do
not exist and folders without a single flow.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from actors.flows.compiled import CompiledFlow
from app.bundle.collecting import FLOW_SUFFIX, collect_loose
from app.bundle.document import Document
from app.bundle.files import FolderFiles
from app.bundle.flows import FlowSource, load_flows
from app.bundle.models import DEFAULT_TENANT
from app.bundle.problems import Problem, bundle_error, sorted_problems
from app.bundle.reading import (
    MANIFEST_NAMES,
    Inspection,
    TenantBundle,
    find_bundle_root,
    inspect_bundle,
)
from app.bundle.yaml import read_yaml


def inspect_path(path: Path, *, environment: Mapping[str, str] | None = None) -> Inspection:
    """Examine a bundle, a folder or a single flow; a flow inside a bundle sees its neighbours."""
    if not path.exists():
        problem = Problem("error", "bundle.missing", "there is no such file or folder", str(path))
        return Inspection(None, (problem,))
    if path.is_dir() and any((path / name).is_file() for name in MANIFEST_NAMES):
        return inspect_bundle(path, environment=environment)
    root = find_bundle_root(path.parent if path.is_file() else path)
    if root is not None:
        inside = path.resolve().relative_to(root).as_posix()
        inspection = _within(inspect_bundle(root, environment=environment), inside)
        if inspection.files:
            return inspection
    return _inspect_loose(path)


def compiled_flows(
    path: Path, *, environment: Mapping[str, str] | None = None
) -> Mapping[str, CompiledFlow]:
    """Compile the flows that a path names, by name; those of all tenants for a bundle.

    A flow file inside a bundle sees its neighbours' scripts and templates. Raises BundleError when
    nothing that was named can be compiled.
    """
    inspection = inspect_path(path, environment=environment)
    root = find_bundle_root(path.parent if path.is_file() else path)
    if root is None:
        flows = load_flows(_loose_sources(path)[0]).flows if path.exists() else {}
    else:
        flows = _bundled_flows(root, path, environment)
    if not flows:
        raise bundle_error(inspection.problems)
    return flows


def _bundled_flows(
    root: Path, path: Path, environment: Mapping[str, str] | None
) -> Mapping[str, CompiledFlow]:
    bundle = inspect_bundle(root, environment=environment).bundle
    if bundle is None:
        return {}
    flows: dict[str, CompiledFlow] = {}
    for tenant in bundle.tenants.values():
        flows = {**tenant.flows, **flows}
    if path.is_dir():
        return flows
    documents = [document.data for document in flow_documents(path)]
    names = {data.get("name") for data in documents if isinstance(data, dict)}
    return {name: flow for name, flow in flows.items() if name in names}


def flow_documents(path: Path) -> list[Document]:
    """Read the flow files that a path names, right or wrong, without examining them."""
    folder = path if path.is_dir() else path.parent
    files = FolderFiles(folder)
    names = files.list_files("", FLOW_SUFFIX) if path.is_dir() else [path.name]
    texts = ((name, files.read_text(name)) for name in names)
    documents = [read_yaml(text, name) for name, text in texts if text is not None]
    if files.problems:
        raise bundle_error(files.problems)
    return documents


def _loose_sources(path: Path) -> tuple[list[FlowSource], list[Problem]]:
    """Read flow files that belong to no bundle."""
    folder = path if path.is_dir() else path.parent
    files = FolderFiles(folder)
    names = files.list_files("", FLOW_SUFFIX) if path.is_dir() else [path.name]
    sources, problems = collect_loose(files, names)
    return sources, [*problems, *files.problems]


def _inspect_loose(path: Path) -> Inspection:
    sources, problems = _loose_sources(path)
    if not sources:
        problem = Problem("error", "bundle.no_flows", f"no {FLOW_SUFFIX} file here", str(path))
        return Inspection(None, (*problems, problem))
    loaded = load_flows(sources)
    found = sorted_problems([*problems, *loaded.problems])
    root = (path if path.is_dir() else path.parent).resolve()
    files = tuple(source.file for source in sources)
    tenant = TenantBundle(DEFAULT_TENANT, None, "UTC", None, loaded.flows)
    return Inspection(None, found, files, root, {DEFAULT_TENANT: tenant})


def _within(inspection: Inspection, inside: str) -> Inspection:
    """Keep what concerns one file, or the files of one folder, of a bundle."""

    def concerns(file: str) -> bool:
        return file == inside or file.startswith(f"{inside}/")

    return replace(
        inspection,
        problems=tuple(item for item in inspection.problems if concerns(item.file)),
        files=tuple(file for file in inspection.files if concerns(file)),
    )

"""What `setup` begins with: the bundle's providers and the answers that are there.

In: a bundle's folder, which providers are meant. Out: their specs and the raw answers. Refuses
(BundleError) a manifest or answers that cannot be read, and names of no provider; wrong or missing
options are what `setup` is for, and no reason to refuse.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from actors.diagnostics import did_you_mean
from app.bundle.answers import ALWAYS_ON
from app.bundle.answers_file import read_answers_file
from app.bundle.document import Document
from app.bundle.files import BundleFiles, FolderFiles
from app.bundle.json_document import read_json
from app.bundle.models import Manifest, check_section
from app.bundle.problems import Problem, bundle_error, errors_of
from app.bundle.reading import MANIFEST_NAMES
from app.bundle.yaml import FILE_BYTES_MAX, read_yaml
from app.errors import CommandError
from app.providers.catalog import find_provider, provider_specs
from app.providers.provider import ProviderSpec

_JSON: Final = ".json"


@dataclass(frozen=True, slots=True)
class SetupBundle:
    """A bundle as `setup` sees it."""

    root: Path
    file: str
    """The name of the answers' file, whether or not it is there yet."""
    providers: tuple[ProviderSpec, ...]
    answers: Mapping[str, Any] = field(repr=False)
    """As they are written: nothing expanded, nothing resolved."""


def read_for_setup(
    root: Path, only: Sequence[str], skip: Sequence[str], given: Collection[str] = ()
) -> SetupBundle:
    """Read what `setup` works on; ``only`` and ``skip`` name providers.

    Without ``only`` these are the bundle's own and those that answers are ``given`` for.
    """
    for name in (*only, *skip):
        if find_provider(name) is None:
            known = [spec.name for spec in provider_specs()]
            hint = did_you_mean(name, known) or f"there are {', '.join(known)}"
            raise CommandError(f"there is no provider {name!r}", hint=hint)
    if not root.is_dir():
        raise bundle_error([Problem("error", "bundle.missing", "a bundle is a folder", str(root))])
    files = FolderFiles(root)
    listed = _listed_providers(files)
    document, problems = read_answers_file(files)
    answers = _mapping(document, problems)
    names = set(only) or {*listed, *answers, *given} or set(ALWAYS_ON)
    specs = tuple(s for s in provider_specs() if s.name in names and s.name not in skip)
    return SetupBundle(files.root, document.file, specs, answers)


def read_given_answers(path: Path) -> Mapping[str, Any]:
    """Read a file of answers, JSON or YAML; BundleError with every problem, CommandError."""
    try:
        with path.open("rb") as stream:
            content = stream.read(FILE_BYTES_MAX + 1)
        text = content.decode("utf-8-sig")
    except OSError as error:
        raise CommandError(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise CommandError(f"{path} is no UTF-8 text") from None
    document = read_json(text, str(path)) if path.suffix == _JSON else read_yaml(text, str(path))
    return _mapping(document, list(document.problems))


def _listed_providers(files: BundleFiles) -> frozenset[str]:
    name = next((name for name in MANIFEST_NAMES if files.has_file(name)), None)
    text = None if name is None else files.read_text(name)
    if name is None or text is None:
        message = f"no {MANIFEST_NAMES[0]} here: this is no bundle"
        raise bundle_error([Problem("error", "bundle.no_manifest", message, MANIFEST_NAMES[0])])
    document = read_yaml(text, name)
    if broken := errors_of(document.problems):
        raise bundle_error(broken)
    data = document.data if isinstance(document.data, dict) else {}
    providers = {"name": "setup", "version": "1", "providers": data.get("providers")}
    manifest, problems = check_section(document, (), providers, Manifest)
    if manifest is None:
        raise bundle_error(problems)
    return frozenset(manifest.providers)


def _mapping(document: Document, problems: Sequence[Problem]) -> Mapping[str, Any]:
    if broken := errors_of(problems):
        raise bundle_error(broken)
    data = document.data
    if data is None:
        return {}
    if not isinstance(data, dict):
        problem = document.problem((), "bundle.value", "must map provider names to options")
        raise bundle_error([problem])
    return data

"""What is done to a bundle before it leaves the machine that it stands on.

In: a bundle's files, the caller's environment. Out: files whose answers say the variables' values
and refer to the secrets, and those secrets by their names. Refuses (BundleError) a variable that is
not set and a secret that cannot be stored, with every place and never a value.

What a server is given must be whole and hold no secret: an archive is kept for ever, is read by
every worker and is shown by `diff`. Answers of what is no event provider do not travel at all: no
model tells which of them are secret.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path as FolderPath
from typing import Any, Final

from pydantic import ValidationError

from actors.errors import PermanentError
from app.bundle.answers import EVENTS_PREFIX, VARIABLE_UNSET
from app.bundle.answers_file import ANSWERS_NAMES, read_answers_file
from app.bundle.archive import gather_files
from app.bundle.document import Document, Path
from app.bundle.files import BundleFiles, MemoryFiles
from app.bundle.problems import Problem, bundle_error, errors_of
from app.bundle.references import reference_to, referenced_name, secret_name
from app.bundle.secret_places import places_in_written, secrets_in_checked
from app.bundle.setup_writing import format_answers
from app.bundle.tenant_answers import (
    TENANTS_FOLDER,
    referenced_names,
    tenant_folder,
    tenants_with_answers,
)
from app.bundle.variables import escape_text, expand_variables
from app.providers.catalog import find_provider
from app.providers.provider import ProviderSpec
from app.stores.secrets import check_name, check_value

SECRET_PROBLEM: Final = "bundle.secret"  # noqa: S105 - a code, no secret


@dataclass(frozen=True, slots=True)
class PreparedAnswers:
    """A bundle that may be handed over."""

    files: MemoryFiles
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    """What is to be stored before it is read, by the secret's name."""


def prepare_answers(
    source: FolderPath | BundleFiles,
    environment: Mapping[str, str] | None,
    tenant: str | None = None,
) -> PreparedAnswers:
    """Expand the variables in a bundle's answers and part the secrets from them.

    For one ``tenant`` the answers of the others are left out, and of the secrets those that it does
    not use.

    The secrets of ``answers.json`` are named like their options, ``events-webhook.secret_key``;
    those of ``tenants/acme/answers.json`` with that in front, ``tenants.acme.events-webhook…``. An
    answers file that needs no change stays as it is. Preparing twice is preparing once.
    """
    files = gather_files(source)
    contents = dict(files.contents)
    secrets: dict[str, str] = {}
    problems: list[Problem] = []
    for name in tenants_with_answers(files):
        if tenant is not None and name != tenant:
            contents = _without(contents, tenant_folder(name))
    files = MemoryFiles(contents, files.empty_folders)
    for place in (None, *tenants_with_answers(files)):
        document, found = read_answers_file(files, "" if place is None else tenant_folder(place))
        problems += errors_of(found)
        if errors_of(found) or not isinstance(document.data, dict):
            continue
        preparing = _Preparing(
            document, environment, () if place is None else (TENANTS_FOLDER, place)
        )
        prepared = preparing.prepare(document.data)
        problems += preparing.problems
        secrets |= preparing.secrets
        if prepared != document.data:
            contents[document.file] = _encoded(document, prepared)
    if problems:
        raise bundle_error(problems)
    prepared_files = MemoryFiles(contents, files.empty_folders)
    used = secrets.keys() if tenant is None else referenced_names(prepared_files, tenant)
    return PreparedAnswers(
        prepared_files, {name: value for name, value in secrets.items() if name in used}
    )


def _without(contents: Mapping[str, bytes], folder: str) -> dict[str, bytes]:
    """Leave out the answers in a folder."""
    dropped = {f"{folder}{name}" for name in ANSWERS_NAMES}
    return {name: content for name, content in contents.items() if name not in dropped}


def _encoded(document: Document, answers: Mapping[str, Any]) -> bytes:
    try:
        return format_answers(document.file, answers).encode()
    except UnicodeEncodeError:
        message = "a variable's value is no UTF-8 text"
        raise bundle_error([document.problem((), VARIABLE_UNSET, message)]) from None


class _Preparing:
    """Goes through one file of answers."""

    def __init__(
        self, document: Document, environment: Mapping[str, str] | None, prefix: Path
    ) -> None:
        self._document = document
        self._environment = environment
        self._prefix = prefix
        self.secrets: dict[str, str] = {}
        self.problems: list[Problem] = []

    def prepare(self, answers: Mapping[str, Any]) -> dict[str, Any]:
        """Give the answers as they may be handed over."""
        return {
            name: self._prepared(name, options)
            for name, options in answers.items()
            if name.startswith(EVENTS_PREFIX) or find_provider(name) is not None
        }

    def _prepared(self, name: str, written: Any) -> Any:
        spec = find_provider(name)
        if spec is None and isinstance(written, dict) and written.get("enabled") is False:
            return {"enabled": False}  # nobody can tell which of the rest is secret
        expanded = expand_variables(written, self._environment, self._report_unset, (name,))
        places = frozenset(() if spec is None else _secret_places(spec, expanded))
        return self._parted(expanded, (name,), places)

    def _parted(self, value: Any, path: Path, places: frozenset[Path]) -> Any:
        """Put references where secrets are, and write the rest so that nobody expands it again."""
        if referenced_name(value) is not None:
            return value
        if path in places and value not in (None, ""):
            return self._reference(value, path)
        if isinstance(value, dict):
            return {key: self._parted(item, (*path, key), places) for key, item in value.items()}
        if isinstance(value, list):
            return [self._parted(item, (*path, at), places) for at, item in enumerate(value)]
        return escape_text(value) if isinstance(value, str) else value

    def _reference(self, value: Any, path: Path) -> dict[str, str]:
        name = secret_name((*self._prefix, *path))
        try:
            self.secrets[check_name(name)] = _checked_text(value)
        except PermanentError as error:
            message = f"{secret_name(path)} cannot be stored as a secret: {error}"
            problem = self._document.problem(path, SECRET_PROBLEM, message)
            self.problems.append(replace(problem, excerpt=None))  # it would show the secret
        return reference_to(name)

    def _report_unset(self, path: Path, name: str) -> None:
        message = f"the environment variable {name} is not set"
        hint = f"export {name}=…"
        self.problems.append(self._document.problem(path, VARIABLE_UNSET, message, hint=hint))


def _checked_text(value: Any) -> str:
    if not isinstance(value, str):
        raise PermanentError("a secret must be text", reason="secret.value")
    check_value(value)
    return value


def _secret_places(spec: ProviderSpec, options: Any) -> set[Path]:
    """Find the secrets by what the model declares, and those that it takes from elsewhere."""
    start: Path = (spec.name,)
    places = set(places_in_written(spec.options_model, options, start))
    try:
        checked = spec.options_model.model_validate(options)
    except ValidationError:
        return places  # a reference among them, or wrong: reading tells
    moved = {text for path, text in secrets_in_checked(checked, start) if path not in places}
    return places | set(_places_of(moved, options, start))


def _places_of(texts: set[str], value: Any, path: Path) -> list[Path]:
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list):
        items = list(enumerate(value))
    else:
        return [path] if isinstance(value, str) and value in texts else []
    return [place for key, item in items for place in _places_of(texts, item, (*path, key))]

"""One provider's options, from answers to what is to be written and what is to be stored.

In: the options as they are written, the answers given now, what variables and references stand
for. Out: a `ProviderSetup`: the options for the file, without secrets; the secrets, by name; the
checked model; or every problem, naming the option and never a value.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from actors.diagnostics import did_you_mean
from actors.errors import PermanentError
from app.bundle.answers import Lookups
from app.bundle.document import Path
from app.bundle.references import (
    find_references,
    reference_to,
    referenced_name,
    resolve_references,
    secret_name,
)
from app.bundle.secret_places import secrets_in_checked
from app.bundle.variables import escape_text, expand_variables, variable_name
from app.providers.provider import ProviderSpec
from app.stores.secrets import check_name, check_value

MISSING: Final = "is missing"


@dataclass(frozen=True, slots=True)
class ProviderSetup:
    """What one provider comes to."""

    spec: ProviderSpec
    before: Mapping[str, Any] = field(repr=False)
    """The options that the file has, as they are written."""
    written: Mapping[str, Any] = field(repr=False)
    """The options that it is to have."""
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    """What is to be stored, by the secret's name."""
    options: BaseModel | None = field(default=None, repr=False)
    """The checked options; None with problems, or where stored secrets are not known."""
    problems: tuple[str, ...] = ()
    """One sentence each, beginning with the option's place."""

    @property
    def wrong_options(self) -> frozenset[str]:
        """The options that problems speak of; without any the whole is wrong."""
        prefix = f"{self.spec.name}."
        places = (text.partition(": ")[0].removeprefix(prefix) for text in self.problems)
        return frozenset(place.split(".")[0] for place in places)


def prepare(spec: ProviderSpec, before: Any, given: Any, lookups: Lookups) -> ProviderSetup:
    """Lay the answers given now over the options that are there, check all and part the secrets.

    A null among the answers counts as not given. ``$NAME`` in the answers is expanded and its value
    taken over; in the file it stays. ``lookups.secrets`` None: stored secrets are not known.
    """
    problems: list[str] = []
    old = _options(spec, before, problems)
    new = _options(spec, given, problems)

    def unset(path: Path, name: str) -> None:
        place = ".".join(map(str, (spec.name, *path)))
        problems.append(f"{place}: the environment variable {name} is not set")

    new = expand_variables(new, lookups.environment, unset)
    new = {key: value for key, value in new.items() if value is not None}
    effective = expand_variables(old | dict.fromkeys(new), lookups.environment, unset) | new
    written = old | _escaped(new)
    if not problems:
        return _check(spec, old, written, effective, lookups)
    # What else is wrong is told at once, but for what the unset variables leave wrong behind them.
    unset_options = {text.partition(": ")[0].split(".")[1] for text in problems if "." in text}
    rest = {key: value for key, value in effective.items() if key not in unset_options}
    more = _check(spec, old, written, rest, lookups).problems
    return ProviderSetup(spec, old, written, problems=(*problems, *more))


def masked(value: Any, secrets: Sequence[str], places: frozenset[str] = frozenset()) -> Any:
    """Show options to people: secrets, known by their values or their options' names, as dots."""
    if isinstance(value, dict):
        name = referenced_name(value)
        if name is not None:
            return f"(stored secret {name})"
        return {
            key: "••••" if key in places and isinstance(item, str) and not variable_name(item)
            else masked(item, secrets, places)
            for key, item in value.items()
        }  # fmt: skip
    if isinstance(value, list):
        return [masked(item, secrets, places) for item in value]
    return "••••" if isinstance(value, str) and value in secrets else value


def _check(
    spec: ProviderSpec,
    old: Mapping[str, Any],
    written: Mapping[str, Any],
    effective: Mapping[str, Any],
    lookups: Lookups,
) -> ProviderSetup:
    problems: list[str] = []

    def unknown(path: Path, name: str) -> None:
        place = ".".join(map(str, (spec.name, *path)))
        problems.append(f"{place}: there is no stored secret {name!r}; give the option anew")

    if effective.get("enabled", True) is False:
        # What a provider that is off would need is nobody's business yet.
        return ProviderSetup(spec, old, written)
    if lookups.secrets is None and find_references(effective):
        return ProviderSetup(spec, old, written)
    resolved = resolve_references(effective, lookups.secrets or {}, unknown)
    if problems:
        return ProviderSetup(spec, old, written, problems=tuple(problems))
    try:
        options = spec.options_model.model_validate(resolved)
    except ValidationError as error:
        found = tuple(_problem(spec, detail) for detail in error.errors(include_url=False))
        return ProviderSetup(spec, old, written, problems=found)
    parted, secrets = _part(spec, written, options, problems)
    return ProviderSetup(spec, old, parted, secrets, options, tuple(problems))


def _part(
    spec: ProviderSpec, written: Mapping[str, Any], options: BaseModel, problems: list[str]
) -> tuple[dict[str, Any], dict[str, str]]:
    """Put references where secrets are; ``$NAME`` of the file is none, and stays."""
    found = dict(secrets_in_checked(options, (spec.name,)))
    values = set(found.values())  # by value too: a model may have moved a secret elsewhere
    stored: dict[str, str] = {}

    def parted(item: Any, path: Path) -> Any:
        if referenced_name(item) is not None or variable_name(item) is not None:
            return item
        if isinstance(item, dict):
            return {key: parted(value, (*path, key)) for key, value in item.items()}
        if isinstance(item, list):
            return [parted(value, (*path, index)) for index, value in enumerate(item)]
        if not isinstance(item, str) or (path not in found and _plain(item) not in values):
            return item
        name, text = secret_name(path), _plain(item)
        try:
            check_value(text)
            stored[check_name(name)] = text
        except PermanentError as error:
            problems.append(f"{name}: cannot be stored: {error}")
        return reference_to(name)

    return parted(dict(written), (spec.name,)), stored


def _options(spec: ProviderSpec, value: Any, problems: list[str]) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        problems.append(f"{spec.name}: must be a map of options")
        return {}
    return value


def _escaped(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _escaped(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_escaped(item) for item in value]
    return escape_text(value) if isinstance(value, str) else value


def _plain(text: str) -> str:
    return text[1:] if text.startswith("$$") else text


def _problem(spec: ProviderSpec, detail: Any) -> str:
    place = ".".join([spec.name, *map(str, detail["loc"])])
    if detail["type"] == "missing":
        return f"{place}: {MISSING}"
    if detail["type"] == "extra_forbidden":
        hint = did_you_mean(str(detail["loc"][-1]), spec.options_model.model_fields)
        return f"{place}: is no option of this provider{f'; {hint}' if hint else ''}"
    return f"{place}: {detail['msg'].removeprefix('Value error, ')}"

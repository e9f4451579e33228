"""``answers.json`` or ``answers.yaml``: which providers are on, and with which options (SPEC 6).

In: a document and the caller's environment. Out: checked options per provider. Refuses providers
and options that there are not, and ``$NAME`` where nobody may expand it. ``$$`` at the start
of a value stands for one ``$``. References to stored secrets are resolved where they can be.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import BaseModel

from actors.diagnostics import did_you_mean
from app.bundle.document import Document, Path
from app.bundle.models import ProviderEntry, check_section
from app.bundle.problems import Problem
from app.bundle.references import SecretValue, resolve_references
from app.bundle.variables import expand_variables
from app.providers.catalog import provider_specs
from app.providers.provider import ProviderSpec

WEBHOOK: Final = "events-webhook"
TIMER: Final = "events-timer"
ALWAYS_ON: Final = (WEBHOOK, TIMER)
"""On in a bundle that names no provider at all: they need no options."""
EVENTS_PREFIX: Final = "events-"
VARIABLE_UNSET: Final = "bundle.variable_unset"
SECRET_MISSING: Final = "bundle.secret_missing"  # noqa: S105 - a code, no secret

_OTHER_KINDS: Final = ("messaging-", "component-", "secrets-", "oauth-", "state-", "telemetry-")


@dataclass(frozen=True, slots=True)
class Answers:
    """The options of every provider that is on, by its name, and what is wrong with the rest."""

    options: Mapping[str, BaseModel] = field(default_factory=dict, repr=False)
    problems: tuple[Problem, ...] = ()
    unchecked: frozenset[str] = frozenset()
    """Providers that are on, whose options refer to secrets that this process cannot look up."""


@dataclass(frozen=True, slots=True)
class Lookups:
    """What stands behind the names that answers may say instead of values."""

    environment: Mapping[str, str] | None = field(default=None, repr=False)
    """For ``$NAME``; None: this process may not expand them, so each is an error."""
    secrets: Mapping[str, SecretValue] | None = field(default=None, repr=False)
    """For references to secrets; None: there is no store here, so they stay unknown."""
    stand_ins: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, repr=False)
    """Options that stand in for what the answers leave out, by provider: accounts of emulators."""


def read_answers(
    document: Document, listed: Mapping[str, ProviderEntry], lookups: Lookups
) -> Answers:
    """Check the answers of a bundle whose manifest lists the providers ``listed``."""
    data = document.data
    if data is None:
        data = {}
    if not isinstance(data, dict):
        problem = document.problem((), "bundle.value", "must map provider names to options")
        return Answers(problems=(problem,))
    problems: list[Problem] = []
    expanded = _expand(document, data, lookups.environment, problems)
    problems = [item for item in problems if item.path[0] not in lookups.stand_ins]
    unset = [problem.path for problem in problems]
    expanded, unknown = _resolve(document, expanded, lookups.secrets, problems)
    unset += unknown
    expanded = _complete(expanded, lookups.stand_ins)
    options: dict[str, BaseModel] = {}
    for spec in provider_specs():
        if not _is_wanted(spec.name, expanded, listed):
            continue
        checked, found = _check_options(document, spec, expanded.get(spec.name, {}))
        # What an unset variable leaves wrong behind it is one mistake, not two.
        problems += [item for item in found if not _concerns(item.path, unset)]
        if checked is not None and not any(path[0] == spec.name for path in unset):
            options[spec.name] = checked
    problems += _check_others(document, expanded)
    unchecked = frozenset() if lookups.secrets is not None else {str(path[0]) for path in unknown}
    return Answers(options, tuple(problems), frozenset(unchecked) & _switched_on(expanded))


def _resolve(
    document: Document,
    answers: Mapping[str, Any],
    secrets: Mapping[str, SecretValue] | None,
    problems: list[Problem],
) -> tuple[dict[str, Any], list[Path]]:
    """Put stored secrets in; give the places, too, of those that could not be found."""
    unknown: list[Path] = []

    def report(path: Path, name: str) -> None:
        unknown.append(path)
        if secrets is not None:
            message = f"there is no stored secret {name!r} in this env"
            hint = "greentic-events setup stores it"
            problems.append(document.problem(path, SECRET_MISSING, message, hint=hint))

    return resolve_references(dict(answers), secrets or {}, report), unknown


def _complete(
    answers: Mapping[str, Any], stand_ins: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """Lay the answers over what stands in for them; answers that are no map stay wrong.

    A variable that is not set has left its option out.
    """
    completed = dict(answers)
    for name, options in stand_ins.items():
        given = answers.get(name, {})
        if isinstance(given, dict):
            known = {key: value for key, value in given.items() if value is not None}
            completed[name] = {**options, **known}
    return completed


def _switched_on(answers: Mapping[str, Any]) -> frozenset[str]:
    return frozenset(
        name
        for name, options in answers.items()
        if isinstance(options, dict) and options.get("enabled", True) is not False
    )


def _concerns(path: Path, places: Sequence[Path]) -> bool:
    """Tell whether a path is one of the places, or holds one."""
    return any(place[: len(path)] == path for place in places)


def _is_wanted(name: str, answers: Mapping[str, Any], listed: Mapping[str, ProviderEntry]) -> bool:
    """Tell whether a provider's options are to be looked at.

    One that is listed and not answered is so only if it can do without options: the reader warns
    of the others (`app.bundle.checks`).
    """
    if name in answers:
        return True
    return name in ALWAYS_ON and (not listed or name in listed)


def _check_options(
    document: Document, spec: ProviderSpec, options: Any
) -> tuple[BaseModel | None, list[Problem]]:
    """Give a provider's options if it is on, or what is wrong with them."""
    if isinstance(options, dict) and options.get("enabled", True) is False:
        return None, []
    checked, problems = check_section(document, (spec.name,), options, spec.options_model)
    if checked is None or not getattr(checked, "enabled", True):
        return None, problems
    return checked, problems


def _check_others(document: Document, answers: Mapping[str, Any]) -> list[Problem]:
    """Name what is asked of providers that there are not."""
    known = [spec.name for spec in provider_specs()]
    problems: list[Problem] = []
    skipped: list[str] = []
    for name, options in answers.items():
        is_on = not isinstance(options, dict) or options.get("enabled", True) is not False
        if name in known or not is_on:
            continue
        if name.startswith(_OTHER_KINDS):
            skipped.append(name)
            continue
        message = f"there is no provider {name!r}; there are {', '.join(known)}"
        hint = did_you_mean(name, known) or "set 'enabled' to false to go on without it"
        problems.append(
            document.problem((name,), "bundle.unsupported", message, hint=hint, of="key")
        )
    if skipped:
        problems.append(_skipped(document, skipped))
    return problems


def _skipped(document: Document, names: list[str]) -> Problem:
    """Report once what is of a kind that events have no use for (SPEC 12.9)."""
    message = f"skipped, for they are no event providers: {', '.join(names)}"
    return document.problem((names[0],), "bundle.skipped", message, severity="warning", of="key")


def _expand(
    document: Document,
    answers: Mapping[str, Any],
    environment: Mapping[str, str] | None,
    problems: list[Problem],
) -> dict[str, Any]:
    def report(path: Path, name: str) -> None:
        may_expand = environment is not None
        problems.append(_unexpanded(document, path, name, may_expand=may_expand))

    expanded: dict[str, Any] = expand_variables(dict(answers), environment, report)
    return expanded


def _unexpanded(document: Document, path: Path, name: str, *, may_expand: bool) -> Problem:
    if may_expand:
        message = f"the environment variable {name} is not set"
        return document.problem(path, VARIABLE_UNSET, message, hint=f"export {name}=…")
    message = f"${name} must be expanded on the machine of whoever hands the bundle over"
    return document.problem(path, "bundle.unexpanded", message)

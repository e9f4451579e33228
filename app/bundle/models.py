"""What ``greentic.demo.yaml`` may say (SPEC 3).

In: documents. Out: frozen models, or every problem with its position. Refuses unknown keys, wrong
types and names that cannot be tokens of a subject. The texts never repeat a value: it may be a
secret.
"""

from typing import Annotated, Any, Final, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from actors.diagnostics import did_you_mean
from actors.errors import InvalidSubjectError
from actors.subjects import check_token
from app.bundle.document import Document, Path
from app.bundle.problems import Problem
from app.providers.timer.options import Timezone

TENANTS_MAX: Final = 1000
APPS_MAX: Final = 200
DEFAULT_TENANT: Final = "demo"

Model = TypeVar("Model", bound=BaseModel)


def _token(name: str) -> str:
    try:
        return check_token(name, "the name")
    except InvalidSubjectError as error:
        raise ValueError(str(error)) from None


def _inside(path: str) -> str:
    if path.startswith("/") or "\\" in path or ".." in path.split("/") or "\0" in path:
        raise ValueError("must stay inside the bundle: no '..', no leading '/', no backslash")
    return path


def _empty_if_null(value: Any) -> Any:
    """Read ``demo:`` with nothing behind it as an empty section."""
    return {} if value is None else value


Token = Annotated[str, AfterValidator(_token)]
InsidePath = Annotated[str, AfterValidator(_inside)]
Text = Annotated[str, Field(min_length=1, max_length=200)]
_OrEmpty = BeforeValidator(_empty_if_null)


class Section(BaseModel):
    """A part of a bundle's files: immutable, exact types, no unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)


class ProviderEntry(Section):
    """A provider in use, and the pack it comes from."""

    pack: InsidePath | None = None


class AppEntry(Section):
    """An application: a folder of flows, scripts and templates."""

    path: InsidePath | None = None
    """Its folder; ``apps/<name>`` unless given."""
    pack: InsidePath | None = None
    default_flow: Text | None = None
    config: Annotated[dict[str, Any], _OrEmpty] = Field(default_factory=dict)


class TenantSettings(Section):
    """How a tenant reads times and texts."""

    timezone: Timezone | None = None
    language: Text | None = None


class TeamEntry(Section):
    """A team of a tenant; events name it in their payload's ``team_id``."""

    name: Text | None = None


class TenantEntry(Section):
    """A tenant, and which apps it runs: all of them unless ``apps`` lists some."""

    name: Text | None = None
    plan: Token | None = None
    """What it may use: a plan of the operator's `greentic.toml`; the plan `default` unless given.
    """
    settings: Annotated[TenantSettings, _OrEmpty] = TenantSettings()
    apps: list[Token] | None = None
    teams: Annotated[dict[Token, Annotated[TeamEntry, _OrEmpty]], _OrEmpty] = Field(
        default_factory=dict
    )


class Manifest(Section):
    """``greentic.demo.yaml``, or ``greentic.yaml``."""

    name: Text
    version: Text
    description: str | None = None
    providers: Annotated[dict[Text, Annotated[ProviderEntry, _OrEmpty]], _OrEmpty] = Field(
        default_factory=dict
    )
    apps: Annotated[
        dict[Token, Annotated[AppEntry, _OrEmpty]] | None, Field(max_length=APPS_MAX)
    ] = None
    """None: every folder in ``apps/`` is one."""
    tenants: Annotated[
        dict[Token, Annotated[TenantEntry, _OrEmpty]], _OrEmpty, Field(max_length=TENANTS_MAX)
    ] = Field(default_factory=dict)


def check_section(
    document: Document, path: Path, data: Any, model: type[Model]
) -> tuple[Model | None, list[Problem]]:
    """Read one part of a document by a model. Gives the model, or all that is wrong with it."""
    try:
        return model.model_validate(data), []
    except ValidationError as error:
        problems = [
            _problem(document, path, item["type"], tuple(item["loc"]), item["msg"], model)
            for item in error.errors(include_url=False, include_input=False)
        ]
        return None, problems


def _problem(
    document: Document, path: Path, kind: str, place: Path, text: str, model: type[BaseModel]
) -> Problem:
    is_key_error = bool(place) and place[-1] == "[key]"
    full = (*path, *(place[:-1] if is_key_error else place))
    name = str(full[-1]) if full else "the document"
    if kind == "extra_forbidden":
        hint = did_you_mean(name, model.model_fields) if len(place) == 1 else None
        message = f"{name!r} is no key that belongs here"
        return document.problem(full, "bundle.unknown_key", message, hint=hint, of="key")
    if kind == "missing":
        message = f"{name!r} is missing"
        return document.problem(full, "bundle.missing_key", message)
    message = f"{name!r}: {_wording(kind, text)}"
    hint = _quoting_hint(kind, document.raw_of(full))
    return document.problem(
        full, "bundle.value", message, hint=hint, of="key" if is_key_error else "auto"
    )


def _wording(kind: str, text: str) -> str:
    words = {
        "string_type": "must be text",
        "bool_type": "must be true or false",
        "dict_type": "must be a map of keys and values",
        "model_type": "must be a map of keys and values",
        "list_type": "must be a list",
        "int_type": "must be a whole number",
    }
    return words.get(kind, text.removeprefix("Value error, "))


def _quoting_hint(kind: str, raw: str | None) -> str | None:
    return f'quote it: "{raw}"' if kind == "string_type" and raw else None

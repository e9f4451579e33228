"""The providers there are: ours, and those that installed packages bring.

In: a name, the raw options of ``answers.json``. Out: a spec; a provider, or SettingsError with
every problem of its options. Adding a provider of ours is one folder and one line here; adding one
from outside is a package with an entry point in the group ``greentic.providers`` (SPEC 6) that
gives a `ProviderSpec`.
"""

from collections.abc import Mapping
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final

from pydantic import ValidationError

from app.errors import SettingsError
from app.providers.email_sendgrid.spec import SENDGRID
from app.providers.email_smtp.spec import SMTP
from app.providers.provider import Provider, ProviderContext, ProviderSpec
from app.providers.sms_twilio.spec import TWILIO
from app.providers.timer.spec import TIMER
from app.providers.webhook.spec import WEBHOOK

BUILT_IN: Final[tuple[ProviderSpec, ...]] = (
    WEBHOOK,
    TIMER,
    SENDGRID,
    SMTP,
    TWILIO,
)
ENTRY_POINT_GROUP: Final = "greentic.providers"


@lru_cache(maxsize=1)
def provider_specs() -> tuple[ProviderSpec, ...]:
    """Give all providers, ours first; SettingsError for a package that cannot be used.

    Packages are looked for once in a process.
    """
    specs = {spec.name: spec for spec in BUILT_IN}
    for entry in sorted(entry_points(group=ENTRY_POINT_GROUP), key=lambda entry: entry.name):
        spec = _load(entry)
        if spec.name in specs:
            raise SettingsError([f"{_origin(entry)} brings {spec.name}, which is there already"])
        specs[spec.name] = spec
    return tuple(specs.values())


def find_provider(name: str) -> ProviderSpec | None:
    """Give the spec of that name, or None where there is no such provider."""
    return next((spec for spec in provider_specs() if spec.name == name), None)


def build_provider(name: str, options: Mapping[str, Any], context: ProviderContext) -> Provider:
    """Check a provider's options and build it; SettingsError lists all that is wrong with them.

    The texts name the option and the rule and never repeat a value: it may be a secret.
    """
    spec = find_provider(name)
    if spec is None:
        known = ", ".join(known.name for known in provider_specs())
        raise SettingsError([f"there is no provider {name!r}; there are {known}"])
    try:
        checked = spec.options_model.model_validate(dict(options))
    except ValidationError as error:
        raise SettingsError([_problem(name, detail) for detail in error.errors()]) from None
    return spec.build(checked, context)


def _load(entry: EntryPoint) -> ProviderSpec:
    try:
        spec = entry.load()
    except Exception as error:
        text = f"{_origin(entry)} cannot be loaded: {type(error).__name__}: {error}"
        raise SettingsError([text]) from error
    if not isinstance(spec, ProviderSpec):
        raise SettingsError([f"{_origin(entry)} is no app.providers.provider.ProviderSpec"])
    return spec


def _origin(entry: EntryPoint) -> str:
    package = "" if entry.dist is None else f" of package {entry.dist.name}"
    return f"provider {entry.name!r}{package} ({entry.value})"


def _problem(name: str, detail: Mapping[str, Any]) -> str:
    place = ".".join([name, *map(str, detail["loc"])])
    if detail["type"] == "extra_forbidden":
        return f"{place}: is no option of this provider"
    return f"{place}: {detail['msg'].removeprefix('Value error, ')}"

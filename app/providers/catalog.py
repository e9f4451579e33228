"""The providers this version has, and how one is built from a bundle's options.

In: a name, the raw options of ``answers.json``, the env. Out: a provider, or SettingsError with
every problem of its options. Adding a provider is one folder and one line here.
"""

from collections.abc import Mapping
from typing import Any, Final

from pydantic import ValidationError

from app.errors import SettingsError
from app.providers.provider import InboundProvider, ProviderSpec
from app.providers.webhook.spec import WEBHOOK

PROVIDERS: Final[tuple[ProviderSpec, ...]] = (WEBHOOK,)


def find_provider(name: str) -> ProviderSpec | None:
    """Give the spec of that name, or None where this version has no such provider."""
    return next((spec for spec in PROVIDERS if spec.name == name), None)


def build_provider(name: str, options: Mapping[str, Any], *, env: str) -> InboundProvider:
    """Check a provider's options and build it; SettingsError lists all that is wrong with them.

    The texts name the option and the rule and never repeat a value: it may be a secret.
    """
    spec = find_provider(name)
    if spec is None:
        known = ", ".join(known.name for known in PROVIDERS)
        raise SettingsError([f"provider {name!r} is not in this version; it has {known}"])
    try:
        checked = spec.options_model.model_validate(dict(options))
    except ValidationError as error:
        raise SettingsError([_problem(name, detail) for detail in error.errors()]) from None
    return spec.build(checked, env)


def _problem(name: str, detail: Mapping[str, Any]) -> str:
    place = ".".join([name, *map(str, detail["loc"])])
    if detail["type"] == "extra_forbidden":
        return f"{place}: is no option of this provider"
    return f"{place}: {detail['msg'].removeprefix('Value error, ')}"

"""Tenants' secrets in environment variables: those that the operator lists, and no others.

In: the checked `[secrets]` section, the process's environment. Out: values of listed secrets.
Refuses nothing at run time: a name that is not listed, or whose variable is not set, is a miss; the
variable's name is looked up in a table made at the start and never built from what a flow asks for.
"""

from collections.abc import Mapping
from typing import Self

from actors.subjects import check_token
from app.settings.secrets import SecretsSection, variable_of
from app.stores.secrets import check_name, check_value


class EnvironmentSecrets:
    """The listed variables, read once: a process's environment does not change."""

    def __init__(self, values: Mapping[tuple[str, str], str]) -> None:
        self._values = dict(values)

    @classmethod
    def build(cls, section: SecretsSection, environment: Mapping[str, str]) -> Self:
        """Take the listed variables out of the environment; empty ones count as unset."""
        values: dict[tuple[str, str], str] = {}
        for tenant, names in section.environment_names.items():
            for name in names:
                value = environment.get(variable_of(section.environment_prefix, tenant, name))
                if value:
                    values[tenant, name] = value
        return cls(values)

    def __repr__(self) -> str:
        """Say how many there are, and nothing of them."""
        return f"EnvironmentSecrets({len(self._values)} variables)"

    async def get(self, tenant: str, name: str) -> str | None:
        """Give the variable's value, or None. PermanentError (``secret.value``): it is no text."""
        value = self._values.get((check_token(tenant, "tenant"), check_name(name)))
        if value is not None:
            check_value(value)
        return value

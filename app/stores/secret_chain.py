"""All sources of tenants' secrets as one: the first that has a secret gives it.

In: a tenant and a name. Out: the value of the first source that has it, in a fixed order: the
tenant's own store, mounted files, environment variables. Refuses what no source would know: a
tenant that is no token, a name that is none.

A source that fails ends the search: what lies behind it may be another value, and a flow must not
use one or the other as the weather is. Which source served is observed; values never are.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from actors.observations import SecretRead
from actors.ports import Observer, Secrets
from actors.subjects import check_token
from app.settings.secrets import SecretsSection
from app.stores.secret_environment import EnvironmentSecrets
from app.stores.secret_files import FileSecrets
from app.stores.secrets import check_name

STORE: Final = "store"
FILES: Final = "file"
ENVIRONMENT: Final = "environment"
NOWHERE: Final = "none"


@dataclass(frozen=True, slots=True)
class NamedSource:
    """A source, and what observations call it."""

    name: str
    secrets: Secrets


class SecretChain:
    """`actors.ports.Secrets` over several sources."""

    def __init__(self, sources: Sequence[NamedSource], observer: Observer) -> None:
        self._sources = tuple(sources)
        self._observer = observer

    @classmethod
    def build(
        cls,
        store: Secrets,
        section: SecretsSection,
        environment: Mapping[str, str],
        observer: Observer,
    ) -> Self:
        """Put the sources that the settings name behind the store."""
        sources = [NamedSource(STORE, store)]
        if section.directory is not None:
            sources.append(NamedSource(FILES, FileSecrets(Path(section.directory))))
        if section.environment_names:
            variables = EnvironmentSecrets.build(section, environment)
            sources.append(NamedSource(ENVIRONMENT, variables))
        return cls(sources, observer)

    async def get(self, tenant: str, name: str) -> str | None:
        """Give the secret, or None where no source has it; see `actors.ports.Secrets`."""
        # Strictly a tenant: the store knows an owner that is none, for the providers' secrets.
        check_token(tenant, "tenant")
        check_name(name)
        for source in self._sources:
            value = await source.secrets.get(tenant, name)
            if value is not None:
                self._observer.observe(SecretRead(tenant, source.name))
                return value
        self._observer.observe(SecretRead(tenant, NOWHERE))
        return None

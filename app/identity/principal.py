"""Whoever has shown a good API key.

In: a key's record. Out: a value to ask `may` of. Refuses nothing; a right that is not there is no.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from app.identity.scopes import PLATFORM_ADMIN, implied


@dataclass(frozen=True, slots=True)
class Principal:
    """One key's owner. Make one with `Principal.of`."""

    prefix: str
    """The key's first eight characters: they name it, and are no secret."""
    name: str
    tenant: str | None
    """None: a platform key, which stands above all tenants."""
    scopes: frozenset[str] = field(default=frozenset())
    """All that it comes to, the implied ones among them."""

    @classmethod
    def of(cls, prefix: str, name: str, tenant: str | None, scopes: Iterable[str]) -> "Principal":
        """Make one of what a record holds. A tenant's key never reaches above its tenant."""
        held = implied(name for name in scopes if tenant is None or name != PLATFORM_ADMIN)
        return cls(prefix, name, tenant, held)

    def may(self, scope: str, tenant: str | None) -> bool:
        """Tell whether it may do this in that tenant, or with None above all of them."""
        return scope in self.scopes and self.is_of(tenant)

    def is_of(self, tenant: str | None) -> bool:
        """Tell whether it has anything to do with that tenant, or with None above all of them."""
        return self.tenant is None or self.tenant == tenant

    @property
    def actor(self) -> str:
        """Its name in the audit log."""
        return f"key:{self.prefix}"

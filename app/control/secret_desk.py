"""Changing secrets, each change in the audit log first: that it changed, and never to what.

In: who acts, a tenant (or the bundle's scope), a name, a value. Out: nothing. Refuses what
`app.stores.secrets` refuses, and any change that the audit log does not take (UnavailableError).
"""

from typing import Final

from app.audit.entry import Who
from app.audit.log import AuditLog, Change
from app.errors import NotFoundError
from app.stores.secrets import BUNDLE_SCOPE, KvSecrets, check_value
from app.tenancy.store import Gate, open_gate

PROVIDERS: Final = "providers"
"""Stands before the names of providers' secrets, which are no tenant's."""


class SecretDesk:
    """The secrets of one env, for those who change them."""

    def __init__(self, store: KvSecrets, audit: AuditLog, gate: Gate = open_gate) -> None:
        self._gate = gate
        self.store = store
        self._audit = audit

    async def set(self, who: Who, tenant: str, name: str, value: str) -> None:
        """Store a secret; see `KvSecrets.set`. ConflictError: the tenant was deleted."""
        check_value(value)
        if tenant != BUNDLE_SCOPE:
            await self._gate(tenant)
        async with self._audit.change(who, await self._change("secret.set", tenant, name)):
            await self.store.set(tenant, name, value)

    async def remove(self, who: Who, tenant: str, name: str) -> None:
        """Forget a secret. NotFoundError where there is none."""
        change = await self._change("secret.remove", tenant, name)
        if change.before is None:
            raise NotFoundError(f"{tenant} has no secret {name!r}")
        async with self._audit.change(who, change):
            await self.store.remove(tenant, name)

    async def _change(self, action: str, tenant: str, name: str) -> Change:
        revision = await self.store.revision_of(tenant, name)
        before = None if revision is None else {"revision": revision}
        after = None if action == "secret.remove" else {"changed": True}
        if tenant == BUNDLE_SCOPE:
            return Change(action, None, f"{PROVIDERS}/{name}", before, after)
        return Change(action, tenant, name, before, after)

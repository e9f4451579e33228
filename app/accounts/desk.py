"""Changing tenants' logins to NATS, each change in the audit log first.

In: who acts, a tenant, a login. Out: records; the seed of a new login, once. Refuses what
`app.accounts.logins` refuses, and to issue what the audit log does not take (UnavailableError);
revoking goes on without its entry.
"""

from typing import Any

from app.accounts.login import BusLogin, UserKey
from app.accounts.logins import KvBusLogins
from app.audit.entry import Who
from app.audit.log import AuditLog, Change
from app.tenancy.store import Gate, open_gate


class LoginDesk:
    """The logins of one env, for those who change them."""

    def __init__(self, logins: KvBusLogins, audit: AuditLog, gate: Gate = open_gate) -> None:
        self._gate = gate
        self.logins = logins
        self._audit = audit

    async def issue(
        self, who: Who, tenant: str, name: str, *, expires_ms: int | None = None
    ) -> tuple[BusLogin, UserKey]:
        """Make a login; see `KvBusLogins.issue`. ConflictError: the tenant was deleted."""
        await self._gate(tenant)
        login, key = await self.logins.draft(tenant, name, expires_ms=expires_ms)
        change = Change("login.issue", tenant, login.id, None, _facts(login))
        async with self._audit.change(who, change):
            await self.logins.add(login)
        return login, key

    async def revoke(self, who: Who, tenant: str, login_id: str) -> BusLogin:
        """End a login. NotFoundError where there is none; one that was revoked is no change."""
        login = await self.logins.find(tenant, login_id)
        if login.revoked_ms is not None:
            return login
        change = Change("login.revoke", tenant, login.id, _facts(login), None)
        async with self._audit.change(who, change, is_urgent=True):
            return await self.logins.revoke(tenant, login_id)


def _facts(login: BusLogin) -> dict[str, Any]:
    return {
        "name": login.name,
        "public_key": login.public_key,
        "expires_ms": login.expires_ms,
    }

"""Tenants' accounts in a cluster: signed, and handed to its servers, which pass them on.

In: accounts with their logins. Out: servers that know them; what changed is sent, the rest is not.
Refuses with BusError what a server does not take; UnavailableError when none answers.

A login is valid by its signature, so a server needs no list of them: it needs to know which are
revoked. Those are named in the account for ever, or until they would have ended anyway.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from actors.ports import Observer
from app.accounts.claims import tenant_token
from app.accounts.grants import TenantAccount
from app.accounts.signing import Operator
from app.bus.connection import Bus, BusSettings
from app.errors import BusError

UPDATE_SECONDS: Final = 5.0
CONNECT_SECONDS: Final = 5.0
CLOSE_SECONDS: Final = 1.0

_UPDATE: Final = "$SYS.REQ.CLAIMS.UPDATE"


@dataclass(frozen=True, slots=True)
class ResolverDoor:
    """How the servers' own account is reached."""

    settings: BusSettings
    observer: Observer


class ResolvedAccounts:
    """The accounts of one env in servers that resolve them: `steward.Accounts`."""

    def __init__(self, operator: Operator, door: ResolverDoor) -> None:
        self._operator = operator
        self._door = door
        self._sent: dict[str, TenantAccount] = {}

    async def apply(self, accounts: Sequence[TenantAccount]) -> None:
        """Make these accounts known as they are now. BusError, UnavailableError."""
        changed = [account for account in accounts if self._sent.get(account.name) != account]
        if not changed:
            return
        door = self._door
        bus = await Bus.connect(door.settings, door.observer, deadline_seconds=CONNECT_SECONDS)
        try:
            for account in changed:
                await self._send(bus, account)
                self._sent[account.name] = account
        finally:
            await bus.drain_and_close(CLOSE_SECONDS)

    async def _send(self, bus: Bus, account: TenantAccount) -> None:
        token = tenant_token(self._operator, account).encode()
        answer = await bus.request(_UPDATE, token, timeout_seconds=UPDATE_SECONDS)
        document: dict[str, Any] = json.loads(answer.data)
        if error := document.get("error"):
            text = f"nats-server did not take the account {account.name}"
            raise BusError(f"{text}: {error.get('description', 'refused')}")

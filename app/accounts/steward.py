"""Keeps a server's accounts what the records say: new logins in, ended ones out, within seconds.

In: the logins of an env, and time. Out: accounts in force. Refuses nothing; while NATS is away it
tries again, and a server that refuses its configuration goes on with the one before.
"""

import asyncio
import contextlib
from collections.abc import Iterable, Sequence
from typing import Final, Protocol

import structlog

from actors.errors import UnavailableError
from actors.ports import Clock
from app.accounts.grants import TenantAccount
from app.accounts.login import BusLogin
from app.accounts.logins import KvBusLogins
from app.errors import AppError

REFRESH_SECONDS: Final = 1.0
"""How long a new login may be refused, and an ended one still work."""

_log = structlog.get_logger("app.accounts")


class Accounts(Protocol):
    """A form in which accounts come into a server's force."""

    async def apply(self, accounts: Sequence[TenantAccount]) -> None:
        """Let these accounts in and no others. BusError, UnavailableError."""
        ...


class AccountsSteward:
    """One for each server or cluster. Use `start`, then `stop`."""

    def __init__(self, env: str, logins: KvBusLogins, accounts: Accounts, clock: Clock) -> None:
        self._env = env
        self._logins = logins
        self._accounts = accounts
        self._clock = clock
        self._revision: int | None = None
        self._applied: tuple[TenantAccount, ...] | None = None
        self._known: tuple[BusLogin, ...] = ()
        self._task: asyncio.Task[None] | None = None
        self._is_ending = False
        self._is_pausing = False

    def start(self) -> None:
        """Bring what is recorded into force and keep it so, from now on until `stop`."""
        self._task = asyncio.create_task(self._keep_fresh(), name="bus-accounts")

    async def stop(self) -> None:
        """Let the accounts be as they are, once what is being brought into force is."""
        if self._task is not None:
            self._is_ending = True
            if self._is_pausing:  # the client library leaves sockets when it is cancelled
                self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None

    async def refresh(self) -> None:
        """Look whether anything changed or ended, and bring it into force."""
        revision = await self._logins.revision()
        if revision != self._revision:
            # What is written during the reading has a later revision: it is read the next time.
            self._known, self._revision = await self._logins.all(), revision
        accounts = accounts_of(self._env, self._known, self._clock.now_ms())
        if accounts == self._applied:
            return
        await self._accounts.apply(accounts)
        self._applied = accounts
        _log.info("bus_accounts.applied", logins=sum(len(item.logins) for item in accounts))

    async def _keep_fresh(self) -> None:
        while not self._is_ending:
            self._is_pausing = False
            with contextlib.suppress(UnavailableError):
                try:
                    await self.refresh()
                except AppError as error:
                    _log.error("bus_accounts.not_applied", error_code=error.code, reason=str(error))
            self._is_pausing = True
            if not self._is_ending:
                await self._clock.sleep(REFRESH_SECONDS)


def accounts_of(env: str, logins: Iterable[BusLogin], now_ms: int) -> tuple[TenantAccount, ...]:
    """Put logins together by tenant: those that are live, and those that were revoked."""
    by_tenant: dict[str, list[BusLogin]] = {}
    for login in logins:
        by_tenant.setdefault(login.tenant, []).append(login)
    return tuple(
        TenantAccount(
            env,
            tenant,
            tuple(login for login in by_tenant[tenant] if login.is_live(now_ms)),
            tuple(login for login in by_tenant[tenant] if login.revoked_ms is not None),
        )
        for tenant in sorted(by_tenant)
    )

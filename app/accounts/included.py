"""Tenants' accounts in a file that the server's configuration includes and is told to read.

In: accounts with their live logins. Out: the file, written whole and in one step; a server that has
read it. Refuses nothing: what the server does not take is a BusError, and the file is as it was
before, so that the server can start again.

For the embedded server and hosts of one server: 1,000 tenants are a file of 1.5 MB. A cluster would
need the file on each of its servers; `resolver` is for those.
"""

import contextlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from app.accounts.grants import CONNECTIONS_MAX, SUBSCRIPTIONS_MAX, TenantAccount
from app.bus.bus_accounts import PLATFORM_ACCOUNT, quoted
from app.bus.reloading import Reload
from app.bus.server_folder import write_private

_HEAD: Final = "# Written by greentic-events; edits are lost.\n"


class IncludedAccounts:
    """The accounts of one env in one file: `steward.Accounts`."""

    def __init__(self, path: Path, reload: Reload) -> None:
        self._path = path
        self._reload = reload

    async def apply(self, accounts: Sequence[TenantAccount]) -> None:
        """Let these accounts in and no others. BusError, UnavailableError.

        Whoever may not log in any more is cut off by the server as it reads the file.
        """
        text = included_text(accounts)
        before = self._text()
        if text != before:
            write_private(self._path, text)
        try:
            await self._reload.reload()
            if _names(text) - _names(before):
                # A server that reads of a new account does not connect its imports until it reads
                # the file again (2.15.1): publishing finds nobody, as if there were no stream.
                await self._reload.reload()
        except BaseException:
            if text != before:
                write_private(self._path, before)
            raise

    def _text(self) -> str:
        with contextlib.suppress(OSError, ValueError):
            return self._path.read_text("utf-8")
        return _HEAD


def included_text(accounts: Sequence[TenantAccount]) -> str:
    """Write the file: one line for an account and one for each login."""
    return _HEAD + "".join(_account(item) for item in accounts if item.logins)


def _account(account: TenantAccount) -> str:
    source = f"account: {quoted(PLATFORM_ACCOUNT)}, subject: {quoted(account.imported)}"
    permissions = (
        f"{{ publish: {{ allow: {json.dumps(account.publish_allowed)},"
        f" deny: {json.dumps(account.publish_denied)} }},"
        f" subscribe: {{ allow: {json.dumps(account.subscribe_allowed)} }} }}"
    )
    users = "".join(
        f"\n  {{ nkey: {quoted(login.public_key)}, permissions: {permissions} }}"
        for login in account.logins
    )
    limits = f"max_connections: {CONNECTIONS_MAX}, max_subscriptions: {SUBSCRIPTIONS_MAX}"
    return (
        f"{quoted(account.name)} {{ limits: {{ {limits} }},"
        f" imports: [ {{ service: {{ {source} }} }}, {{ stream: {{ {source} }} }} ],"
        f" users: [{users} ] }}\n"
    )


def _names(text: str) -> frozenset[str]:
    """Give the names of the accounts in a file of ours."""
    lines = (line for line in text.splitlines() if line.startswith('"'))
    return frozenset(line.split('"', 2)[1] for line in lines)

"""In which form logins to NATS are issued: listed by a server, or signed for a cluster.

In: an operator's seed, or none. Out: how to connect, what the login's owner gets, and how servers
come to know. Without a seed a server that reads a list of logins is meant; whoever runs it keeps
the list. Refuses with CommandError a seed file that others may read, or that cannot be read.
"""

import stat
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from app.accounts.claims import login_credentials, our_credentials
from app.accounts.login import BusLogin, UserKey, new_user_key
from app.accounts.logins import KvBusLogins
from app.accounts.resolver import ResolvedAccounts, ResolverDoor
from app.accounts.signing import Operator
from app.accounts.steward import accounts_of
from app.bus.bus_accounts import PLATFORM_ACCOUNT, SYSTEM_ACCOUNT
from app.bus.connection import BusSettings
from app.bus.login_trial import takes_login
from app.cli.connecting import SilentObserver
from app.cli.vault import Whereabouts
from app.errors import CommandError
from app.system import SystemClock

SEED_VARIABLE: Final = "GREENTIC_NATS_OPERATOR_SEED_FILE"
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


@dataclass(frozen=True, slots=True)
class LoginForm:
    """``operator`` None: logins are listed."""

    operator: Operator | None

    @property
    def suffix(self) -> str:
        """How files with such a login are called."""
        return ".nk" if self.operator is None else ".creds"

    def reach(self, where: Whereabouts) -> Whereabouts:
        """Give the same place, with the platform's own signed login if there is an operator."""
        if self.operator is None:
            return where
        return replace(where, bus=self._settings(where.bus.url, PLATFORM_ACCOUNT))

    def text(self, env: str, login: BusLogin, key: UserKey) -> str:
        """Give what the login's owner gets."""
        if self.operator is None:
            return f"{key.seed}\n"
        return login_credentials(self.operator, env, login, key)

    async def spread(self, where: Whereabouts, logins: KvBusLogins, tenant: str) -> None:
        """Let servers that are told know how the tenant's logins stand. BusError."""
        if self.operator is None:
            return
        system = self._settings(where.bus.url, SYSTEM_ACCOUNT)
        accounts = ResolvedAccounts(self.operator, ResolverDoor(system, SilentObserver()))
        found = await logins.list(tenant)
        await accounts.apply(accounts_of(where.env, found, SystemClock().now_ms()))

    async def is_taken(self, url: str, text: str) -> bool:
        """Tell whether a server lets the owner in."""
        if self.operator is None:
            return await takes_login(url, seed=text)
        return await takes_login(url, credentials=text)

    def _settings(self, url: str, account: str) -> BusSettings:
        if self.operator is None:
            raise CommandError("there is no operator to sign with")
        credentials = our_credentials(self.operator, account, new_user_key())
        return BusSettings(url, name="greentic-events-cli", credentials=credentials)


def read_form(seed_file: Path | None) -> LoginForm:
    """Read the operator's seed, if there is one."""
    return LoginForm(None if seed_file is None else Operator(_private_text(seed_file)))


def _private_text(path: Path) -> str:
    try:
        if path.stat().st_mode & _OTHERS:
            raise CommandError(f"{path} may be read by others", hint=f"chmod 600 {path}")
        return path.read_text("ascii")
    except (OSError, ValueError) as error:
        raise CommandError(f"cannot read the operator's seed in {path}: {error}") from None

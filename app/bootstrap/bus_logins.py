"""The tenants' accounts of the embedded server, kept by the program that looks after it.

In: the server, a connection, an env. Out: a steward at work. Refuses nothing: the accounts of other
servers are kept by whoever runs those (`deploy/nats`).
"""

from actors.ports import Clock
from app.accounts.included import IncludedAccounts
from app.accounts.logins import KvBusLogins
from app.accounts.steward import AccountsSteward
from app.bus.connection import Bus, BusSettings
from app.bus.reloading import SystemReload
from app.bus.server import EmbeddedServer
from app.control.names import bus_logins_bucket
from app.stores.kv import KvBucket


class _SilentObserver:
    """Hears that a connection for one question came and went; what failed is raised."""

    def observe(self, observation: object) -> None:
        """Take one observation."""


def start_steward(server: EmbeddedServer, bus: Bus, env: str, clock: Clock) -> AccountsSteward:
    """Begin to keep the server's accounts what the bucket of logins says."""
    system = server.endpoint.system
    settings = BusSettings(system.url, system.user, system.password, name="greentic-accounts")
    accounts = IncludedAccounts(server.tenants_path, SystemReload(settings, _SilentObserver()))
    logins = KvBusLogins(KvBucket(bus, bus_logins_bucket(env)), clock)
    steward = AccountsSteward(env, logins, accounts, clock)
    steward.start()
    return steward

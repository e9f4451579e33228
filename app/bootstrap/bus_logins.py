"""The tenants' accounts of the embedded server, kept by the program that looks after it.

In: the server, a connection, an env. Out: a steward at work. Refuses nothing: the accounts of other
servers are kept by whoever runs those (`deploy/nats`).
"""

from actors.ports import Clock, Observer
from app.accounts.included import IncludedAccounts
from app.accounts.logins import KvBusLogins
from app.accounts.steward import AccountsSteward
from app.bus.connection import Bus, BusSettings
from app.bus.reloading import SystemReload
from app.bus.server import EmbeddedServer
from app.control.names import bus_logins_bucket
from app.stores.kv import KvBucket


def start_steward(
    server: EmbeddedServer, bus: Bus, env: str, *, clock: Clock, observer: Observer
) -> AccountsSteward:
    """Begin to keep the server's accounts what the bucket of logins says."""
    system = server.endpoint.system
    settings = BusSettings(system.url, system.user, system.password, name="greentic-accounts")
    accounts = IncludedAccounts(server.tenants_path, SystemReload(settings, observer))
    logins = KvBusLogins(KvBucket(bus, bus_logins_bucket(env)), clock)
    steward = AccountsSteward(env, logins, accounts, clock)
    steward.start()
    return steward

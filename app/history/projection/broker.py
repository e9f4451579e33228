"""NATS as the history's Faust apps are told of it.

In: how our own connection finds NATS. Out: broker URLs and a login. Refuses nothing.
"""

from dataclasses import dataclass
from urllib.parse import urlsplit

from faust.types.auth import CredentialsT

from app.bus.connection import BusSettings
from app.bus.servers import login_of, split_urls
from app.history.transport.connection import Login, NatsCredentials


@dataclass(frozen=True, slots=True)
class Broker:
    """Where, and as whom."""

    urls: str
    """Separated by semicolons."""
    credentials: CredentialsT


def broker_of(settings: BusSettings, lease_seconds: int) -> Broker:
    """Give the broker for settings of the bus; a lease of its app lasts so long."""
    user, password = settings.user, settings.password
    if user is None:
        user, password = login_of(settings.url)
    servers = [urlsplit(url) for url in split_urls(settings.url)]
    places = [server.netloc.rpartition("@")[2] for server in servers]
    urls = ";".join(f"nats://{place}?lease_seconds={lease_seconds}" for place in places)
    login = Login(user, password, signed=settings.credentials, scheme=servers[0].scheme)
    return Broker(urls, NatsCredentials(login))

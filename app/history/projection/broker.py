"""NATS as the history's Faust app is told of it.

In: how our own connection finds NATS. Out: broker URLs and a login. Refuses nothing.
"""

from dataclasses import dataclass
from urllib.parse import urlsplit

from faust.auth import SASLCredentials
from faust.types.auth import CredentialsT

from app.bus.connection import BusSettings
from app.bus.servers import login_of, split_urls


@dataclass(frozen=True, slots=True)
class Broker:
    """Where, and as whom."""

    urls: str
    """Separated by semicolons."""
    credentials: CredentialsT | None


def broker_of(settings: BusSettings, lease_seconds: int) -> Broker:
    """Give the broker for settings of the bus; a lease of its app lasts so long."""
    user, password = settings.user, settings.password
    if user is None:
        user, password = login_of(settings.url)
    urls = ";".join(
        f"nats://{urlsplit(url).netloc.rpartition('@')[2]}?lease_seconds={lease_seconds}"
        for url in split_urls(settings.url)
    )
    if user is None:
        return Broker(urls, None)
    return Broker(urls, SASLCredentials(username=user, password=password or ""))

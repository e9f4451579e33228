"""What Faust finds under the name ``nats`` in the entry points ``faust.transports``.

In: the app and its broker URLs, ``nats://[user:password@]host[:port][?option=number&…]``, several
servers with ``;``; the options are those of `Options`. Out: consumer, producer and conductor on a
connection each for reading and writing. Refuses URLs of another kind, and options it does not know.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Final

from faust.exceptions import ImproperlyConfigured
from faust.transport import base
from faust.types import AppT
from faust.types.transports import ConductorT, ConsumerT, ProducerT
from mode.types import ServiceT
from yarl import URL

from app.history.transport.bindings import ACK_PENDING_MAX, ACK_WAIT_SECONDS, StreamBinding
from app.history.transport.conductor import Conductor, Fetcher
from app.history.transport.connection import Connection, login_of
from app.history.transport.consumer import Consumer
from app.history.transport.lease import LEASE_SECONDS, Lease
from app.history.transport.producer import Producer
from app.history.transport.streams import Streams

LEASE_SECONDS_MIN: Final = 2
LEASE_SECONDS_MAX: Final = 300
REPLICAS_MAX: Final = 5
ACK_WAIT_SECONDS_MAX: Final = 3_600


@dataclass(frozen=True, slots=True)
class Options:
    """What a broker URL says behind the question mark."""

    lease_seconds: int = LEASE_SECONDS
    """How long after the owner of tables died another worker takes over."""
    replicas: int = 1
    """Of streams that are made."""
    ack_wait_seconds: int = int(ACK_WAIT_SECONDS)
    """After this the server gives another worker what a dead one had. Of topics without binding."""
    ack_pending_max: int = ACK_PENDING_MAX
    """How many messages a group may have unacknowledged. Of topics without binding."""


class Transport(base.Transport):
    """The transport of one app."""

    Consumer: ClassVar[type[ConsumerT]] = Consumer
    Producer: ClassVar[type[ProducerT]] = Producer
    Conductor: ClassVar[type[ConductorT]] = Conductor
    Fetcher: ClassVar[type[ServiceT]] = Fetcher

    default_port = 4222
    driver_version = "nats-py"

    def __init__(
        self, url: list[URL], app: AppT, loop: asyncio.AbstractEventLoop | None = None
    ) -> None:
        super().__init__(url, app, loop)
        self.options = read_options(url)
        self.bindings: dict[str, StreamBinding] = {}

    @cached_property
    def connection(self) -> Connection:
        """The connection of this side: an app's producer has another one than its consumer."""
        conf = self.app.conf
        login = login_of(self.url, conf.broker_credentials, conf.ssl_context)
        return Connection(self.url, login, str(conf.broker_client_id))

    @cached_property
    def streams(self) -> Streams:
        """The streams, over that connection."""
        return Streams(self.connection)

    @cached_property
    def lease(self) -> Lease:
        """Who owns the app's tables."""
        lease = Lease(
            self.connection, self.streams, str(self.app.conf.id), self.options.lease_seconds
        )
        lease.replicas = self.options.replicas
        return lease


def read_options(urls: Sequence[URL]) -> Options:
    """Read the options of the URLs. ImproperlyConfigured: unknown, or not a sensible number."""
    known: dict[str, Callable[[str], int]] = {
        "lease_seconds": _number("lease_seconds", LEASE_SECONDS_MIN, LEASE_SECONDS_MAX),
        "replicas": _number("replicas", 1, REPLICAS_MAX),
        "ack_wait_seconds": _number("ack_wait_seconds", 1, ACK_WAIT_SECONDS_MAX),
        "ack_pending_max": _number("ack_pending_max", 1, 1_000_000),
    }
    found: dict[str, Any] = {}
    for url in urls:
        if url.scheme != "nats":
            raise ImproperlyConfigured(
                f"a broker of this app is no nats:// URL but {url.scheme}://"
            )
        for name, text in url.query.items():
            if name not in known:
                raise ImproperlyConfigured(f"nats:// has no option {name!r}")
            found[name] = known[name](text)
    return Options(**found)


def _number(name: str, least: int, most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not text.isdigit() or not least <= int(text) <= most:
            raise ImproperlyConfigured(f"{name} is a number from {least} to {most}")
        return int(text)

    return read

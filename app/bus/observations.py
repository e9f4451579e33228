"""What the bus reports about itself: typed facts for the Observer port.

In: nothing. Out: frozen dataclasses without payloads, users or passwords.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BusConnected:
    """The connection to NATS stands, for the first time or again."""

    name: str
    is_reconnect: bool


@dataclass(frozen=True, slots=True)
class BusDisconnected:
    """The connection to NATS is gone; it is sought again with growing pauses."""

    name: str


@dataclass(frozen=True, slots=True)
class BusTroubled:
    """NATS, or its client, reported an error: a refused permission, a dropped message."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class ConsumerUnreachable:
    """A consumer answered a pull with a refusal; it is asked again after a pause."""

    stream: str
    durable: str
    reason: str

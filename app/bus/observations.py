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


@dataclass(frozen=True, slots=True)
class BacklogFilled:
    """A tenant's unprocessed events reached its quota: further ones are refused."""

    tenant: str
    events: int
    bytes: int


@dataclass(frozen=True, slots=True)
class BacklogDrained:
    """Enough of a full backlog is done: events are taken in again."""

    tenant: str
    events: int
    bytes: int


@dataclass(frozen=True, slots=True)
class BacklogUnknown:
    """The server does not tell a tenant's backlog; the last known figure goes on."""

    tenant: str
    reason: str


@dataclass(frozen=True, slots=True)
class EventsLost:
    """A tenant's stream let events go that no worker had been handed: too small, or nobody works.

    ``total`` counts since this process began; both are estimates.
    """

    tenant: str
    events: int
    total: int


@dataclass(frozen=True, slots=True)
class PullSilenced:
    """The server has not answered a tenant's pull for too long; it is asked again and again."""

    tenant: str
    silent_seconds: float


@dataclass(frozen=True, slots=True)
class PullStopped:
    """A tenant has had no router for too long: it crashed, or the tenant is set aside."""

    tenant: str
    silent_seconds: float


@dataclass(frozen=True, slots=True)
class PullResumed:
    """A tenant's pull is answered again, or its flows took what they had in hand."""

    tenant: str

"""Topics that read a stream which is there already, and how they read it.

In: `bind(app, topic, StreamBinding(...))`, before the app starts. Out: what the consumer asks for
when it subscribes to the topic. Refuses a second binding of a topic, and an app on another broker.
A bound topic is for reading: what is sent to it is refused, since its subjects are not Faust's.
"""

import typing
from dataclasses import dataclass
from typing import Final, Protocol

from app.history.transport.errors import TransportError

ACK_WAIT_SECONDS: Final = 30.0
ACK_PENDING_MAX: Final = 10_000


@dataclass(frozen=True, slots=True)
class StreamBinding:
    """An existing stream as a Faust topic."""

    stream: str
    filter_subjects: tuple[str, ...] = ()
    """Which of its subjects; none: all."""
    durable: str = ""
    """The consumer's name on the stream; empty: the app's id."""
    is_exclusive: bool = False
    """One worker at a time, in the stream's order; it begins again behind the ack floor."""
    ack_wait_seconds: float = ACK_WAIT_SECONDS
    """How long the server waits before another worker gets the message; what is worked on here is
    kept from that."""
    ack_pending_max: int = ACK_PENDING_MAX
    """How many messages all workers together may have unacknowledged."""
    idle_seconds_max: float = 0.0
    """After so long without a worker the server forgets the consumer; 0: never."""

    def __post_init__(self) -> None:
        if not self.stream:
            raise ValueError("a binding names its stream")
        if self.ack_wait_seconds < 1 or self.ack_pending_max < 1:
            raise ValueError("ack_wait_seconds and ack_pending_max are at least 1")


class HasBindings(Protocol):
    """The transport of an app."""

    bindings: dict[str, StreamBinding]


class BoundApp(Protocol):
    """As much of a `faust.App` as binding needs."""

    @property
    def transport(self) -> object:
        """The transport it reads with."""
        ...


def bind(app: BoundApp, topic: str, binding: StreamBinding) -> None:
    """Let a topic of this app read an existing stream. TransportError: bound twice, no NATS."""
    bindings = bindings_of(app)
    if topic in bindings:
        raise TransportError(f"the topic {topic!r} is bound already")
    bindings[topic] = binding


def bindings_of(app: BoundApp) -> dict[str, StreamBinding]:
    """Give the bindings of an app. TransportError: its broker is not ``nats://``."""
    transport = app.transport
    if not isinstance(getattr(transport, "bindings", None), dict):
        raise TransportError("the broker of this app is not nats://, so no stream can be bound")
    return typing.cast("HasBindings", transport).bindings

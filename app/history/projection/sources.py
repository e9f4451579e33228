"""The streams of run records as Faust topics.

In: an env's streams. Out: for each a topic's name, and bindings of it for each reader. Refuses
nothing. Each reader (the projection, the metering) reads a stream with a consumer of its own.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from faust.types import EventT

from app.history.projection.reading import MessagePlace

SUBJECT: Final = "Nats-Subject"
SEQUENCE: Final = "Nats-Sequence"


@dataclass(frozen=True, slots=True)
class RunSource:
    """One stream of run records."""

    stream: str
    shard: int

    def topic(self, reader: str) -> str:
        """Name the topic with which one of its readers reads it."""
        return f"{reader}-{self.stream}"

    def place_of(self, event: EventT[bytes]) -> MessagePlace:
        """Tell where an event's message stands in the stream."""
        headers = event.message.headers
        found = dict(headers) if isinstance(headers, Mapping) else dict(headers or ())
        return MessagePlace(
            found.get(SUBJECT, b"").decode(), self.shard, int(found.get(SEQUENCE, b"0"))
        )

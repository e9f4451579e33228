"""The projection's part of the Faust app: an agent for each stream of run records.

In: messages of the streams, through `app.history.transport`. Out: rows, through `Batches`, and
acknowledgements once they are written. Refuses nothing: see `reading`.

Acknowledgements are ours (`noack`): by default Faust acknowledges what an agent failed on, and what
it was given when it was cancelled. So are the batches: Faust's own ``take`` does the same.
"""

from collections.abc import Sequence
from typing import Final, cast

from faust import App
from faust.streams import Stream
from faust.types import StreamT

from app.history.projection.batches import Batches
from app.history.projection.reading import read_message
from app.history.projection.sources import RunSource
from app.history.transport.bindings import StreamBinding, bind

READER: Final = "history"
ACK_PENDING_MAX: Final = 500
"""Messages that all processes together may have in hand: up to 100 records each, 44 MB of usual
ones. Where none is left to be fetched, what is done is acknowledged at once: it is no limit."""
ACK_WAIT_SECONDS: Final = 10.0
"""What a process had in hand when it died is handed out again after so long."""
IDLE_SECONDS_MAX: Final = 30 * 24 * 3600.0
"""The consumer of a history that nobody has run for so long goes: the streams have nothing any more
of what it had not read."""


class Projection:
    """The projection, as a part of the worker's app."""

    def __init__(self, batches: Batches, durable: str) -> None:
        self._batches = batches
        self._durable = durable

    def register(self, app: App, sources: Sequence[RunSource]) -> None:
        """Add the agents."""
        for source in sources:
            self._add(app, source)

    async def run(self) -> None:
        """Write what the agents bring, until cancelled."""
        await self._batches.run()

    def _add(self, app: App, source: RunSource) -> None:
        name = source.topic(READER)
        topic = app.topic(name, value_type=bytes, value_serializer="raw", key_serializer="raw")
        binding = StreamBinding(
            stream=source.stream,
            durable=self._durable,
            ack_wait_seconds=ACK_WAIT_SECONDS,
            ack_pending_max=ACK_PENDING_MAX,
            idle_seconds_max=IDLE_SECONDS_MAX,
        )
        bind(app, name, binding)

        async def project(stream: StreamT[bytes]) -> None:
            async for event in cast("Stream[bytes]", stream).noack().events():
                message = read_message(event.value, source.place_of(event))
                await self._batches.put(message, event.ack)

        app.agent(topic, name=name)(project)

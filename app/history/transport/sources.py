"""Where the messages of a topic come from.

In: a topic and its binding, or a table's changelog. Out: `Source`s: durable consumers, shared or
exclusive, and `ChangelogReader`s, which read a whole stream in order. Refuses nothing by itself.
"""

import uuid
from collections.abc import Callable
from typing import Final

from faust.types import TP

from app.history.transport.bindings import StreamBinding
from app.history.transport.connection import Connection
from app.history.transport.names import stream_name
from app.history.transport.pulls import Puller
from app.history.transport.streams import DurableSpec, Streams

KEEP_SHARE: Final = 3
"""A message is kept alive every so many parts of its ack_wait."""


def durable_of(binding: StreamBinding, group: str, *, is_from_now: bool) -> DurableSpec:
    """Give the durable consumer of a binding; without a name it has the group's."""
    return DurableSpec(
        binding.stream,
        binding.durable or group,
        binding.filter_subjects,
        binding.ack_wait_seconds,
        binding.ack_pending_max,
        is_from_now,
        binding.idle_seconds_max,
    )


class Source:
    """A topic that is consumed."""

    def __init__(
        self,
        tp: TP,
        spec: DurableSpec,
        *,
        is_exclusive: bool,
        streams: Streams,
        on_broken: Callable[[TP], None],
    ) -> None:
        self.tp = tp
        self.spec = spec
        self.is_exclusive = is_exclusive
        self.failures = 0
        """How often an agent failed since the last acknowledgement."""
        self.pending = 0
        self.kept_at = 0.0
        self._streams = streams
        self._on_broken = on_broken
        self.puller: Puller

    def open(self, connection: Connection, on_ready: Callable[[], None]) -> None:
        """Begin to pull, at the next `Puller.top_up`."""
        self.puller = Puller(
            connection,
            (self.spec.stream, self.spec.durable),
            prepare=self._prepare,
            on_ready=on_ready,
            on_broken=self._break if self.is_exclusive else None,
        )

    @property
    def keep_seconds(self) -> float:
        """How often the server is told that a message is still worked on."""
        return self.spec.ack_wait_seconds / KEEP_SHARE

    async def _prepare(self) -> None:
        await self._streams.ensure_durable(self.spec)
        if self.is_exclusive:
            await self._streams.reset_to_ack_floor(self.spec.stream, self.spec.durable)

    def _break(self) -> None:
        self._on_broken(self.tp)


class ChangelogReader:
    """A table's changelog, from any sequence on and in order. Its offsets are the stream's."""

    def __init__(
        self, tp: TP, connection: Connection, streams: Streams, on_ready: Callable[[], None]
    ) -> None:
        self.tp = tp
        self.next_offset = 1
        """Behind the last message that was handed on."""
        self.highwater = 0
        self._streams = streams
        self.puller = Puller(
            connection,
            (stream_name(tp.topic), ""),
            prepare=self._prepare,
            on_ready=on_ready,
            on_broken=self._break,
        )

    def seek(self, offset: int) -> None:
        """Read from here on."""
        self.next_offset = max(1, offset)
        self.puller.restart()

    async def _prepare(self) -> None:
        name = f"faust-reader-{uuid.uuid4().hex[:12]}"
        await self._streams.open_reader(self.puller.stream, name, self.next_offset)
        self.puller.consumer = name

    def _break(self) -> None:
        self.puller.restart()

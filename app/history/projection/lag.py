"""How far the history is behind the streams.

In: the server's word of streams and consumers. Out: for each stream how many messages and records
are not in the history yet, and how old the oldest is. Refuses nothing; UnavailableError and
BusError where the server does not tell.

Records are counted where few messages wait; else a sample of them tells how many there are.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec

from actors.errors import ActorsError
from actors.ports import Clock
from app.bus.admin import JetStreamAdmin
from app.bus.direct import DirectReader, StoredMessage
from app.errors import AppError
from app.history.projection.reading import shard_of
from app.observability.history import HistoryMeter

LOOK_SECONDS: Final = 2.0
SAMPLE_MESSAGES: Final = 20
SAMPLE_BYTES: Final = 1024 * 1024
ALL: Final = ">"

_MS: Final = 1000
_RAWS: Final = msgspec.json.Decoder(list[msgspec.Raw])


@dataclass(frozen=True, slots=True)
class Lag:
    """How far behind it is in one stream."""

    stream: str
    messages: int
    records: int
    seconds: float
    is_begun: bool = True
    """Whether anybody ever read it for this history."""

    def as_mapping(self) -> dict[str, Any]:
        """Give its document."""
        return {
            "stream": self.stream,
            "messages": self.messages,
            "records": self.records,
            "seconds": round(self.seconds, 3),
            "begun": self.is_begun,
        }


class LagReader:
    """Asks the server about one env."""

    def __init__(self, reader: DirectReader, env: str, clock: Clock) -> None:
        self._admin = JetStreamAdmin(reader.bus)
        self._reader = reader
        self._env = env
        self._clock = clock

    async def streams(self) -> Sequence[str]:
        """Name the streams of run records that there are."""
        names = await self._admin.stream_names(f"greentic.runs.{self._env}.>")
        start = f"RUNS-{self._env}-"
        return sorted(
            name for name in names if name.startswith(start) and shard_of(name) is not None
        )

    async def read(self, stream: str, durable: str) -> Lag:
        """Tell how far a consumer is behind."""
        consumer = await self._admin.consumer_info(stream, durable)
        if consumer is None:
            info = await self._admin.stream_info(stream)
            messages = 0 if info is None else info.messages
            records, seconds = await self._look(stream, 1, messages)
            return Lag(stream, messages, records, seconds, is_begun=False)
        messages = consumer.pending + consumer.ack_pending
        records, seconds = await self._look(stream, consumer.ack_floor + 1, messages)
        return Lag(stream, messages, records, seconds)

    async def _look(self, stream: str, start: int, messages: int) -> tuple[int, float]:
        """Give the records and the age, in seconds, of what waits from a place on."""
        if not messages:
            return 0, 0.0
        batch = await self._reader.step(
            stream, ALL, from_sequence=start, count_max=SAMPLE_MESSAGES, bytes_cut=SAMPLE_BYTES
        )
        if not batch.messages:
            return 0, 0.0
        records = sum(_records_in(message) for message in batch.messages)
        if messages > len(batch.messages):
            records = round(records / len(batch.messages) * messages)
        age_ms = self._clock.now_ms() - stored_ms(batch.messages[0])
        return records, max(0, age_ms) / _MS


class LagWatch:
    """Keeps the figures of how far this history is behind."""

    def __init__(self, reader: LagReader, durable: str, meter: HistoryMeter) -> None:
        self._reader = reader
        self._durable = durable
        self._meter = meter
        self.last: Sequence[Lag] = ()
        """What was seen last, for `/health`."""

    async def look(self) -> Sequence[Lag]:
        """Look once."""
        streams = await self._reader.streams()
        self.last = [await self._reader.read(stream, self._durable) for stream in streams]
        for lag in self.last:
            self._meter.lag(lag.stream, lag.records, lag.seconds)
        return self.last

    async def run(self) -> None:
        """Look until cancelled; a server that does not answer leaves the figures as they are."""
        while True:
            try:
                await self.look()
            except (AppError, ActorsError):
                self._meter.fail("stream")
            await asyncio.sleep(LOOK_SECONDS)


def _records_in(message: StoredMessage) -> int:
    try:
        return len(_RAWS.decode(message.data))
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return 1


def stored_ms(message: StoredMessage) -> int:
    """Give when a message was stored; 0: it does not say."""
    try:
        stored = datetime.fromisoformat(message.headers.get("Nats-Time-Stamp", ""))
    except ValueError:
        return 0
    return int(stored.timestamp() * _MS)

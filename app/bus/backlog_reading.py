"""How much of a tenant's work waits, by the word of the server.

In: a tenant's consumers, what was read before. Out: events and bytes stored and not yet processed,
and what the stream let go before anybody had it. Refuses nothing; UnavailableError and BusError
where the server does not tell.

Four questions at once: the stream and its `flows` consumer, the `work` consumer of due
continuations, and the lanes, whose messages the stream itself counts: on a work queue what is
stored is what is not done. Schedules that wait for their time are no backlog.
"""

import asyncio
from dataclasses import dataclass, field
from typing import Final, TypeVar

import msgspec

from actors.errors import UnavailableError
from actors.subjects import work_lane_subject
from app.bus.connection import Bus
from app.bus.deliveries import TenantConsumers
from app.bus.stream_sizes import StreamSizes
from app.errors import BusError

INFO_SECONDS: Final = 2.0
_UNAVAILABLE: Final = 503


class _Place(msgspec.Struct):
    consumer_seq: int = 0
    stream_seq: int = 0


class _Refusal(msgspec.Struct):
    code: int = 0
    err_code: int = 0
    description: str = ""


class _Consumer(msgspec.Struct):
    delivered: _Place = msgspec.field(default_factory=_Place)
    ack_floor: _Place = msgspec.field(default_factory=_Place)
    num_pending: int = 0
    num_ack_pending: int = 0
    error: _Refusal | None = None

    @property
    def unsettled(self) -> int:
        return self.num_pending + self.num_ack_pending


class _State(msgspec.Struct):
    messages: int = 0
    bytes: int = 0
    first_seq: int = 0
    last_seq: int = 0
    subjects: dict[str, int] | None = None


class _Stream(msgspec.Struct):
    state: _State = msgspec.field(default_factory=_State)
    error: _Refusal | None = None


Told = TypeVar("Told", _Consumer, _Stream)


@dataclass(frozen=True, slots=True)
class BacklogFigures:
    """A tenant's backlog at one moment."""

    events: int
    """Events not yet processed: not handed out, or handed out and not settled; and runs that wait
    on lanes or are due."""
    bytes: int
    """Theirs, estimated."""
    lost: int = 0
    """Of events that nobody had been handed, how many the stream let go since it was last read."""


@dataclass(slots=True)
class BacklogMemory:
    """What one reading must know of the one before."""

    sizes: StreamSizes = field(default_factory=StreamSizes)
    first: int = 0
    """The stream's first sequence then."""
    handed_out: int = 0
    """The stream sequence up to which the consumer had handed out."""
    deliveries: int = 0
    """How many deliveries it had made."""
    share: float | None = None
    """Of what lay ahead of the consumer, the share that its filters let through; None: nothing lay
    ahead."""
    is_fresh: bool = True


class BacklogReader:
    """Asks the server over one connection."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._consumers = msgspec.json.Decoder(_Consumer)
        self._streams = msgspec.json.Decoder(_Stream)

    async def read(self, consumers: TenantConsumers, memory: BacklogMemory) -> BacklogFigures:
        """Read a tenant's backlog and update the memory. UnavailableError, BusError."""
        events, work = consumers.events, consumers.work
        # The stream is asked before its consumer: what is stored between the two answers must not
        # make what waits look like less than all of it.
        stream, flows, due, lanes = await asyncio.gather(
            self._stream(events.stream),
            self._consumer(events.stream, events.durable),
            _nothing() if work is None else self._consumer(work.stream, work.durable),
            self._lanes(consumers),
        )
        state = stream.state
        memory.sizes.look(state.first_seq, state.last_seq, state.bytes)
        waiting = due.unsettled + sum((lanes.subjects or {}).values())
        figures = BacklogFigures(
            events=flows.unsettled + waiting,
            bytes=int(_events_bytes(flows, state, memory) + _average(lanes) * waiting),
            lost=_lost(flows, state, memory),
        )
        _remember(flows, state, memory)
        return figures

    async def _lanes(self, consumers: TenantConsumers) -> _State:
        if consumers.work is None:
            return _State()
        lanes = work_lane_subject(consumers.env, consumers.tenant, ">")
        asked = msgspec.json.encode({"subjects_filter": lanes})
        return (await self._stream(consumers.work.stream, asked)).state

    async def _consumer(self, stream: str, durable: str) -> _Consumer:
        return await self._ask(f"CONSUMER.INFO.{stream}.{durable}", b"", self._consumers)

    async def _stream(self, stream: str, asked: bytes = b"") -> _Stream:
        return await self._ask(f"STREAM.INFO.{stream}", asked, self._streams)

    async def _ask(self, verb: str, asked: bytes, decoder: "msgspec.json.Decoder[Told]") -> Told:
        subject = f"$JS.API.{verb}"
        answer = await self._bus.request(subject, asked, timeout_seconds=INFO_SECONDS)
        try:
            told = decoder.decode(answer.data)
        except msgspec.DecodeError:
            raise BusError(f"{verb}: the answer is not readable") from None
        if told.error is None:
            return told
        text = f"{verb}: {told.error.description}"
        if told.error.code == _UNAVAILABLE:
            raise UnavailableError(text)
        raise BusError(text, server_code=told.error.err_code)


async def _nothing() -> _Consumer:
    return _Consumer()


def _average(state: _State) -> float:
    return state.bytes / state.messages if state.messages else 0.0


def _events_bytes(flows: _Consumer, state: _State, memory: BacklogMemory) -> float:
    """Weigh the stretch behind the settled ones by the share of it that is unsettled."""
    floor = max(flows.ack_floor.stream_seq, state.first_seq - 1)
    stretch = state.last_seq - floor
    if stretch < 1:
        return 0.0
    share = min(1.0, flows.unsettled / stretch)
    return share * memory.sizes.between(floor, state.last_seq)


def _lost(flows: _Consumer, state: _State, memory: BacklogMemory) -> int:
    """Count what went between the consumer's place and the stream's new beginning.

    Some of it may have been handed out since the last look, as far as deliveries were made that
    are not of what is still there. Not all of it need have been for this consumer.
    """
    gone = state.first_seq - 1
    place = flows.delivered.stream_seq if memory.is_fresh else memory.handed_out
    vanished = gone - max(place, memory.first - 1)
    if vanished <= 0:
        return 0
    share = _share_ahead(flows, state) if memory.share is None else memory.share
    deliveries = 0 if memory.is_fresh else flows.delivered.consumer_seq - memory.deliveries
    of_the_vanished = max(0, deliveries - max(0, flows.delivered.stream_seq - gone))
    return max(0, round(vanished * (share or 0.0)) - of_the_vanished)


def _share_ahead(flows: _Consumer, state: _State) -> float | None:
    """Give the share of what lies ahead of the consumer that is for it; a filter may leave none."""
    ahead = state.last_seq - max(flows.delivered.stream_seq, state.first_seq - 1)
    return min(1.0, flows.num_pending / ahead) if ahead > 0 else None


def _remember(flows: _Consumer, state: _State, memory: BacklogMemory) -> None:
    memory.share = _share_ahead(flows, state)
    memory.first = state.first_seq
    memory.handed_out = flows.delivered.stream_seq
    memory.deliveries = flows.delivered.consumer_seq
    memory.is_fresh = False

"""All that one worker consumes: its sources, and what of them is in flight.

In: topics to open and close, offsets that Faust acknowledged, failures. Out: records in turn, the
words for the server. Refuses nothing.

A shared topic's messages are given back one by one. An exclusive topic's never are: it begins again
behind its ack floor, and what was handed out is stale, so that agents see the stream's order.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from time import monotonic
from typing import Final

from faust.types import TP, ConsumerMessage

from app.history.transport.acknowledging import Acknowledgements, pause_after
from app.history.transport.connection import Connection
from app.history.transport.in_flight import Entry, InFlight
from app.history.transport.pulls import wait_for
from app.history.transport.sources import ChangelogReader, Source
from app.history.transport.streams import DurableSpec, Streams
from app.history.transport.wire import Record, to_message

TURN_MAX: Final = 200
"""Records of one topic handed on before the next topic's turn."""
IDLE_SECONDS: Final = 0.05
BUSY_WAIT_SECONDS: Final = 0.05
"""How often a waiting fetch looks whether agents have acknowledged something."""


class Intake:
    """What one consumer takes in."""

    def __init__(
        self,
        connection: Connection,
        streams: Streams,
        *,
        on_forget: Callable[[ConsumerMessage], None],
    ) -> None:
        self.ready = asyncio.Event()
        self.sources: dict[TP, Source] = {}
        self.readers: dict[TP, ChangelogReader] = {}
        self.flight = InFlight()
        self._connection = connection
        self._streams = streams
        self._acks = Acknowledgements(connection)
        self._on_forget = on_forget
        self._saying: set[asyncio.Task[None]] = set()

    # ── Topics ───────────────────────────────────────────────────────────────────────────────

    def open_reader(self, tp: TP) -> None:
        """Read a changelog, from where `ChangelogReader.seek` says."""
        self.readers[tp] = ChangelogReader(tp, self._connection, self._streams, self.ready.set)

    def open_source(self, tp: TP, spec: DurableSpec, *, is_exclusive: bool) -> None:
        """Consume a topic."""
        source = Source(
            tp, spec, is_exclusive=is_exclusive, streams=self._streams, on_broken=self.restart
        )
        source.open(self._connection, self.ready.set)
        self.sources[tp] = source

    async def close(self, tp: TP) -> None:
        """Leave a topic: what is shared goes to the other workers at once."""
        reader = self.readers.pop(tp, None)
        if reader is not None:
            await reader.puller.close()
        source = self.sources.pop(tp, None)
        if source is None:
            return
        records = await source.puller.close()
        entries = self._forget(self.flight.drop(tp))
        if not source.is_exclusive:
            await self._acks.give_back([*(entry.record for entry in entries), *records])

    def restart(self, tp: TP) -> None:
        """Begin a topic again, as far as it is not acknowledged."""
        source = self.sources.get(tp)
        if source is not None:
            self._give_up(source, only_waiting=False)
            if source.is_exclusive:
                source.puller.restart()

    def lose(self, tp: TP) -> None:
        """Begin nothing more of a topic that is not ours any longer; what is begun may end."""
        source = self.sources.get(tp)
        if source is not None:
            self._give_up(source, only_waiting=True)
            source.puller.pause(float("inf"))
            source.puller.restart()

    def sweep(self) -> None:
        """Begin again what waited in agents' queues: Faust has emptied them a moment ago."""
        for source in self.sources.values():
            if source.is_exclusive:
                self.restart(source.tp)
            else:
                self._give_up(source, only_waiting=True)
        self.ready.set()

    # ── Records ──────────────────────────────────────────────────────────────────────────────

    async def fetch(
        self, active: Iterable[TP], seconds: float, on_idle: Callable[[], None]
    ) -> Mapping[TP, list[Record]]:
        """Give the next records of these topics, a turn for each.

        Without any, it calls ``on_idle`` and waits so long for a reason to ask again, perhaps with
        other topics, and gives nothing.
        """
        self.ready.clear()
        found = {}
        for tp in active:
            one = self.sources.get(tp) or self.readers.get(tp)
            if one is not None:
                await one.puller.top_up()
                if one.puller.has_records:
                    found[tp] = one.puller.take(TURN_MAX)
        if not found:
            on_idle()
            is_busy = bool(len(self.flight))
            await wait_for(self.ready, min(seconds, BUSY_WAIT_SECONDS if is_busy else seconds))
        return found

    def epoch_of(self, tp: TP) -> int:
        """Say how often a topic began again; -1 when it is left."""
        one = self.sources.get(tp) or self.readers.get(tp)
        return -1 if one is None else one.puller.epoch

    def put_back(self, tp: TP, records: Sequence[Record], epoch: int) -> None:
        """Take back what was not handed on."""
        one = self.sources.get(tp) or self.readers.get(tp)
        if one is not None:
            one.puller.put_back(records, epoch)

    def hand_on(self, tp: TP, record: Record, generation: int) -> ConsumerMessage | None:
        """Give the message of a record; None if it is here already, or its topic was left."""
        now = monotonic()
        source = self.sources.get(tp)
        if source is None:
            reader = self.readers.get(tp)
            if reader is None:
                return None
            reader.next_offset = record.stream_sequence + 1
            return to_message(tp, record.stream_sequence, record, generation=generation, now=now)
        entry = self.flight.add(tp, record, now)
        if entry is None:
            return None
        source.pending = record.pending
        entry.message = to_message(tp, entry.offset, record, generation=generation, now=now)
        return entry.message

    def highwater(self, tp: TP) -> int:
        """Give the offset behind the last message that the server has."""
        reader = self.readers.get(tp)
        if reader is not None:
            return reader.highwater
        source = self.sources.get(tp)
        return self.flight.last_offset(tp) + 1 + (0 if source is None else source.pending)

    # ── Settling ─────────────────────────────────────────────────────────────────────────────

    async def acknowledge(self, tp: TP, offsets: Iterable[int]) -> None:
        """Settle what Faust acknowledged, as far as it is still ours."""
        source = self.sources.get(tp)
        entries = self.flight.settle(tp, offsets)
        if source is not None and entries:
            source.failures = 0
            await self._acks.ack(entries, is_confirmed=source.is_exclusive)

    def hold(self) -> list[Source]:
        """Stop the exclusive topics after a failure; `release` lets them begin again."""
        held = [source for source in self.sources.values() if source.is_exclusive]
        for source in held:
            source.failures += 1
            source.puller.pause(float("inf"))
            self.restart(source.tp)
        return held

    def release(self, held: Iterable[Source]) -> None:
        """Let topics begin again behind the ack floor, the later the oftener they failed."""
        for source in held:
            pause = pause_after(source.failures)
            source.puller.pause(pause)
            asyncio.get_running_loop().call_later(pause, self.ready.set)

    async def fail_begun(self) -> None:
        """Let what agents are at come again, the later the oftener it came."""
        failed = []
        for tp in self.flight.topics():
            failed += self._forget(self.flight.give_up_begun(tp))
        await self._acks.fail([entry.record for entry in failed])

    async def wait_begun(self, seconds: float) -> None:
        """Wait until agents have ended what they are at, or so long."""
        until = monotonic() + seconds
        while self.flight.begun() and monotonic() < until:  # noqa: ASYNC110  # Faust tells nobody
            await asyncio.sleep(IDLE_SECONDS)

    async def take_back(self) -> None:
        """Give to other workers what agents are at.

        An agent that is cancelled acknowledges what it was at, and must not be believed.
        """
        records = []
        for tp in self.flight.topics():
            entries = self._forget(self.flight.give_up_begun(tp))
            source = self.sources.get(tp)
            if source is not None and not source.is_exclusive:
                records += [entry.record for entry in entries]
        await self._acks.give_back(records)

    async def keep_alive(self) -> None:
        """Tell the server of all that is still here, as often as its ack_wait asks for."""
        now = monotonic()
        for source in list(self.sources.values()):
            if now - source.kept_at < source.keep_seconds / 2:
                continue
            source.kept_at = now
            due = self.flight.due(source.tp, now, source.keep_seconds / 2)
            waiting = source.puller.waiting()
            await self._acks.keep([*(entry.record for entry in due), *waiting])

    def _give_up(self, source: Source, *, only_waiting: bool) -> None:
        entries = self._forget(self.flight.give_up(source.tp, only_waiting=only_waiting))
        if entries and not source.is_exclusive:
            records = [entry.record for entry in entries]
            task = asyncio.get_running_loop().create_task(self._acks.give_back(records))
            self._saying.add(task)
            task.add_done_callback(self._saying.discard)

    def _forget(self, entries: list[Entry]) -> list[Entry]:
        for entry in entries:
            if entry.message is not None:
                self._on_forget(entry.message)
        return entries

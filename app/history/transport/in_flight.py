"""What was fetched and is not settled: between the pull and the acknowledgement.

In: records as they are handed on, offsets that Faust says are acknowledged. Out: local offsets,
dense for each topic; the records to acknowledge, to give back, to keep alive. Refuses nothing.

A topic's offsets only count up, over all rebalances, so that an acknowledgement that comes late
finds its own message or none. A message that comes again while its first delivery is still here
takes over the reply subject and is not handed on twice.
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import Final

from faust.types import TP, ConsumerMessage

from app.history.transport.wire import Record

KEPT_SECONDS_MAX: Final = 3_600.0
"""A message that nobody acknowledged for so long is no longer kept: the server gives it again."""

_STALE: Final = -1
"""A generation that no app has: the stream skips such a message."""


class Entry:
    """One message that is being worked on, or waits in an agent's queue."""

    __slots__ = ("kept_at", "message", "offset", "record", "since")

    def __init__(self, offset: int, record: Record, now: float) -> None:
        self.offset = offset
        self.record = record
        self.message: ConsumerMessage | None = None
        self.since = self.kept_at = now

    @property
    def is_begun(self) -> bool:
        """Whether an agent took it: else it waits in a queue, or was swept out of one."""
        return self.message is not None and self.message.tracked

    @property
    def is_acked(self) -> bool:
        """Whether Faust acknowledged it; the server does not know yet."""
        return self.message is not None and self.message.acked

    def make_stale(self) -> None:
        """Let a stream that still finds it in its queue skip it."""
        if self.message is not None:
            self.message.generation_id = _STALE


class InFlight:
    """All entries of one app, by topic and offset."""

    def __init__(self) -> None:
        self._entries: defaultdict[TP, dict[int, Entry]] = defaultdict(dict)
        self._by_sequence: defaultdict[TP, dict[int, Entry]] = defaultdict(dict)
        self._last: defaultdict[TP, int] = defaultdict(int)

    def add(self, tp: TP, record: Record, now: float) -> Entry | None:
        """Give a record its offset; None if it is here already."""
        held = self._by_sequence[tp].get(record.stream_sequence)
        if held is not None:
            held.record, held.kept_at = record, now
            return None
        offset = self._last[tp] = self._last[tp] + 1
        entry = Entry(offset, record, now)
        self._entries[tp][offset] = self._by_sequence[tp][record.stream_sequence] = entry
        return entry

    def settle(self, tp: TP, offsets: Iterable[int]) -> list[Entry]:
        """Take out what is acknowledged. What was given back meanwhile is not among it."""
        return self._remove(tp, offsets)

    def give_up(self, tp: TP, *, only_waiting: bool) -> list[Entry]:
        """Take out a topic's entries, or those that no agent began; they are stale from now on.

        What is acknowledged stays, until the commit that is due settles it.
        """
        chosen = [
            entry.offset
            for entry in self._entries[tp].values()
            if not entry.is_acked and not (only_waiting and entry.is_begun)
        ]
        return self._stale(self._remove(tp, chosen))

    def drop(self, tp: TP) -> list[Entry]:
        """Take out all of a topic's entries, acknowledged or not."""
        return self._stale(self._remove(tp, list(self._entries[tp])))

    def give_up_begun(self, tp: TP) -> list[Entry]:
        """Take out the entries that agents have begun and not acknowledged."""
        chosen = [
            entry.offset
            for entry in self._entries[tp].values()
            if entry.is_begun and not entry.is_acked
        ]
        return self._stale(self._remove(tp, chosen))

    def topics(self) -> list[TP]:
        """Give the topics that have entries."""
        return [tp for tp, entries in self._entries.items() if entries]

    def begun(self) -> list[Entry]:
        """Give what agents are at."""
        return [
            entry
            for entries in self._entries.values()
            for entry in entries.values()
            if entry.is_begun and not entry.is_acked
        ]

    def due(self, tp: TP, now: float, every_seconds: float) -> list[Entry]:
        """Give the entries whose server is to be told that they are still worked on."""
        due = []
        for entry in self._entries[tp].values():
            if now - entry.kept_at < every_seconds or now - entry.since > KEPT_SECONDS_MAX:
                continue
            entry.kept_at = now
            due.append(entry)
        return due

    def last_offset(self, tp: TP) -> int:
        """Give the offset handed out last; 0 before the first."""
        return self._last[tp]

    def __len__(self) -> int:
        return sum(map(len, self._entries.values()))

    def _remove(self, tp: TP, offsets: Iterable[int]) -> list[Entry]:
        entries, by_sequence = self._entries[tp], self._by_sequence[tp]
        removed = []
        for offset in offsets:
            entry = entries.pop(offset, None)
            if entry is not None:
                by_sequence.pop(entry.record.stream_sequence, None)
                removed.append(entry)
        return removed

    @staticmethod
    def _stale(entries: list[Entry]) -> list[Entry]:
        for entry in entries:
            entry.make_stale()
        return entries

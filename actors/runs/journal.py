"""A run's journal: what it did to the world, so that nothing of it is done again (DESIGN 4).

In: outcomes of steps, as they happen. Out: the same outcomes, when the run comes by again after a
crash, a retry or a sleep. The first entry carries what the run began with: its `now`, its flow's
version, its trigger. Before it nothing was observable, so fresh values are harmless.

Entries are written once. Another worker's entry in our place means that it goes on with the run:
RunLostError ends it here. Entries live for `KEPT_SECONDS`, and longer where the run sleeps longer.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from actors.errors import RunLostError, UnavailableError
from actors.nodes.state_write import StateWrite
from actors.outcomes import Advance, RunError, StepOutcome
from actors.ports import Clock, Journal, JournalEntry
from actors.runs.journal_entries import (
    CANCEL,
    COPY,
    END,
    FIRST,
    PAUSE,
    Head,
    Recalled,
    decode_outcome,
    encode_outcome,
)

KEPT_SECONDS: Final = 8 * 86_400
"""A day longer than events are kept: while an event may come again, its journal is there."""

FRESH_SECONDS: Final = 1.0
"""How long what we know of the journal is good enough to do something to the world by."""

INSIST_SECONDS: Final = 60.0
"""How long an outcome is tried to be kept while the bus is away. Longer than a delivery is ours:
whoever is first, so the other one does not do it again."""

RETRY_SECONDS: Final = 0.5

_DAY_MS: Final = 86_400_000


@dataclass(frozen=True, slots=True)
class JournalSeat:
    """Whose journal it is."""

    journal: Journal
    clock: Clock
    tenant: str
    run_id: str


class RunJournal:
    """The journal of one run, as one worker knows it."""

    def __init__(self, seat: JournalSeat, head: Head, *, delivered: int = 1) -> None:
        self.head = head
        self.is_begun = False
        """Whether anything stands in it; then `head` is what the run began with."""
        self.is_loaded = False
        self.cancel_reason: str | None = None
        self.end: RunError | None = None
        """What the run has failed with, where another walk might not come to it."""
        self.end_operations = 0
        """What its scripts had been charged by then."""
        self._seat = seat
        self._delivered = delivered
        self._entries: dict[str, dict[str, Any]] = {}
        self._taken: set[str] = set()
        self._step = ""
        self._last = ""
        self._fresh_at = seat.clock.monotonic()

    # ── What was ─────────────────────────────────────────────────────────────────────────────

    async def load(self) -> None:
        """Read what earlier legs and other workers wrote. UnavailableError."""
        asked_at = self._seat.clock.monotonic()
        for entry in await self._seat.journal.read(self._seat.tenant, self._seat.run_id):
            if entry.step == CANCEL:
                self.cancel_reason = str(entry.value.get("reason", ""))
            elif entry.step == END:
                end = entry.value
                self.end = RunError(end["code"], end["node"], end["message"])
                self.end_operations = end.get("operations", 0)
            else:
                self._take(entry)
        self.is_loaded = True
        self._fresh_at = asked_at

    async def refresh(self) -> None:
        """Read again what may be out of date. UnavailableError."""
        if self._seat.clock.monotonic() - self._fresh_at > FRESH_SECONDS:
            await self.load()

    @property
    def is_replaying(self) -> bool:
        """Whether the run has been further than it is now."""
        return len(self._taken) < len(self._entries)

    @property
    def deliveries_without_progress(self) -> int:
        """How often the delivery came since the last entry was written."""
        last = self._entries.get(self._last)
        return self._delivered - (0 if last is None else min(last["delivered"], self._delivered))

    def come_to(self, step: str) -> None:
        """Name the step that is taken now: ``{step}:{iteration}``."""
        self._step = step

    def recall(self) -> Recalled | None:
        """Give what this step came to, if it was taken before."""
        race = 0
        while self._key(race + 1) in self._entries:
            race += 1
        key = self._key(race)
        document = self._entries.get(key)
        if document is None:
            return None
        self._taken.update(self._key(number) for number in range(race + 1))
        writes = tuple(StateWrite.from_document(item) for item in document.get("writes", ()))
        return Recalled(
            decode_outcome(document),
            writes,
            race,
            is_last=key == self._last,
            operations=document.get("operations", 0),
        )

    def has(self, race: int) -> bool:
        """Tell whether this evaluation of the step stands in the journal."""
        return self._key(race) in self._entries

    @property
    def effects(self) -> int:
        """How many of the entries, of whichever leg, say that something was done outside."""
        return sum(1 for document in self._entries.values() if "effect" in document)

    # ── What is ──────────────────────────────────────────────────────────────────────────────

    async def record(
        self,
        outcome: StepOutcome | RunError,
        race: int,
        *,
        operations: int = 0,
        is_effect: bool = False,
    ) -> None:
        """Keep what the step came to and used. RunLostError, PermanentError (``too_large``)."""
        document = encode_outcome(outcome)
        if is_effect:
            document["effect"] = True
        await self._write_step(document, race, operations)

    async def intend(
        self, outcome: Advance, writes: Sequence[StateWrite], race: int, *, operations: int = 0
    ) -> None:
        """Keep what the step came to before its writes are applied; see `record`."""
        document = encode_outcome(outcome)
        document["writes"] = [write.as_document() for write in writes]
        await self._write_step(document, race, operations)

    async def mark_pause(self) -> None:
        """Keep that the run is put off, where something depends on it. RunLostError.

        A run that has not begun begins with it, so that all its legs agree on what it began with;
        and writes that stand last were applied, so that no later leg applies them again.
        """
        if not self.is_begun:
            await self._write(PAUSE, {"kind": "pause"})
        elif self._entries[self._last].get("writes") and not self._is_at(self._last):
            await self._write(f"{PAUSE}{self._last}", {"kind": "pause"})

    async def keep_end(self, error: RunError, operations: int) -> None:
        """Keep what the run has failed with; whoever was first is right. RunLostError."""
        await self._insist(JournalEntry(END, {**error.as_mapping(), "operations": operations}))

    async def cancel(self, reason: str) -> None:
        """Keep that the run was cancelled; whoever was first is right."""
        await write_cancel(self._seat, reason)

    async def outlast(self, due_ms: int, leg: int) -> None:
        """See that everything is still there some days after ``due_ms``. UnavailableError."""
        needed_ms = due_ms + KEPT_SECONDS * 1000 - _DAY_MS
        ttl_seconds = max(0, due_ms - self._seat.clock.now_ms()) // 1000 + KEPT_SECONDS
        for step, document in self._entries.items():
            if document["until_ms"] < needed_ms:
                document["until_ms"] = self._until_ms(ttl_seconds)
                copy = JournalEntry(f"{step}{COPY}{leg}", document)
                await self._seat.journal.write(
                    self._seat.tenant, self._seat.run_id, copy, ttl_seconds=ttl_seconds
                )

    def _take(self, entry: JournalEntry) -> None:
        document = entry.value
        step = document.get("step", entry.step).partition(COPY)[0]
        known = self._entries.get(step)
        if known is None:
            self._last = step
            if step.startswith(PAUSE):
                self._taken.add(step)
        if known is None or known["until_ms"] < document["until_ms"]:
            self._entries[step] = document
        if "head" in document:
            self.head = Head(**document["head"])
            self.is_begun = True

    async def _write_step(self, document: dict[str, Any], race: int, operations: int) -> None:
        if operations:
            document["operations"] = operations
        await self._write(self._key(race), document)

    async def _write(self, key: str, document: dict[str, Any]) -> None:
        document["until_ms"] = self._until_ms(KEPT_SECONDS)
        document["delivered"] = self._delivered
        place = key
        if not self.is_begun:
            document |= {"head": self.head.as_document(), "step": key}
            place = FIRST
        asked_at = self._seat.clock.monotonic()
        is_ours = await self._insist(JournalEntry(place, document))
        if not is_ours and not key.startswith(PAUSE):
            raise RunLostError("another worker goes on with this run")
        if not is_ours and not self.is_begun:
            raise RunLostError("another worker has begun this run")
        self._fresh_at = asked_at
        self._entries[key] = document
        self._taken.add(key)
        self._last = key
        self.is_begun = True

    async def _insist(self, entry: JournalEntry) -> bool:
        seat = self._seat
        give_up_at = seat.clock.monotonic() + INSIST_SECONDS
        while True:
            try:
                return await seat.journal.write(
                    seat.tenant, seat.run_id, entry, ttl_seconds=KEPT_SECONDS
                )
            except UnavailableError as error:
                if seat.clock.monotonic() >= give_up_at:
                    raise RunLostError(f"the journal could not be written: {error}") from error
                await seat.clock.sleep(RETRY_SECONDS)

    def _until_ms(self, ttl_seconds: int) -> int:
        return self._seat.clock.now_ms() + ttl_seconds * 1000

    def _is_at(self, key: str) -> bool:
        """Tell whether an entry is of the step that is taken now."""
        return key == self._step or key.startswith(f"{self._step}:")

    def _key(self, race: int) -> str:
        return f"{self._step}:{race}" if race else self._step


async def write_cancel(seat: JournalSeat, reason: str) -> None:
    """Ask for a run's end, whether or not anybody runs it now. UnavailableError."""
    entry = JournalEntry(CANCEL, {"reason": reason})
    await seat.journal.write(seat.tenant, seat.run_id, entry, ttl_seconds=KEPT_SECONDS)

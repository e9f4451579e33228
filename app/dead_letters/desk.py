"""The desk: list, count, show, redrive and discard a tenant's dead letters; `Redriver`.

In: a tenant, letters or a filter. Out: pages, counts, reports. Refuses a letter that the tenant
does not have (NotFoundError) and names that are no tokens; UnavailableError when NATS does not
answer, but from a redrive or a discard under way, whose report then says so.

A redrive stores the new run's continuation and then deletes the letter. A crash between the two
leaves both; redriving the letter again is the same run, by its id. Letters are kept in one stream
for all tenants: every question and every deletion goes by the tenant's own subjects.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from actors.errors import InvalidEventError, UnavailableError
from actors.ports import Clock, Continuations
from actors.runs.redriving import redriven
from app.bus.admin import JetStreamAdmin
from app.bus.direct import DirectReader
from app.dead_letters.letters import (
    KeptLetter,
    LetterCounts,
    LetterFilter,
    LetterPage,
    Report,
)
from app.dead_letters.shelf import PLACE_DIGITS_MAX, LetterShelf
from app.errors import BusError, NotFoundError

PAGE_MAX: Final = 1000
PAGE_DEFAULT: Final = 100
LOOKED_AT_MAX: Final = 20_000
"""Letters that one listing looks through for those that match; the next page goes on."""
PLACE_MAX: Final = 10**PLACE_DIGITS_MAX - 1
COUNTED_MAX: Final = 100_000
IDS_MAX: Final = 1000
AT_ONCE_DEFAULT: Final = 1000
"""Letters that one redrive or discard takes, unless it is told to take more."""
PER_SECOND_DEFAULT: Final = 50.0
PER_SECOND_MAX: Final = 1000.0

_FIRST_STEP: Final = 100
_STEP: Final = 500
"""Letters read at a time: asking costs the more the more there are to come (30 ms of 50,000)."""
_NOBODY: Final = "there is no such letter"
_TOLD_EVERY: Final = 20

Order = Literal["newest", "oldest"]
Chosen = LetterFilter | Sequence[str]
"""Letters by what they are, or by their ids."""
Progress = Callable[[Report], None]


@dataclass(frozen=True, slots=True)
class Effort:
    """How a redrive or a discard goes about it."""

    limit: int | None = AT_ONCE_DEFAULT
    """Letters it takes at most; None: all that there are when it begins."""
    per_second: float | None = PER_SECOND_DEFAULT
    """None: as fast as it goes."""
    is_dry_run: bool = False


class DeadLetterDesk:
    """The dead letters of one env; every question names the tenant."""

    def __init__(
        self,
        reader: DirectReader,
        continuations: Continuations,
        clock: Clock,
        *,
        env: str,
        stream: str,
    ) -> None:
        self._reader = reader
        self._admin = JetStreamAdmin(reader.bus)
        self._continuations = continuations
        self._clock = clock
        self._env = env
        self._stream = stream

    # ── Looking ──────────────────────────────────────────────────────────────────────────────

    async def list(
        self,
        tenant: str,
        which: LetterFilter,
        *,
        order: Order = "newest",
        after: int | None = None,
        limit: int = PAGE_DEFAULT,
    ) -> LetterPage:
        """Give a page; ``after`` is the last page's ``next_after``, in the same order.

        A page may be short, even empty, and still have a next one: it looked through
        `LOOKED_AT_MAX` letters. ``limit`` is 1 to `PAGE_MAX`.
        """
        if not 1 <= limit <= PAGE_MAX:
            raise ValueError(f"a page has 1 to {PAGE_MAX} letters")
        if after is not None and not 0 <= after <= PLACE_MAX:
            raise ValueError(f"a place is 0 to {PLACE_MAX}")
        found: list[KeptLetter] = []
        looked_at = 0
        async for kept in self._walk(tenant, which, order, after):
            looked_at += 1
            if which.matches(kept):
                if len(found) == limit:
                    return LetterPage(found, found[-1].sequence)
                found.append(kept.without_content())
            if looked_at == LOOKED_AT_MAX:
                return LetterPage(found, kept.sequence)
        return LetterPage(found, None)

    async def count(self, tenant: str) -> LetterCounts:
        """Count a tenant's letters, and the oldest `COUNTED_MAX` by flow and reason."""
        total = await self._shelf(tenant).count_from(1)
        counts: dict[tuple[str | None, str], int] = {}
        counted = 0
        async for kept in self._walk(tenant, LetterFilter(), "oldest", None):
            flow = None if kept.letter is None else kept.letter.flow
            counts[flow, kept.reason] = counts.get((flow, kept.reason), 0) + 1
            counted += 1
            if counted == COUNTED_MAX:
                return LetterCounts(max(total, counted), counts, is_complete=total <= counted)
        return LetterCounts(counted, counts, is_complete=True)

    async def show(self, tenant: str, letter_id: str) -> KeptLetter:
        """Give one letter by its id, or by its place as ``@SEQUENCE``. NotFoundError."""
        kept = await self._shelf(tenant).find(letter_id)
        if kept is None:
            raise NotFoundError(f"tenant {tenant} has no dead letter {letter_id[:64]!r}")
        return kept

    # ── Doing ────────────────────────────────────────────────────────────────────────────────

    async def redrive(
        self,
        tenant: str,
        chosen: Chosen,
        effort: Effort | None = None,
        tell: Progress | None = None,
    ) -> Report:
        """Start the runs of letters anew, the oldest first; what cannot be redriven stays.

        Letters that come while it works, those of its own runs among them, are not taken.
        """

        async def one(kept: KeptLetter, report: Report) -> None:
            if not kept.can_redrive:
                report.not_redrivable += 1
            elif report.is_dry_run or await self._redrive_one(kept):
                report.done += 1

        return await self._work(tenant, chosen, effort or Effort(), one, tell)

    async def discard(
        self,
        tenant: str,
        chosen: Chosen,
        effort: Effort | None = None,
        tell: Progress | None = None,
    ) -> Report:
        """Delete letters for good, the oldest first, whatever they are."""

        async def one(kept: KeptLetter, report: Report) -> None:
            if not report.is_dry_run:
                await self._admin.delete_message(self._stream, kept.sequence)
            report.done += 1

        return await self._work(tenant, chosen, effort or Effort(per_second=None), one, tell)

    async def redrive_event(self, tenant: str, event_id: str) -> int:
        """Redrive the letters of one event and give how many there were. UnavailableError."""
        redriven_count = 0
        for kept in await self._shelf(tenant).of_event(event_id):
            try:
                redriven_count += kept.can_redrive and await self._redrive_one(kept)
            except InvalidEventError:
                continue  # it stays, for a person to look at
            except BusError as error:
                raise UnavailableError(f"the letters cannot be changed now: {error}") from error
        return redriven_count

    # ── Letters, one by one ──────────────────────────────────────────────────────────────────

    async def _redrive_one(self, kept: KeptLetter) -> bool:
        continuation = None if kept.letter is None else redriven(kept.letter)
        if continuation is None:
            return False
        # To the tenant's run subject, also where the flow has a lane: only a worker knows which
        # flow is in force when it comes, and takes it to its lane.
        await self._continuations.schedule(kept.tenant, continuation)
        await self._admin.delete_message(self._stream, kept.sequence)
        return True

    async def _work(
        self,
        tenant: str,
        chosen: Chosen,
        effort: Effort,
        one: Callable[[KeptLetter, Report], Awaitable[None]],
        tell: Progress | None,
    ) -> Report:
        report = Report(is_dry_run=effort.is_dry_run)
        pace = _Pace(self._clock, None if effort.is_dry_run else effort.per_second)
        try:
            async for letter_id, kept in self._choose(tenant, chosen):
                if report.chosen == effort.limit:
                    report.has_more = True
                    break
                report.chosen += 1
                if kept is None:
                    report.fail(letter_id, _NOBODY)
                    continue
                await pace.wait_turn()
                try:
                    await one(kept, report)
                except (InvalidEventError, BusError) as error:
                    report.fail(letter_id, str(error))
                if tell is not None and report.chosen % _TOLD_EVERY == 0:
                    tell(report)
        except UnavailableError as error:
            report.stopped = str(error)
        return report

    async def _choose(
        self, tenant: str, chosen: Chosen
    ) -> AsyncIterator[tuple[str, KeptLetter | None]]:
        shelf = self._shelf(tenant)
        if not isinstance(chosen, LetterFilter):
            if len(chosen) > IDS_MAX:
                raise ValueError(f"at most {IDS_MAX} letters can be named at once")
            for letter_id in dict.fromkeys(chosen):
                yield letter_id, await shelf.find(letter_id)
            return
        last = await self._last_sequence()
        async for kept in self._walk(tenant, chosen, "oldest", None):
            if kept.sequence > last:
                return
            if chosen.matches(kept):
                yield kept.id, kept

    async def _walk(
        self, tenant: str, which: LetterFilter, order: Order, after: int | None
    ) -> AsyncIterator[KeptLetter]:
        """Give the letters that may match, in order, and at least those that do."""
        shelf = self._shelf(tenant)
        if which.event_id is not None:
            async for kept in _of_event(shelf, which.event_id, order, after):
                yield kept
            return
        is_newest = order == "newest"
        place, step = after or 0, _FIRST_STEP
        if is_newest:
            end = await self._last_sequence() + 1
            place = end if after is None else min(after, end)
        while place > 1 or not is_newest:
            read = shelf.backward if is_newest else shelf.forward
            letters = await read(place, step)
            step = _STEP
            for kept in letters:
                if is_newest and which.since_ms is not None and kept.stored_ms < which.since_ms:
                    return  # stored after it failed; whatever lies before it is older still
                yield kept
                place = kept.sequence
            if not letters:
                return
            await asyncio.sleep(0)

    async def _last_sequence(self) -> int:
        info = await self._admin.stream_info(self._stream)
        return 0 if info is None else info.last_sequence

    def _shelf(self, tenant: str) -> LetterShelf:
        return LetterShelf(self._reader, self._stream, self._env, tenant)


async def _of_event(
    shelf: LetterShelf, event_id: str, order: Order, after: int | None
) -> AsyncIterator[KeptLetter]:
    letters = [*await shelf.of_event(event_id), *await shelf.of_event_before(event_id)]
    letters.sort(key=lambda kept: kept.sequence, reverse=order == "newest")
    for kept in letters:
        is_past = after is None or (
            kept.sequence < after if order == "newest" else kept.sequence > after
        )
        if is_past:
            yield kept


class _Pace:
    """Lets letters through one at a time, so many a second, without catching up in a burst."""

    def __init__(self, clock: Clock, per_second: float | None) -> None:
        self._clock = clock
        self._pause_seconds = 0.0 if per_second is None else 1 / per_second
        self._next_at = 0.0

    async def wait_turn(self) -> None:
        """Wait until the next one may go."""
        if not self._pause_seconds:
            return
        now = self._clock.monotonic()
        if self._next_at > now:
            await self._clock.sleep(self._next_at - now)
            now = self._next_at
        self._next_at = now + self._pause_seconds

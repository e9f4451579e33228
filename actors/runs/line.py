"""The line: runs of a timer that wait for their turn, the earliest tick first.

In: claims. Out: places in the line. Refuses to hold more than `WAITING_MAX`. The runs themselves
wait as continuations in WORK and look again when they come due; who does not come back in time has
lost its place, so that a run that vanished holds up nobody.
"""

from typing import Any, Final

from actors.ports import Clock, StateEntry, StateScope, StateStore
from actors.runs.turns import Claim

WAITING_MAX: Final = 1000
"""Runs of one timer that may wait."""

LOOK_SECONDS_MIN: Final = 1.0
LOOK_SECONDS_MAX: Final = 60.0
"""The first in line looks every second, the others the less often the further back they are."""

GRACE_MS: Final = 120_000
"""How late a run may come back and still have its place."""

LINE_SECONDS: Final = 86_400.0
TRIES_MAX: Final = 20

Place = tuple[int, str, int]
"""A tick's scheduled time, its run, and when it looks again (both times in milliseconds)."""


class Line:
    """Keeps the order of those who wait. Every method may raise UnavailableError."""

    def __init__(self, store: StateStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def is_first(self, claim: Claim) -> bool:
        """Tell whether nobody stands before this run."""
        waiting = self._present(await self._read(claim))
        return all(place[:2] >= (claim.scheduled_ms, claim.run_id) for place in waiting)

    async def join(self, claim: Claim) -> int | None:
        """Take a place, or keep it, and give when to look again; None where the line is full."""
        for _ in range(TRIES_MAX):
            entry = await self._read(claim)
            everybody = self._present(entry)
            others = [place for place in everybody if place[1] != claim.run_id]
            if len(others) == len(everybody) and len(others) >= WAITING_MAX:
                return None
            before = sum(place[:2] < (claim.scheduled_ms, claim.run_id) for place in others)
            delay_seconds = min(LOOK_SECONDS_MIN + before, LOOK_SECONDS_MAX)
            due_ms = self._clock.now_ms() + round(delay_seconds * 1000)
            places = sorted([*others, (claim.scheduled_ms, claim.run_id, due_ms)])
            if await self._write(claim, places, entry.revision):
                return due_ms
        # Many came at once. Its place is taken the next time; until then it waits all the same.
        return self._clock.now_ms() + round(LOOK_SECONDS_MIN * 1000)

    async def leave(self, claim: Claim) -> None:
        """Give the place up."""
        for _ in range(TRIES_MAX):
            entry = await self._read(claim)
            everybody = self._present(entry)
            others = [place for place in everybody if place[1] != claim.run_id]
            if len(others) == len(everybody) or await self._write(claim, others, entry.revision):
                return

    def _present(self, entry: StateEntry) -> list[Place]:
        """Give those who have come back in time so far, first things first."""
        oldest_ms = self._clock.now_ms() - GRACE_MS
        return [place for place in _decode(entry) if place[2] >= oldest_ms]

    async def _read(self, claim: Claim) -> StateEntry:
        return await self._store.get(StateScope(claim.tenant), f"line:{claim.timer}")

    async def _write(self, claim: Claim, places: list[Place], revision: int) -> bool:
        return await self._store.put(
            StateScope(claim.tenant),
            f"line:{claim.timer}",
            {"waiting": places},
            revision=revision,
            ttl_seconds=LINE_SECONDS,
        )


def _decode(entry: StateEntry) -> list[Place]:
    """Read the line; one that cannot be read is empty."""
    value: Any = entry.value
    try:
        return sorted((int(tick), str(run), int(due)) for tick, run, due in value["waiting"])
    except (TypeError, KeyError, ValueError):
        return []

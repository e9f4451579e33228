"""Turns: one run of a timer at a time, whatever the number of workers.

In: a store with compare-and-set, shared by all workers, and a claim. Out: a turn, held for as long
as its holder shows signs of life; or who holds it. The turn of a worker that died is free after
`TURN_SECONDS`, but the same run may take it again at once: it is the same work, redelivered.

A holder's write names nobody else's: who finds another token in the record has lost the turn, and
must stop. The record of a turn that was given back is kept for a while; by it `cancel` knows that
a later tick has run already.
"""

from dataclasses import asdict, dataclass, replace
from enum import Enum
from typing import Any, Final

from actors.ports import Clock, Ids, StateEntry, StateScope, StateStore

TURN_SECONDS: Final = 40.0
"""Longer than the consumer's ack_wait of 30 s: what a dead worker ran is repeated before others."""

RENEW_SECONDS: Final = 10.0
REMEMBER_SECONDS: Final = 3600.0
"""How long it is known which tick ran last."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A run that wants its timer's turn. ``timer`` is its event type, ``timer.<flow>.<n>``."""

    tenant: str
    timer: str
    run_id: str
    scheduled_ms: int


@dataclass(frozen=True, slots=True)
class Holder:
    """Whose turn it is, or (``is_over``) whose it was last."""

    run_id: str
    scheduled_ms: int
    token: str
    """Another one each time a turn is taken: two workers may be given the same run."""
    is_over: bool = False
    cancelled_by: str | None = None
    """The run that wants this one ended."""


@dataclass(slots=True)
class Turn:
    """A turn that we hold."""

    claim: Claim
    token: str
    renewed_at: float
    """On the monotonic clock, in seconds."""


class TurnState(Enum):
    """What became of a turn we held."""

    HELD = "held"
    CANCELLED = "cancelled"
    LOST = "lost"


class Turns:
    """Takes, keeps and gives back turns. Every method may raise UnavailableError."""

    def __init__(self, store: StateStore, clock: Clock, ids: Ids) -> None:
        self._store = store
        self._clock = clock
        self._ids = ids

    async def find_holder(self, claim: Claim) -> Holder | None:
        """Tell whose turn it is, or was last; None where that is not known."""
        return _decode(await self._read(claim))

    async def take(self, claim: Claim) -> Turn | None:
        """Take the turn unless another run holds it."""
        asked_at = self._clock.monotonic()
        entry = await self._read(claim)
        holder = _decode(entry)
        if holder is not None and not holder.is_over and holder.run_id != claim.run_id:
            return None
        token = self._ids.event_id()
        mine = Holder(claim.run_id, claim.scheduled_ms, token)
        if not await self._write(claim, mine, entry.revision, TURN_SECONDS):
            return None
        return Turn(claim, token, asked_at)

    async def look(self, turn: Turn) -> TurnState:
        """Look whether the turn is still ours, renewing it now and then."""
        asked_at = self._clock.monotonic()
        entry = await self._read(turn.claim)
        holder = _decode(entry)
        if holder is None or holder.is_over or holder.token != turn.token:
            return TurnState.LOST
        if holder.cancelled_by is not None:
            return TurnState.CANCELLED
        if asked_at - turn.renewed_at >= RENEW_SECONDS and await self._write(
            turn.claim, holder, entry.revision, TURN_SECONDS
        ):
            turn.renewed_at = asked_at
        return TurnState.HELD

    async def cancel(self, claim: Claim) -> None:
        """Ask whoever holds the turn to end its run; who asked already need not again."""
        entry = await self._read(claim)
        holder = _decode(entry)
        if holder is not None and not holder.is_over and holder.cancelled_by is None:
            marked = replace(holder, cancelled_by=claim.run_id)
            await self._write(claim, marked, entry.revision, TURN_SECONDS)

    async def give_back(self, turn: Turn) -> None:
        """Let others have the turn; one that was lost already stays theirs."""
        while True:
            entry = await self._read(turn.claim)
            holder = _decode(entry)
            if holder is None or holder.is_over or holder.token != turn.token:
                return
            over = replace(holder, is_over=True)
            if await self._write(turn.claim, over, entry.revision, REMEMBER_SECONDS):
                return

    async def keep(self, turn: Turn, seconds: float) -> None:
        """Keep the turn for so long without a sign of life, and as long as one gives besides."""
        entry = await self._read(turn.claim)
        holder = _decode(entry)
        if holder is not None and holder.token == turn.token:
            await self._write(turn.claim, holder, entry.revision, seconds + TURN_SECONDS)

    async def _read(self, claim: Claim) -> StateEntry:
        return await self._store.get(StateScope(claim.tenant), f"turn:{claim.timer}")

    async def _write(self, claim: Claim, holder: Holder, revision: int, ttl_seconds: float) -> bool:
        return await self._store.put(
            StateScope(claim.tenant),
            f"turn:{claim.timer}",
            asdict(holder),
            revision=revision,
            ttl_seconds=ttl_seconds,
        )


def _decode(entry: StateEntry) -> Holder | None:
    """Read the record; one that cannot be read is as good as none."""
    value: Any = entry.value
    try:
        return Holder(**value)
    except TypeError:
        return None

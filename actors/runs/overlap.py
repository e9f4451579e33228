"""Overlap: what a timer's tick does while the run of an earlier one goes on (SPEC 12.5).

In: a run that a timer started and that stands before its first node. Out: its outcome: walked while
it holds its timer's turn; rejected (`skip`, a full line); put off as a continuation (`queue`,
`cancel`); cancelled by a later tick; or interrupted, where the turn was lost.

At most one run of a timer goes on as long as the workers' clocks agree within some seconds: a
worker that is cut off from the bus stops its run before the turn is free to others. One that was
frozen and is thawed may finish a step beside them. Delivery is at least once, as ever.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, Final, cast

from actors.errors import UnavailableError
from actors.flows.compiled import Overlap
from actors.outcomes import Cancelled, Continued, Interrupted, Rejected, RunOutcome
from actors.ports import Clock, StateStore
from actors.runs.begin import RunSeat
from actors.runs.line import WAITING_MAX, Line
from actors.runs.pause import Pause, put_off
from actors.runs.run import Run
from actors.runs.turns import TURN_SECONDS, Claim, Turn, Turns, TurnState
from actors.runs.walk import Walker

LOOK_SECONDS: Final = 1.0
"""How often a running run looks whether it still has its turn, and a cancelling one whether it may
begin."""

RETRY_SECONDS: Final = 1.0
KEPT_SECONDS_MAX: Final = TURN_SECONDS - 10.0
"""A holder that could not renew its turn for so long stops: soon it is free to others."""


def needs_turn(run: Run) -> bool:
    """Tell whether a timer that does not allow overlapping started this run."""
    return _policy_of(run) != "allow"


class OverlapGuard:
    """Walks runs of one flow's timers, one at a time for each timer."""

    def __init__(self, seat: RunSeat, store: StateStore, walker: Walker) -> None:
        world = seat.world
        self._tenant = seat.tenant
        self._clock: Clock = world.clock
        self._turns = Turns(store, world.clock, world.ids)
        self._line = Line(store, world.clock)
        self._walker = walker

    async def take(self, run: Run) -> RunOutcome | None:
        """Take the timer's turn for a run, or give the outcome of a run that does not get it."""
        claim = self._claim_of(run)
        while True:
            try:
                taken = await self._take(run, claim)
            except UnavailableError:
                if not run.request.is_ours(self._clock):
                    return Interrupted("its turn could not be asked for", is_lost=True)
                await self._clock.sleep(RETRY_SECONDS)
            else:
                if not isinstance(taken, Turn):
                    return taken
                run.turn = taken
                return None

    async def walk(self, run: Run) -> RunOutcome | Pause:
        """Walk a run that has its turn, for as long as it has it."""
        turn = cast("Turn", run.turn)
        walking = asyncio.ensure_future(self._walker.walk(run))
        watching = asyncio.ensure_future(self._watch(turn))
        try:
            await asyncio.wait({walking, watching}, return_when=asyncio.FIRST_COMPLETED)
            if walking.done():
                return walking.result()
            if watching.result() is TurnState.CANCELLED:
                return Cancelled("overlap cancel: a later tick took its turn")
            return Interrupted("its turn was lost; another worker may have it")
        finally:
            await _end(walking, watching)

    async def let_go(self, run: Run, outcome: RunOutcome) -> None:
        """Let the next one go, once this one is settled: until then it may have to be repeated.

        A run that sleeps keeps its turn, but for one that a later tick may cancel.
        """
        turn = run.turn
        if turn is None or isinstance(outcome, Interrupted):
            return
        if isinstance(outcome, Continued) and _policy_of(run) != "cancel":
            asleep_seconds = max(0, outcome.due_ms - self._clock.now_ms()) / 1000
            await self._insist(turn, lambda: self._turns.keep(turn, asleep_seconds))
        else:
            await self._insist(turn, lambda: self._turns.give_back(turn))

    async def _insist(self, turn: Turn, ask: Callable[[], Awaitable[None]]) -> None:
        """Ask until the bus answers; where it does not for long, the turn runs out by itself."""
        while self._clock.monotonic() - turn.renewed_at < TURN_SECONDS:
            try:
                await ask()
            except UnavailableError:
                await self._clock.sleep(RETRY_SECONDS)
            else:
                return

    # ── Before the first node ────────────────────────────────────────────────────────────────

    async def _take(self, run: Run, claim: Claim) -> Turn | RunOutcome:
        policy = _policy_of(run)
        if run.request.leg and policy != "cancel":
            # It has begun: nobody may refuse it any more, and it had its turn when it fell asleep.
            turn = await self._turns.take(claim)
            soon_ms = self._clock.now_ms() + round(LOOK_SECONDS * 1000)
            return turn or await self._put_off(run, soon_ms)
        match policy:
            case "queue":
                return await self._take_in_order(run, claim)
            case "cancel":
                return await self._take_over(run, claim)
            case _:
                return await self._turns.take(claim) or await self._skip(claim)

    async def _skip(self, claim: Claim) -> Rejected:
        holder = await self._turns.find_holder(claim)
        tick = "another tick" if holder is None else f"the tick of {_time(holder.scheduled_ms)}"
        return Rejected(f"overlap skip: the run of {tick} was still going on")

    async def _take_in_order(self, run: Run, claim: Claim) -> Turn | RunOutcome:
        if await self._line.is_first(claim):
            turn = await self._turns.take(claim)
            if turn is not None:
                await self._line.leave(claim)
                return turn
        due_ms = await self._line.join(claim)
        if due_ms is None:
            return Rejected(f"overlap queue: {WAITING_MAX} runs of this timer wait already")
        return await self._put_off(run, due_ms)

    async def _take_over(self, run: Run, claim: Claim) -> Turn | RunOutcome:
        holder = await self._turns.find_holder(claim)
        if holder is not None and holder.scheduled_ms > claim.scheduled_ms:
            return Cancelled(f"overlap cancel: the tick of {_time(holder.scheduled_ms)} came later")
        turn = await self._turns.take(claim)
        if turn is not None:
            return turn
        await self._turns.cancel(claim)
        return await self._put_off(run, self._clock.now_ms() + round(LOOK_SECONDS * 1000))

    async def _put_off(self, run: Run, due_ms: int) -> Continued | Interrupted:
        return await put_off(run, Pause(due_ms, "turn"))

    # ── While it runs ────────────────────────────────────────────────────────────────────────

    async def _watch(self, turn: Turn) -> TurnState:
        """Keep the turn until it is no longer ours."""
        while self._clock.monotonic() - turn.renewed_at < KEPT_SECONDS_MAX:
            await self._clock.sleep(LOOK_SECONDS)
            try:
                state = await self._turns.look(turn)
            except UnavailableError:
                continue
            if state is not TurnState.HELD:
                return state
        return TurnState.LOST

    def _claim_of(self, run: Run) -> Claim:
        event, chosen = run.request.event, run.chosen
        timer = event.event_type if chosen is None else chosen.pattern or event.event_type
        scheduled = event.payload.get("scheduled_ms") if isinstance(event.payload, dict) else None
        if not isinstance(scheduled, int):
            scheduled = event.timestamp
        # A client of the bus may have written anything: no tick comes after all others for ever.
        scheduled_ms = max(0, min(scheduled, self._clock.now_ms()))
        return Claim(self._tenant, timer, run.request.run_id, scheduled_ms)


async def _end(*tasks: "asyncio.Future[Any]") -> None:
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    for task in tasks:
        if not task.cancelled():
            task.exception()  # it has been looked at: the first one's outcome counts


def _policy_of(run: Run) -> Overlap:
    schedule = None if run.chosen is None else run.chosen.schedule
    return "allow" if schedule is None else schedule.overlap


def _time(instant_ms: int) -> str:
    return datetime.fromtimestamp(instant_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

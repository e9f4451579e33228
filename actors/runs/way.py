"""The way of a run, from its request to its outcome: begun or resumed, let in, walked, put off.

In: a request, or a run that `begin` made. Out: the outcome. Every failure of a run ends here, as
its outcome: one bad run stops no other.
"""

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from math import ceil
from typing import Final

from actors.errors import NodeError, QuotaExceededError, RunLostError, UnavailableError
from actors.flows.compiled import CompiledFlow
from actors.outcomes import Cancelled, Continued, Failed, Interrupted, RunError, RunOutcome
from actors.ports import StateStore
from actors.runs.begin import RunSeat, begin, choose_trigger, resume
from actors.runs.in_hand import RunsInHand
from actors.runs.overlap import OverlapGuard, needs_turn
from actors.runs.pause import Pause, put_off
from actors.runs.request import RunRequest
from actors.runs.run import Run
from actors.runs.walk import Walker

RETRY_SECONDS: Final = 0.5
QUOTA_PAUSE_MS_MIN: Final = 100
"""A continuation that comes at once would only turn round and round."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """No trigger's filter holds: nothing starts, and nothing is recorded."""


SKIPPED: Final = Skipped()

TIMER_SOURCE: Final = "timer"
"""Of a timer's events (SPEC 1)."""

IN_HAND: Final = Interrupted("this worker has the run in hand already", is_lost=True)
"""Of a second delivery of one run: two walks of it beside each other would do things twice."""

Reached = RunOutcome | Skipped
"""Where a run may come to, with nothing left to be done for it here."""


class Way:
    """Takes runs of one flow along."""

    def __init__(
        self,
        seat: RunSeat,
        flows: Mapping[str, CompiledFlow],
        leases: StateStore,
        in_hand: RunsInHand,
    ) -> None:
        self._seat = seat
        self._walker = _PatientWalker(flows)
        self._overlap = OverlapGuard(seat, leases, self._walker)
        self._in_hand = in_hand

    def go_inline(self, run: Run) -> Reached | Pause | None:
        """Take a fresh run as far as it goes without waiting; None: `go` on with it."""
        try:
            let_in = self._let_in(run)
            if let_in is not None or needs_turn(run):
                return let_in
            return self._walker.walk_inline(run)
        except Exception as error:  # noqa: BLE001 - the run's edge: one bad run stops no other
            return _outcome_of(error)

    async def go(self, run: Run, pause: Pause | None) -> RunOutcome:
        """Go on with a run from `go_inline`: put it off, or walk it to its end."""
        task = asyncio.current_task()
        cancel = partial(_cancel, run, task)
        self._in_hand.enter(run.request.run_id, cancel)
        try:
            outcome = await self._come_through(run, pause)
        except asyncio.CancelledError:
            if run.cancelled is None or task is None:
                raise
            task.uncancel()
            outcome = Cancelled(run.cancelled)
        except Exception as error:  # noqa: BLE001 - the run's edge: one bad run stops no other
            outcome = _outcome_of(error)
        finally:
            self._in_hand.leave(run.request.run_id, cancel)
            run.mark_rest()
        if run.cancelled is not None and run.journal is not None:
            with contextlib.suppress(UnavailableError):
                await run.journal.cancel(run.cancelled)
        return outcome

    async def resume(self, request: RunRequest) -> tuple[Run, Reached]:
        """Go on with a run that may have begun before."""
        run: Run | None = None
        try:
            found = await self._recall(request)
            if not isinstance(found, Run):
                return begin(request, self._seat), found
            run = found
            let_in = self._let_in(run)
        except Exception as error:  # noqa: BLE001 - the run's edge: one bad run stops no other
            return run or begin(request, self._seat), _outcome_of(error)
        if let_in is not None and not isinstance(let_in, Pause):
            return run, let_in
        if request.run_id in self._in_hand:
            return run, IN_HAND
        return run, await self.go(run, let_in)

    async def let_go(self, run: Run, outcome: RunOutcome) -> None:
        """Let the next run of the timer go, once this one is settled."""
        await self._overlap.let_go(run, outcome)

    # ── Stations ─────────────────────────────────────────────────────────────────────────────

    async def _recall(self, request: RunRequest) -> Run | Continued | Interrupted:
        """Read the run's journal while the delivery is ours, unless a later leg has the run."""
        clock = self._seat.world.clock
        if request.run_id in self._in_hand:
            return IN_HAND
        while True:
            try:
                run = await resume(request, self._seat)
                return await self._find_later(run) or run
            except UnavailableError:
                if not request.is_ours(clock):
                    return Interrupted("its journal could not be read", is_lost=True)
                await clock.sleep(RETRY_SECONDS)

    async def _find_later(self, run: Run) -> Continued | None:
        """Look for a later leg of the run.

        Its worker died after it had put the run off and before that was heard: two deliveries of
        one run would go on side by side. A run that was put off has that on record, but for a
        timer's that waited for its turn.
        """
        request = run.request
        is_begun = run.journal is not None and run.journal.is_begun
        if not (is_begun or request.was_put_off or request.event.source == TIMER_SOURCE):
            return None
        later = await self._seat.world.legs.latest(self._seat.tenant, request.run_id)
        if later is None or (later.leg, later.round) <= (request.leg, request.round):
            return None
        return Continued(later.due_ms, later.attempt, later)

    def _let_in(self, run: Run) -> Reached | Pause | None:
        """Aim a run at its first node, unless it ends or goes elsewhere before it begins."""
        journal, flow = run.journal, self._seat.flow
        if journal is not None and journal.cancel_reason is not None:
            return Cancelled(journal.cancel_reason)
        if journal is not None and journal.end is not None:
            run.context.operations = journal.end_operations
            return Failed(journal.end)
        if journal is not None and journal.is_begun and journal.head.version != self._seat.version:
            return Pause(0, "version", version=journal.head.version)
        if not choose_trigger(run):
            return SKIPPED
        if flow.lane is not None and not run.request.comes_from_lane:
            return Pause(0, "lane")
        return None

    async def _come_through(self, run: Run, pause: Pause | None) -> RunOutcome:
        """Walk it, and store what is to outlast this walk of it."""
        outcome = pause or await self._walk(run)
        if isinstance(outcome, Pause):
            return await put_off(run, outcome)
        if isinstance(outcome, Failed) and outcome.is_overdue and run.journal is not None:
            await run.journal.keep_end(outcome.error, run.context.operations)
        return outcome

    async def _walk(self, run: Run) -> RunOutcome | Pause:
        if not needs_turn(run):
            return await self._walker.walk(run)
        refusal = await self._overlap.take(run)
        return await self._overlap.walk(run) if refusal is None else refusal


class _PatientWalker(Walker):
    """A walker whose runs are put off where a step is over the tenant's quota: nothing failed."""

    async def walk(self, run: Run) -> RunOutcome | Pause:
        try:
            return await super().walk(run)
        except QuotaExceededError as error:
            wait_ms = max(QUOTA_PAUSE_MS_MIN, ceil(error.retry_after_seconds * 1000))
            return Pause(run.context.world.clock.now_ms() + wait_ms, "sleep")


def _cancel(run: Run, task: "asyncio.Task[None] | None", reason: str) -> None:
    if run.cancelled is None and task is not None:
        run.cancelled = reason
        task.cancel()


def _outcome_of(error: Exception) -> Failed | Interrupted:
    """Say what an error that nothing else took makes of a run."""
    match error:
        case RunLostError():
            return Interrupted(str(error), is_lost=True)
        case NodeError():
            return Failed(RunError(error.reason, None, str(error)))
        case _:
            # The text of an unforeseen error may hold data of the event; its type is enough.
            what = f"unforeseen {type(error).__name__} in the worker"
            return Failed(RunError("internal", None, what))
